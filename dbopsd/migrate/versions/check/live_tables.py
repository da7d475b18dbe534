"""The relations that the database has already, and how large they are."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql
from dbopsd.migrate.versions.sql.syntax_tree import Name, same_name

_SIZES: Final = load_sql(__package__, "sql/live_tables.sql").statement


@dataclass(frozen=True)
class LiveTable:
    """A relation, or an index with the size of its table, in pages of usually 8 KiB."""

    schema: str
    name: str
    kind: str
    """As `pg_class.relkind` has it; of an index, its table's."""
    pages: int


class LiveTables:
    """Relations by name. A name without a schema is looked for in all of them."""

    def __init__(self, tables: Iterable[LiveTable]) -> None:
        self._by_name: dict[str, list[LiveTable]] = {}
        for table in tables:
            self._by_name.setdefault(table.name, []).append(table)

    def pages(self, name: Name) -> int | None:
        """The size of the largest one that may be meant; None: there is none."""
        return max((table.pages for table in self._meant(name)), default=None)

    def is_partitioned(self, name: Name) -> bool:
        """Whether all that may be meant have partitions, and there is one."""
        found = self._meant(name)
        return bool(found) and all(table.kind == "p" for table in found)

    def _meant(self, name: Name) -> list[LiveTable]:
        return [
            table
            for table in self._by_name.get(name[1], ())
            if same_name(name, (table.schema, table.name))
        ]


async def read_live_tables(session: Session, names: Iterable[Name]) -> LiveTables:
    """Those of these names. Raises `DatabaseError`."""
    wanted = sorted({name for _, name in names})
    if not wanted:
        return LiveTables(())
    return LiveTables(await session.fetch_all_as(LiveTable, _SIZES, {"names": wanted}))
