"""The statements that put staged rows into tables that are there."""

from collections.abc import Sequence
from typing import Final

from dbopsd.db.identifiers import literal, quoted
from dbopsd.migrate.importer.planning.ddl import columns_of
from dbopsd.migrate.importer.planning.plan import PlannedTable

# Types without an equality of their own are compared as the text that they are.
_AS_TEXT: Final = ("json",)


def disable_triggers(target: str) -> str:
    """Have the table's own triggers, not those of its constraints, see nothing of this."""
    return f"ALTER TABLE {target} DISABLE TRIGGER USER"


def enable_triggers(target: str) -> str:
    """Undo `disable_triggers`."""
    return f"ALTER TABLE {target} ENABLE TRIGGER USER"


def keep_all(target: str, kept: str) -> str:
    """A copy of all rows."""
    return f"CREATE TABLE {kept} AS TABLE {target}"


def put_back(columns: Sequence[str], target: str, kept: str) -> str:
    """All rows of a copy."""
    names = columns_of(columns)
    return f"INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {kept}"


def insert(table: PlannedTable, target: str, staged: str) -> str:
    """All staged rows come to those that are there."""
    names = columns_of(column.target for column in table.columns)
    return f"INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {staged}"


def upsert(table: PlannedTable, key: Sequence[str], target: str, staged: str) -> str:
    """Staged rows come to those that are there, and take the place of those with their key.

    Rows that are the same already are not touched, nor counted.
    """
    others = [column for column in table.columns if column.target not in key]
    conflict = f"{insert(table, f'{target} AS t', staged)} ON CONFLICT ({columns_of(key)})"
    if not others:
        return f"{conflict} DO NOTHING"
    changes = ", ".join(
        f"{quoted(column.target)} = EXCLUDED.{quoted(column.target)}" for column in others
    )
    mine = ", ".join(_comparable(column.target, column.type, "EXCLUDED") for column in others)
    theirs = ", ".join(_comparable(column.target, column.type, "t") for column in others)
    return f"{conflict} DO UPDATE SET {changes} WHERE ({theirs}) IS DISTINCT FROM ({mine})"


def delete_missing(key: Sequence[str], target: str, staged: str) -> str:
    """Rows go whose key no staged row has."""
    same = " AND ".join(f"s.{quoted(name)} = t.{quoted(name)}" for name in key)
    return f"DELETE FROM {target} AS t WHERE NOT EXISTS (SELECT FROM {staged} AS s WHERE {same})"


def count_missing(table: PlannedTable, target: str, staged: str) -> str:
    """How many staged rows the target has not, with all their values."""
    names = ", ".join(_comparable(column.target, column.type) for column in table.columns)
    return (
        f"SELECT count(*) FROM (SELECT {names} FROM {staged} EXCEPT ALL "
        f"SELECT {names} FROM {target}) AS missing"
    )


def advance(target: str, column: str, sequence: str) -> str:
    """Have a sequence go on after the largest number that the column has."""
    regclass = f"{literal(sequence)}::regclass"
    return (
        f"SELECT setval({regclass}, greatest(max({quoted(column)}), nextval({regclass}) - 1)) "
        f"FROM {target} HAVING max({quoted(column)}) >= 1"
    )


def _comparable(name: str, type_name: str, of: str = "") -> str:
    qualified = f"{of}.{quoted(name)}" if of else quoted(name)
    return f"{qualified}::text" if type_name in _AS_TEXT else qualified
