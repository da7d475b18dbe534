"""Which histories of other tools a database has, and where the one is that was asked for."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql
from dbopsd.migrate.versions.adopt.errors import HistoryNotFound
from dbopsd.migrate.versions.adopt.history import AdoptableTool, Columns, HistoryTable
from dbopsd.migrate.versions.adopt.registry import ADOPTABLE, KNOWN

_FIND: Final = load_sql(__package__, "sql/find_tables.sql").statement
_CURRENT_SCHEMA: Final = load_sql(__package__, "sql/current_schema.sql").statement

_NAMES: Final = sorted(
    {name for table in KNOWN for name in (*table.names, table.beside, table.never_beside) if name}
)
_ADOPTABLE_TABLES: Final = frozenset(id(each.table) for each in ADOPTABLE.values())


@dataclass(frozen=True)
class FoundHistory:
    """A table that has the name and the columns of a tool's history."""

    tool_name: str
    """The tool's name as its users write it."""
    table: str
    """`schema.table`."""
    adoptable: bool


@dataclass(frozen=True)
class Place:
    """A table: its schema and its name, not quoted."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


Tables = dict[Place, Columns]


async def histories(session: Session) -> tuple[FoundHistory, ...]:
    """The histories of all known tools under the names that they have by default, in any schema.

    One query of the catalogue by indexed names.
    """
    tables = await _tables(session, _NAMES)
    return tuple(
        FoundHistory(owner.title, str(place), id(owner) in _ADOPTABLE_TABLES)
        for place in tables
        if (owner := _owner(place, tables)) is not None
    )


async def find_history(
    session: Session, database: str, tool: AdoptableTool, table: str = ""
) -> Place:
    """The table of the tool's history: `table` (`schema.table`), or where the tool puts it.

    Only the columns decide on a table that is named. Raises `HistoryNotFound`.
    """
    if table:
        return await _named(session, database, tool, table)
    tables = await _tables(session, _NAMES)
    row = await session.fetch_one(_CURRENT_SCHEMA)
    schemas = dict.fromkeys(
        schema for schema in (row[0] if row else None, *tool.table.schemas) if schema
    )
    places = [Place(schema, name) for schema in schemas for name in tool.table.names]
    for place in places:
        if place in tables and _owner(place, tables) is tool.table:
            return place
    raise HistoryNotFound(
        database,
        tool.table.title,
        ", ".join(map(str, places)),
        _found_instead(tool, places, tables),
    )


async def _named(session: Session, database: str, tool: AdoptableTool, table: str) -> Place:
    schema, _, name = table.partition(".")
    place = Place(schema, name)
    tables = await _tables(session, [*_NAMES, name])
    columns = tables.get(place)
    if columns is not None and tool.table.fits(columns):
        return place
    found = _description(place, tables) if columns is not None else ""
    raise HistoryNotFound(database, tool.table.title, table, found)


async def _tables(session: Session, names: Iterable[str]) -> Tables:
    rows = await session.fetch_all(_FIND, {"names": list(names)})
    return {
        Place(schema, name): dict(zip(columns, types, strict=True))
        for schema, name, columns, types in rows
    }


def _owner(place: Place, tables: Tables) -> HistoryTable | None:
    """The tool whose history the table is, by its name, its columns and what is beside it."""
    for table in KNOWN:
        if place.name not in table.names or not table.fits(tables[place]):
            continue
        if table.beside and Place(place.schema, table.beside) not in tables:
            continue
        if table.never_beside and Place(place.schema, table.never_beside) in tables:
            continue
        return table
    return None


def _found_instead(tool: AdoptableTool, places: list[Place], tables: Tables) -> str:
    """What is in its place, or where else there is one."""
    taken = [_description(place, tables) for place in places if place in tables]
    elsewhere = [
        f"{place} looks like one: name it with --table"
        for place in tables
        if place not in places and _owner(place, tables) is tool.table
    ]
    return "; ".join([*taken, *elsewhere])


def _description(place: Place, tables: Tables) -> str:
    columns = ", ".join(tables[place])
    owner = _owner(place, tables) or next(
        (table for table in KNOWN if table.fits(tables[place])), None
    )
    whose = (
        f"looks like that of {owner.title}" if owner else "is that of no tool that is known here"
    )
    return f"{place} ({columns}) {whose}"
