"""Whether another tool has already applied what is about to be applied."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from dbopsd.db.errors import ConnectionLost, StatementFailed
from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql
from dbopsd.errors import DbopsError, StatusCode
from dbopsd.migrate.versions.adopt.detect import FoundHistory, histories
from dbopsd.migrate.versions.adopt.errors import HistoryUnclear
from dbopsd.migrate.versions.adopt.history import AdoptableTool
from dbopsd.migrate.versions.adopt.registry import ADOPTABLE
from dbopsd.migrate.versions.adopt.rows import fetch_rows, understood
from dbopsd.migrate.versions.model.ledger_run import Result
from dbopsd.migrate.versions.model.migration_file import Folder, MigrationFile

_LIMITS: Final = load_sql(__package__, "sql/limits.sql").statement
_BY_TITLE: Final = {each.table.title: each for each in ADOPTABLE.values()}


@dataclass(eq=False)
class AppliedElsewhere(DbopsError):
    """Another tool's history has a migration that the ledger does not have and would be applied."""

    reason: ClassVar[str] = "APPLIED_ELSEWHERE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    tool: str
    table: str
    path: str
    """The first of the files."""
    files: int

    @property
    def message(self) -> str:
        more = f" and {self.files - 1} more" if self.files > 1 else ""
        return (
            f"{self.path}{more} would run again: {self.tool} has applied it to database "
            f"'{self.database}', says {self.table}. Take its history over with `dbops migrate "
            f"adopt {self.database} --from {self.tool.lower()} --table {self.table}`, or run it "
            "in spite of that with --override-findings REASON (ADMIN)"
        )


async def refuse_applied_elsewhere(
    session: Session, database: str, folders: Sequence[Folder], planned: Iterable[MigrationFile]
) -> None:
    """Raise `AppliedElsewhere` for a planned file that a history of another tool has as applied.

    Call it outside a transaction, while the ledger is empty: later, the ledger is what counts. A
    history that cannot be read, or is none, says nothing.
    """
    keys = {(file.set, file.key): file.up.path for file in planned}
    for found in await histories(session):
        tool = _BY_TITLE.get(found.tool_name)
        if tool is None or not found.adoptable:
            continue
        applied = await _applied(session, tool, found, folders)
        again = [path for key, path in keys.items() if key in applied]
        if again:
            raise AppliedElsewhere(database, found.tool_name, found.table, again[0], len(again))


async def _applied(
    session: Session, tool: AdoptableTool, found: FoundHistory, folders: Sequence[Folder]
) -> set[tuple[str, str]]:
    """The files that the history has as applied, by their set and key."""
    schema, _, name = found.table.partition(".")
    try:
        async with session.transaction(read_only=True):
            await session.execute(_LIMITS)
            rows = await fetch_rows(session, tool, schema, name)
        said = [await asyncio.to_thread(understood, tool, rows, folder) for folder in folders]
    except ConnectionLost:
        raise
    except (HistoryUnclear, StatementFailed):
        return set()
    return {
        (each.file.set, each.file.key)
        for history in said
        for each in history.recorded
        if each.file is not None and each.result is Result.DONE
    }
