"""The statements that put staged rows into tables that are there.

Of their rows, `t` is one of the target, `s` one that is staged, `c` one of a child, a table that
refers to the target, `b` one that is kept as it was before, and `a` one as it was after.
"""

from collections.abc import Sequence
from typing import Final

from dbopsd.db.identifiers import literal, quoted
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
    "numeric": "numeric_send({})",
    "double precision": "float8send({})",
    "real": "float4send({})",
    "text": '{} COLLATE "C"',
    "character varying": '{} COLLATE "C"',
    "json": "{}::text",
    "jsonb": "jsonb_send({})",
}


def copy_table(target: str, kept: str) -> str:
    """A copy of all rows."""
    return f"CREATE TABLE {kept} AS TABLE {target}"


def count_all(target: str) -> str:
    """How many rows there are."""
    return f"SELECT count(*) FROM {target}"


def insert_all(columns: Sequence[str], target: str, kept: str) -> str:
    """All rows of a copy."""
    names = columns_of(columns)
    return f"INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {kept}"


def insert(table: PlannedTable, target: str, staged: str) -> str:
    """All staged rows come to those that are there."""
    names = columns_of(column.target for column in table.columns)
    return f"INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {staged}"


def append(table: PlannedTable, target: str, staged: str) -> str:
    """As `insert`, where the target is called `t`."""
    return insert(table, f"{target} AS t", f"{staged} AS s")


def upsert(table: PlannedTable, key: Sequence[str], target: str, staged: str) -> str:
    """Staged rows come to those that are there, and take the place of those with their key.

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
    """Rows go whose key no staged row has. The target is called `t`."""
    return f"DELETE FROM {target} AS t WHERE {_missing(key, 't', staged)}"


def create_kept_table(target: str, kept: str) -> str:
    """A table for rows of the target, without any."""
    return f"CREATE TABLE {kept} AS SELECT * FROM {target} WITH NO DATA"


def keep_to_change(
    table: PlannedTable, key: Sequence[str], target: str, staged: str, before: str
) -> str:
    """Keep the rows that `upsert` will change."""
    return (
        f"INSERT INTO {before} SELECT t.* FROM {target} AS t "
        f"JOIN {staged} AS s ON {same_key(key, 's', 't')} "
        f"WHERE {_differ(columns_besides(key, table), 't', 's')}"
    )


def write_and_keep(kept: str, change: str) -> str:
    """Do a change to a target that it calls `t`, and keep the rows that it wrote or deleted."""
    return f"WITH rows AS ({change} RETURNING t.*) INSERT INTO {kept} SELECT * FROM rows"


def has_rows(kept: str) -> str:
    """Whether a table has any."""
    return f"SELECT EXISTS (SELECT FROM {kept})"


def count_cascading(reference: ForeignKey, key: Sequence[str], target: str, staged: str) -> str:
    """How many rows of a child refer to those that `delete_missing` will delete of its parent.

    If the child is the parent, of its rows those count that stay.
    """
    itself = reference.child_oid == reference.parent_oid
    stays = (
        f" AND EXISTS (SELECT FROM {staged} AS s WHERE {same_key(key, 's', 'c')})" if itself else ""
    )
    return (
        f"SELECT count(*) FROM {reference.child} AS c WHERE EXISTS (SELECT FROM {target} AS t "
        f"WHERE {reference.refers('c', 't')} AND {_missing(key, 't', staged)}){stays}"
    )


def count_missing(table: PlannedTable, target: str, staged: str) -> str:
    """How many staged rows the target has not, with all their values.

    A row keeps its key as it was there, if `=` takes that for the staged one.
    """
    names = ", ".join(
        _comparable(column.target, column.type, is_key=column.source in table.key)
        for column in table.columns
    )
    return (
        f"SELECT count(*) FROM (SELECT {names} FROM {staged} EXCEPT ALL "
        f"SELECT {names} FROM {target}) AS missing"
    )


def advance_sequence(target: str, column: str, sequence: str) -> str:
    """Have a sequence go on after the largest number that the column has."""
    regclass = f"{literal(sequence)}::regclass"
    return (
        f"SELECT setval({regclass}, greatest(max({quoted(column)}), nextval({regclass}) - 1)) "
        f"FROM {target} HAVING max({quoted(column)}) >= 1"
    )


def count_moving(
    reference: ForeignKey, table: PlannedTable, key: Sequence[str], before: str, staged: str
) -> str:
    """How many rows of a child refer to what `upsert` will change of its parent.

    Where it is computed from other columns, more may count than that.
    """
    names = reference.parent_columns
    moves = "true"
    if {column.target for column in table.columns}.issuperset(names):
        moves = differ_as_text(names, "b", "s")
    return (
        f"SELECT count(*) FROM {reference.child} AS c WHERE EXISTS (SELECT FROM {before} AS b "
        f"JOIN {staged} AS s ON {same_key(key, 's', 'b')} "
        f"WHERE {reference.refers('c', 'b')} AND {moves})"
    )


def count_changed(key: Sequence[str], before: str, after: str) -> str:
    """How many rows are among those that were written and among those that were there before."""
    return (
        f"SELECT count(*) FROM {after} AS a "
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
