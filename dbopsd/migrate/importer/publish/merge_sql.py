"""The statements that put staged rows into existing tables.

Aliases: `t` is a row of the target, `s` a staged row, `c` a row of a child, a table that references
the target, `b` a row as it was before the import, and `a` a row as it was after.
"""

from collections.abc import Sequence
from typing import Final

from dbopsd.db.identifiers import quoted
from dbopsd.migrate.importer.conversion.postgres_type import read_type
from dbopsd.migrate.importer.model.plan import PlannedColumn, PlannedTable
from dbopsd.migrate.importer.plan.ddl import columns_of
from dbopsd.migrate.importer.postgres.foreign_keys import ForeignKey
from dbopsd.migrate.importer.postgres.row_sql import (
    TEXTS,
    columns_besides,
    differ_as_text,
    key_order,
    same_key,
)

# How values are compared where `=` takes for the same what is not, as 1.0 and 1.00, 0.0 and -0.0,
# or texts under some collations; and where there is no `=`. By type; others have a strict one.
_IDENTITY: Final = {
    "numeric": "pg_catalog.numeric_send({})",
    "double precision": "pg_catalog.float8send({})",
    "real": "pg_catalog.float4send({})",
    "text": '{} COLLATE pg_catalog."C"',
    "character varying": '{}::pg_catalog.text COLLATE pg_catalog."C"',
    "json": "{}::pg_catalog.text",
    "jsonb": "pg_catalog.jsonb_send({})",
}


def copy_table(target: str, kept: str) -> str:
    """Copy all rows into a new table."""
    return f"CREATE TABLE {kept} AS TABLE {target}"


def count_all(target: str) -> str:
    """Count the rows."""
    return f"SELECT pg_catalog.count(*) FROM {target}"


def insert_all(columns: Sequence[str], target: str, kept: str) -> str:
    """Insert all rows of a copy."""
    names = columns_of(columns)
    return f"INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {kept}"


def insert(table: PlannedTable, target: str, staged: str) -> str:
    """Insert all staged rows."""
    names = columns_of(column.target for column in table.columns)
    return f"INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {staged}"


def append(table: PlannedTable, target: str, staged: str) -> str:
    """`insert` with the alias `t` for the target."""
    return insert(table, f"{target} AS t", f"{staged} AS s")


def upsert(table: PlannedTable, key: Sequence[str], target: str, staged: str) -> str:
    """Insert the staged rows; update the rows that have the same key.

    Rows that are the same already are not touched, nor counted. The target is called `t`. Rows go
    by their key, so that a revert can change them back in the opposite order: a unique value may
    have been handed on from one to the next.
    """
    others = columns_besides(key, table)
    ordered = f"{append(table, target, staged)} ORDER BY {key_order(key, table, 's')}"
    conflict = f"{ordered} ON CONFLICT ({columns_of(key)})"
    if not others:
        return f"{conflict} DO NOTHING"
    changes = ", ".join(
        f"{quoted(column.target)} = EXCLUDED.{quoted(column.target)}" for column in others
    )
    return f"{conflict} DO UPDATE SET {changes} WHERE {_differ(others, 't', 'EXCLUDED')}"


def delete_missing(key: Sequence[str], target: str, staged: str) -> str:
    """Delete the rows whose key no staged row has. The target has the alias `t`."""
    return f"DELETE FROM {target} AS t WHERE {_missing(key, 't', staged)}"


def create_kept_table(target: str, kept: str) -> str:
    """Create an empty table for rows of the target."""
    return f"CREATE TABLE {kept} AS SELECT * FROM {target} WITH NO DATA"


def keep_to_change(
    table: PlannedTable, key: Sequence[str], target: str, staged: str, before: str
) -> str:
    """Copy the rows that `upsert` will change into `before`."""
    return (
        f"INSERT INTO {before} SELECT t.* FROM {target} AS t "
        f"JOIN {staged} AS s ON {same_key(key, 's', 't')} "
        f"WHERE {_differ(columns_besides(key, table), 't', 's')}"
    )


def write_and_keep(kept: str, change: str) -> str:
    """Run a change of the target `t`, and copy the rows that it wrote or deleted into `kept`."""
    return f"WITH rows AS ({change} RETURNING t.*) INSERT INTO {kept} SELECT * FROM rows"


def has_rows(kept: str) -> str:
    """Whether a table has rows."""
    return f"SELECT EXISTS (SELECT FROM {kept})"


def count_cascading(reference: ForeignKey, key: Sequence[str], target: str, staged: str) -> str:
    """Count the rows of a child that reference parent rows that `delete_missing` will delete.

    If the child is the parent itself, only rows that stay count.
    """
    itself = reference.child_oid == reference.parent_oid
    stays = (
        f" AND EXISTS (SELECT FROM {staged} AS s WHERE {same_key(key, 's', 'c')})" if itself else ""
    )
    return (
        f"SELECT pg_catalog.count(*) FROM {reference.child} AS c "
        f"WHERE EXISTS (SELECT FROM {target} AS t "
        f"WHERE {reference.refers('c', 't')} AND {_missing(key, 't', staged)}){stays}"
    )


def count_missing(table: PlannedTable, target: str, staged: str) -> str:
    """Count the staged rows that the target does not have with all their values.

    A key that is equal by `=` counts as the same: an upsert does not change it.
    """
    names = ", ".join(
        _comparable(column.target, column.type, is_key=column.source in table.key)
        for column in table.columns
    )
    return (
        f"SELECT pg_catalog.count(*) FROM (SELECT {names} FROM {staged} EXCEPT ALL "
        f"SELECT {names} FROM {target}) AS missing"
    )


def count_moving(
    reference: ForeignKey, table: PlannedTable, key: Sequence[str], before: str, staged: str
) -> str:
    """Count the rows of a child that reference values that `upsert` will change.

    May count too many if the referenced columns are computed from others.
    """
    names = reference.parent_columns
    moves = "true"
    if {column.target for column in table.columns}.issuperset(names):
        moves = differ_as_text(names, "b", "s")
    return (
        f"SELECT pg_catalog.count(*) FROM {reference.child} AS c "
        f"WHERE EXISTS (SELECT FROM {before} AS b "
        f"JOIN {staged} AS s ON {same_key(key, 's', 'b')} "
        f"WHERE {reference.refers('c', 'b')} AND {moves})"
    )


def count_changed(key: Sequence[str], before: str, after: str) -> str:
    """Count the written rows that existed before."""
    return (
        f"SELECT pg_catalog.count(*) FROM {after} AS a "
        f"WHERE EXISTS (SELECT FROM {before} AS b WHERE {same_key(key, 'a', 'b')})"
    )


def _missing(key: Sequence[str], row: str, staged: str) -> str:
    return f"NOT EXISTS (SELECT FROM {staged} AS s WHERE {same_key(key, 's', row)})"


def _differ(columns: Sequence[PlannedColumn], one: str, other: str) -> str:
    mine = ", ".join(_comparable(column.target, column.type, one) for column in columns)
    theirs = ", ".join(_comparable(column.target, column.type, other) for column in columns)
    return f"({mine}) IS DISTINCT FROM ({theirs})"


def _comparable(name: str, type_name: str, of: str = "", *, is_key: bool = False) -> str:
    qualified = f"{of}.{quoted(name)}" if of else quoted(name)
    known = read_type(type_name).name
    if is_key and known not in TEXTS:
        return qualified
    return _IDENTITY[known].format(qualified) if known in _IDENTITY else qualified
