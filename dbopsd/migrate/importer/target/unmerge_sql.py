"""The statements that take rows out again that were merged, and put back those that gave way.

Rows are the same if all their values have the same text, which every type has; `=` is not there
for all of them, and takes 1.0 for 1.00.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dbopsd.db.identifiers import quoted
from dbopsd.migrate.importer.planning.ddl import columns_of
from dbopsd.migrate.importer.target.merge_sql import same


@dataclass(frozen=True)
class Kept:
    """A table that rows were merged into, and what is kept of that; tables are quoted."""

    target: str
    before: str
    """With the rows that were changed or deleted; empty: there were none."""
    after: str
    """With the rows that were added or changed; empty: there were none."""
    key: Sequence[str]
    """By which a row is told; empty: by all its values, and `before` is empty too."""
    stored: Sequence[str]
    """The columns that are not computed."""
    written: Sequence[str]
    """Those that a change of a row wrote."""


def count_changed(kept: Kept) -> str:
    """How many rows are not as they were written: those that are there, and those that are not."""
    if not kept.key:
        return (
            f"SELECT 0, count(*) FROM (SELECT {_image(kept, 'a')} FROM {kept.after} AS a "
            f"EXCEPT ALL SELECT {_image(kept, 't')} FROM {kept.target} AS t) AS missing"
        )
    there = f"t.{quoted(kept.key[0])} IS NOT NULL"
    return (
        f"SELECT count(*) FILTER (WHERE {there}), count(*) FILTER (WHERE NOT ({there})) "
        f"FROM {kept.after} AS a LEFT JOIN {kept.target} AS t ON {same(kept.key, 'a', 't')} "
        f"WHERE {_image(kept, 'a')} IS DISTINCT FROM {_image(kept, 't')}"
    )


def count_taken(kept: Kept) -> str:
    """How many rows were deleted whose key is there again."""
    return (
        f"SELECT count(*) FROM {kept.before} AS b WHERE {_was_deleted(kept)} "
        f"AND EXISTS (SELECT FROM {kept.target} AS t WHERE {same(kept.key, 'b', 't')})"
    )


def count_referring(
    parent: Kept, child: str, child_after: str, columns: tuple[Sequence[str], Sequence[str]]
) -> str:
    """How many rows of a child, but for the import's own, refer to rows that are to go.

    `child_after` has the import's own, which are there as it has them; empty: there are none.
    """
    pairs = zip(*columns, strict=True)
    refers = " AND ".join(f"c.{quoted(mine)} = a.{quoted(other)}" for mine, other in pairs)
    condition = f"EXISTS (SELECT FROM {parent.after} AS a WHERE {refers} AND {_was_added(parent)})"
    count = f"SELECT count(*) FROM {child} AS c WHERE {condition}"
    if not child_after:
        return count
    return f"SELECT ({count}) - (SELECT count(*) FROM {child_after} AS c WHERE {condition})"


def put_back_deleted(kept: Kept) -> str:
    """Rows come back that were deleted."""
    names = columns_of(kept.stored)
    return (
        f"INSERT INTO {kept.target} ({names}) OVERRIDING SYSTEM VALUE "
        f"SELECT {names} FROM {kept.before} AS b WHERE {_was_deleted(kept)}"
    )


def take_out(kept: Kept) -> str:
    """Rows go that were added, and those get their former values back that were changed.

    How many of either. In one statement, so that a row that was changed to refer to one that was
    added does not go with that. Rows go first: what was unique in them may be another's again.
    """
    removed = _remove(kept) if kept.key else _remove_copies(kept)
    changed = "0"
    change = ""
    if kept.before and kept.written:
        # Not what is not deleted: the planner joins for EXISTS, and not for NOT NOT EXISTS.
        was_changed = f"EXISTS (SELECT FROM {kept.after} AS a WHERE {same(kept.key, 'a', 'b')})"
        values = ", ".join(f"{quoted(name)} = b.{quoted(name)}" for name in kept.written)
        change = (
            f", changed AS (UPDATE {kept.target} AS t SET {values} FROM {kept.before} AS b "
            f"WHERE {same(kept.key, 'b', 't')} AND {was_changed} "
            # It has to be counted before the first row is changed.
            "AND (SELECT n FROM counted) >= 0 RETURNING 1)"
        )
        changed = "(SELECT count(*) FROM changed)"
    return (
        f"WITH removed AS ({removed} RETURNING 1), "
        f"counted AS MATERIALIZED (SELECT count(*) AS n FROM removed){change} "
        f"SELECT (SELECT n FROM counted), {changed}"
    )


def count_added(kept: Kept) -> str:
    """How many rows were added."""
    return f"SELECT count(*) FROM {kept.after} AS a WHERE {_was_added(kept)}"


def count_not_back(kept: Kept) -> str:
    """How many rows are not as they were before."""
    return (
        f"SELECT count(*) FROM {kept.before} AS b LEFT JOIN {kept.target} AS t "
        f"ON {same(kept.key, 'b', 't')} "
        f"WHERE {_image(kept, 'b')} IS DISTINCT FROM {_image(kept, 't')}"
    )


def count_not_gone(kept: Kept) -> str:
    """How many rows that were added are there still, of a table with a key."""
    return (
        f"SELECT count(*) FROM {kept.after} AS a WHERE {_was_added(kept)} "
        f"AND EXISTS (SELECT FROM {kept.target} AS t WHERE {same(kept.key, 'a', 't')})"
    )


def _remove(kept: Kept) -> str:
    return (
        f"DELETE FROM {kept.target} AS t USING {kept.after} AS a "
        f"WHERE {same(kept.key, 'a', 't')} AND {_was_added(kept)}"
    )


def _remove_copies(kept: Kept) -> str:
    """As many of the rows that are the same as were added. A place is one within a partition."""
    return (
        f"DELETE FROM {kept.target} AS t USING ("
        "SELECT r.part, r.place, wanted.copies, "
        "row_number() OVER (PARTITION BY r.image ORDER BY r.part, r.place DESC) AS number "
        f"FROM (SELECT t.tableoid AS part, t.ctid AS place, {_image(kept, 't')} AS image "
        f"FROM {kept.target} AS t) AS r "
        f"JOIN (SELECT {_image(kept, 'a')} AS image, count(*) AS copies "
        f"FROM {kept.after} AS a GROUP BY 1) AS wanted USING (image)) AS found "
        "WHERE found.number <= found.copies "
        "AND t.tableoid = found.part AND t.ctid = found.place"
    )


def _was_added(kept: Kept) -> str:
    """Whether the row `a` is one that was not there before."""
    if not kept.before:
        return "true"
    return f"NOT EXISTS (SELECT FROM {kept.before} AS b WHERE {same(kept.key, 'a', 'b')})"


def _was_deleted(kept: Kept) -> str:
    """Whether the row `b` is one that was deleted."""
    if not kept.after:
        return "true"
    return f"NOT EXISTS (SELECT FROM {kept.after} AS a WHERE {same(kept.key, 'a', 'b')})"


def _image(kept: Kept, of: str) -> str:
    """All values of a row as one text, of which no two rows have the same."""
    return f"ROW({', '.join(f'{of}.{quoted(name)}' for name in kept.stored)})::text"
