"""Changes of a column's type that keep the rows as they are, and need not look at them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql
from dbopsd.migrate.versions.check.corrections import Dismissal
from dbopsd.migrate.versions.sql.syntax_tree import same_name

_COLUMNS: Final = load_sql(__package__, "sql/live_columns.sql").statement
_TYPE: Final = re.compile(r"([a-z ]+?)(?:\(([\d,-]+)\))?")
# As `format_type` writes them: as the parser does.
_PARSER_NAMES: Final = {"character varying": "varchar", "bit varying": "varbit"}
_GROWING: Final = frozenset({"varchar", "varbit"})


@dataclass(frozen=True)
class LiveColumn:
    """A column, with its type as `format_type` writes it."""

    schema: str
    table: str
    column: str
    type: str


async def read_live_columns(session: Session, changes: Iterable[Dismissal]) -> list[LiveColumn]:
    """The columns whose type the changes are about. Raises `DatabaseError`."""
    about = [each for each in changes if each.table is not None]
    if not about:
        return []
    names = {
        "tables": sorted({each.table[1] for each in about if each.table}),
        "columns": sorted({each.column for each in about}),
    }
    return await session.fetch_all_as(LiveColumn, _COLUMNS, names)


def keeps_rows(change: Dismissal, columns: Iterable[LiveColumn]) -> bool:
    """Whether every column that may be meant has a type whose values are the same in the new one.

    `ATColumnChangeRequiresRewrite` of PostgreSQL, and the support functions of the types.
    """
    meant = [
        column
        for column in columns
        if change.table is not None
        and same_name(change.table, (column.schema, column.table))
        and column.column == change.column
    ]
    return bool(meant) and all(_keeps(column.type, change) for column in meant)


def _keeps(old_type: str, change: Dismissal) -> bool:
    parsed = _TYPE.fullmatch(old_type)
    if parsed is None:
        return False
    old = _PARSER_NAMES.get(parsed[1], parsed[1])
    was = tuple(int(each) for each in parsed[2].split(",")) if parsed[2] else ()
    new, now = change.type, change.modifiers
    if old in ("varchar", "text") and new in ("varchar", "text") and not now:
        return True
    if old != new:
        return False
    if old == "numeric":
        return not now or (len(was) == len(now) == 2 and now[0] >= was[0] and now[1] == was[1])
    if old in _GROWING:
        return not now or (bool(was) and now >= was)
    return was == now
