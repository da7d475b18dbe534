"""The newest report of every database: written by probers, read by everybody, waited for by none.

Reading never touches a database, so an answer takes the same time whatever the database does.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from dbopsd.errors import DatabaseNotFound
from dbopsd.health.report import Report, State

Readiness = Literal["all", "any", "none"]

_SERVING = (State.HEALTHY, State.DEGRADED)


@dataclass(frozen=True, slots=True)
class DatabaseInfo:
    """What is known of a database without asking it. `hosts` never holds a credential."""

    name: str
    hosts: tuple[str, ...]
    postgres_database: str
    embedded: bool


class HealthBoard:
    """The newest report of each configured database, and the watchers of the next one."""

    def __init__(
        self,
        databases: Iterable[DatabaseInfo],
        first_reports: Mapping[str, Report],
        *,
        readiness_requires: Readiness = "all",
    ) -> None:
        self._databases = {database.name: database for database in databases}
        self._reports = dict(first_reports)
        self._readiness_requires = readiness_requires
        self._accepting = False
        self._leaving = False
        self._draining = False
        # Replaced at each change, so that any number of watchers wait without being registered.
        self._changed = asyncio.Event()

    @property
    def databases(self) -> tuple[DatabaseInfo, ...]:
        """The configured databases, by name."""
        return tuple(self._databases[name] for name in sorted(self._databases))

    @property
    def leaving(self) -> bool:
        """Whether the daemon is about to stop, or stopping."""
        return self._leaving

    def report(self, database: str) -> Report:
        """The newest report of `database`. Raises `DatabaseNotFound`."""
        try:
            return self._reports[database]
        except KeyError:
            raise DatabaseNotFound(database) from None

    def publish(self, report: Report) -> None:
        """Replace the report of `report.database`."""
        self._reports[report.database] = report
        self._notify()

    def accept(self) -> None:
        """The listeners are open: readiness follows the databases from now on."""
        self._accepting = True
        self._notify()

    def leave(self) -> None:
        """The daemon is about to stop: readiness is off for good; watches tell it and go on."""
        self._leaving = True
        self._notify()

    def drain(self) -> None:
        """The daemon stops: readiness is off for good, and every watch ends."""
        self._leaving = self._draining = True
        self._notify()

    @property
    def ready(self) -> bool:
        """Whether traffic should come here."""
        if self._leaving or not self._accepting:
            return False
        serving = [report.state in _SERVING for report in self._reports.values()]
        match self._readiness_requires:
            case "all":
                return all(serving)
            case "any":
                return any(serving)
            case "none":
                return True

    async def changes(self) -> AsyncGenerator[None, None]:
        """Yield at once, and then whenever anything changed since; ends when the daemon drains.

        A slow consumer is woken once for any number of changes.
        """
        while True:
            changed = self._changed
            yield
            if self._draining:
                return
            await changed.wait()

    async def watch(
        self, database: str, *, every_probe: bool = False
    ) -> AsyncGenerator[Report, None]:
        """Yield the present report of `database`, then each that differs, until the daemon drains.

        With `every_probe` each new report comes, though its states be the same. Raises
        `DatabaseNotFound`.
        """
        sent: Report | None = None
        async with aclosing(self.changes()) as changes:
            async for _ in changes:
                report = self.report(database)
                if report is sent:
                    continue
                if sent is None or every_probe or report.differs_from(sent):
                    sent = report
                    yield report

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
