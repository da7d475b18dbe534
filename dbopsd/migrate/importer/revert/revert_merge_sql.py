"""The statements that revert a merge.

Rows are the same if all their values have the same text. Every type has a text; some types have no
`=`, and `=` takes 1.0 for 1.00. Aliases: `t` is a row of the target, `b` a row as it was before the
merge, `a` a row as it was after, and `c` a row of a child, a table that references the target.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dbopsd.db.identifiers import quoted
from dbopsd.migrate.importer.plan.ddl import columns_of
from dbopsd.migrate.importer.postgres.foreign_keys import ForeignKey
from dbopsd.migrate.importer.postgres.row_sql import differ_as_text, same_key


@dataclass(frozen=True)
class Kept:
    """A table that rows were merged into, and what is kept of it. Names of tables are quoted."""

    target: str
    before: str
    """The table with changed and deleted rows; empty: there were none."""
    after: str
    """The table with added and changed rows; empty: there were none."""
    key: Sequence[str]
    """The columns that identify a row; empty: all values do, and `before` is empty too."""
    stored: Sequence[str]
    """The columns that are not generated."""
    written: Sequence[str]
    """The columns that the merge writes."""
    last_first: str
    """The ORDER BY that sorts changed rows `b`, the last one first."""


def count_changed(kept: Kept) -> str:
    """Count the rows that differ from what was written: changed ones, and deleted ones."""
    if not kept.key:
        return (
            "SELECT 0, pg_catalog.count(*) "
            f"FROM (SELECT {_image(kept, 'a')} FROM {kept.after} AS a "
            f"EXCEPT ALL SELECT {_image(kept, 't')} FROM {kept.target} AS t "
            f"WHERE {_image(kept, 't')} IN (SELECT {_image(kept, 'a')} FROM {kept.after} AS a)"
            ") AS missing"
        )
    there = f"t.{quoted(kept.key[0])} IS NOT NULL"
    return (
        f"SELECT pg_catalog.count(*) FILTER (WHERE {there}), "
        f"pg_catalog.count(*) FILTER (WHERE NOT ({there})) "
        f"FROM {kept.after} AS a LEFT JOIN {kept.target} AS t ON {same_key(kept.key, 'a', 't')} "
        f"WHERE {_image(kept, 'a')} IS DISTINCT FROM {_image(kept, 't')}"
    )


def count_taken(kept: Kept) -> str:
    """Count the deleted rows whose key exists again."""
    return (
        f"SELECT pg_catalog.count(*) FROM {kept.before} AS b WHERE {_was_deleted(kept)} "
        f"AND EXISTS (SELECT FROM {kept.target} AS t WHERE {same_key(kept.key, 'b', 't')})"
    )


def count_referring(parent: Kept, reference: ForeignKey, child: str, child_after: str) -> str:
    """Count the rows of a child that reference rows to delete, without the import's own rows.

    A row does not count if another row gets the referenced values back. `child_after` has the
    import's own rows; empty: there are none.
    """
    goes = _was_added(parent)
    if parent.before and reference.no_action_on_delete:
        goes += (
            f" AND NOT EXISTS (SELECT FROM {parent.before} AS b WHERE {reference.refers('c', 'b')})"
        )
    refers = f"SELECT FROM {parent.after} AS a WHERE {reference.refers('c', 'a')} AND {goes}"
    return _count_but(child, child_after, f"EXISTS ({refers})")


def count_losing(parent: Kept, reference: ForeignKey, child: str, child_after: str) -> str:
    """Count the rows of a child that reference values to change, without the import's own."""
    changes = differ_as_text(reference.parent_columns, "a", "b")
    refers = (
        f"SELECT FROM {parent.after} AS a JOIN {parent.before} AS b "
        f"ON {same_key(parent.key, 'a', 'b')} WHERE {reference.refers('c', 'a')} AND {changes}"
    )
    return _count_but(child, child_after, f"EXISTS ({refers})")


def put_back_deleted(kept: Kept) -> str:
    """Insert the deleted rows again."""
    names = columns_of(kept.stored)
    return (
        f"INSERT INTO {kept.target} ({names}) OVERRIDING SYSTEM VALUE "
        f"SELECT {names} FROM {kept.before} AS b WHERE {_was_deleted(kept)}"
    )


def take_out(kept: Kept) -> str:
    """Delete the added rows, and give the changed rows their former values. Returns both counts.

    In one statement, so that a row that was changed to refer to one that was
    added does not go with that. Rows go first: what was unique in them may be another's again. The
    others are changed one by one, in the opposite order of the merge, so that what is unique is so
    after each: with INSERT, the only statement that keeps to an order.
    """
    removed = _remove(kept) if kept.key else _remove_copies(kept)
    changed = "0"
    change = ""
    if changes(kept):
        # Not what is not deleted: the planner joins for EXISTS, and not for NOT NOT EXISTS.
        was_changed = f"EXISTS (SELECT FROM {kept.after} AS a WHERE {same_key(kept.key, 'a', 'b')})"
        names = columns_of(kept.stored)
        values = ", ".join(f"{quoted(name)} = EXCLUDED.{quoted(name)}" for name in kept.written)
        change = (
            f", changed AS (INSERT INTO {kept.target} AS t ({names}) OVERRIDING SYSTEM VALUE "
            f"SELECT {names} FROM {kept.before} AS b WHERE {was_changed} "
            # It has to be counted before the first row is changed.
            f"AND (SELECT n FROM counted) >= 0 ORDER BY {kept.last_first} "
            f"ON CONFLICT ({columns_of(kept.key)}) DO UPDATE SET {values} RETURNING 1)"
        )
        changed = "(SELECT pg_catalog.count(*) FROM changed)"
    return (
        f"WITH removed AS ({removed} RETURNING 1), "
        f"counted AS MATERIALIZED (SELECT pg_catalog.count(*) AS n FROM removed){change} "
        f"SELECT (SELECT n FROM counted), {changed}"
    )


def changes(kept: Kept) -> bool:
    """Whether `take_out` may update rows, besides deleting some."""
    return bool(kept.before and kept.written)


def count_added(kept: Kept) -> str:
    """Count the added rows."""
    return f"SELECT pg_catalog.count(*) FROM {kept.after} AS a WHERE {_was_added(kept)}"


def count_not_back(kept: Kept) -> str:
    """Count the rows that are not as they were before."""
    return (
        f"SELECT pg_catalog.count(*) FROM {kept.before} AS b LEFT JOIN {kept.target} AS t "
        f"ON {same_key(kept.key, 'b', 't')} "
        f"WHERE {_image(kept, 'b')} IS DISTINCT FROM {_image(kept, 't')}"
    )


def count_not_gone(kept: Kept) -> str:
    """Count the added rows that still exist, in a table with a key."""
    return (
        f"SELECT pg_catalog.count(*) FROM {kept.after} AS a WHERE {_was_added(kept)} "
        f"AND EXISTS (SELECT FROM {kept.target} AS t WHERE {same_key(kept.key, 'a', 't')})"
    )


def _remove(kept: Kept) -> str:
    return (
        f"DELETE FROM {kept.target} AS t USING {kept.after} AS a "
        f"WHERE {same_key(kept.key, 'a', 't')} AND {_was_added(kept)}"
    )


def _remove_copies(kept: Kept) -> str:
    """As many of the rows that are the same as were added. A place is one within a partition."""
    return (
        f"DELETE FROM {kept.target} AS t USING ("
        "SELECT r.part, r.place, wanted.copies, "
        "pg_catalog.row_number() OVER ("
        "PARTITION BY r.image ORDER BY r.part, r.place DESC) AS number "
        f"FROM (SELECT t.tableoid AS part, t.ctid AS place, {_image(kept, 't')} AS image "
        f"FROM {kept.target} AS t) AS r "
        f"JOIN (SELECT {_image(kept, 'a')} AS image, pg_catalog.count(*) AS copies "
        f"FROM {kept.after} AS a GROUP BY 1) AS wanted USING (image)) AS found "
        "WHERE found.number <= found.copies "
        "AND t.tableoid = found.part AND t.ctid = found.place"
    )


def _count_but(child: str, own: str, condition: str) -> str:
    """How many rows `c` of a child there are, without those that the import has there."""
    count = f"SELECT pg_catalog.count(*) FROM {child} AS c WHERE {condition}"
    if not own:
        return count
    return f"SELECT ({count}) - (SELECT pg_catalog.count(*) FROM {own} AS c WHERE {condition})"


def _was_added(kept: Kept) -> str:
    """Whether the row `a` is one that was not there before."""
    if not kept.before:
        return "true"
    return f"NOT EXISTS (SELECT FROM {kept.before} AS b WHERE {same_key(kept.key, 'a', 'b')})"


def _was_deleted(kept: Kept) -> str:
    """Whether the row `b` is one that was deleted."""
    if not kept.after:
        return "true"
    return f"NOT EXISTS (SELECT FROM {kept.after} AS a WHERE {same_key(kept.key, 'a', 'b')})"


def _image(kept: Kept, of: str) -> str:
    """All values of a row as one text, of which no two rows have the same."""
    return f"ROW({', '.join(f'{of}.{quoted(name)}' for name in kept.stored)})::pg_catalog.text"
