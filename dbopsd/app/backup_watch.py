"""Looks at the backups of each database now and then, in the background of the API process.

Health and metrics read what it found last, and never wait for a store.
"""

import asyncio
import contextlib
import importlib
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from croniter import croniter

from dbopsd.app.background import start
from dbopsd.app.feature import Daemon, Served
from dbopsd.config.backup import DatabaseBackupConfig
from dbopsd.errors import DbopsError, StatusCode
from dbopsd.health.backup_overview import BackupOverview, LastDrill
from dbopsd.operations.errors import ControlStoreUnavailable
from dbopsd.operations.record import Comparison, Condition, Operation, Schedule, State

CREATE: Final = "create-backup"
DRILL: Final = "drill-backup"

_log = logging.getLogger(__name__)

# Of the caller's: a table that is not there, say.
_MISTAKES: Final = (StatusCode.INVALID_ARGUMENT.name, StatusCode.NOT_FOUND.name)

# Once everything else has started; a store may take its time, which nobody waits for.
_FIRST_AFTER_S: Final = 2.0
_EVERY_S: Final = 600.0
# How often it is asked whether an operation on backups has ended since.
_OPERATIONS_EVERY_S: Final = 15.0
# How many ended operations of a kind are asked for at first, and then at a time.
_LOOKED_AT: Final = 10
_MOST_LOOKED_AT: Final = 500
_LOOKED_AHEAD: Final = timedelta(days=400)
_MOST_TIMES: Final = 400


@asynccontextmanager
async def run_backup_watch(daemon: Daemon) -> AsyncIterator[Served]:
    """Look at the backups of every database that has them, for the time of the context."""
    tasks = [
        start(f"{name}-backup-watch", _Watch(daemon, name, database.config.backup).run)
        for name, database in daemon.databases.items()
        if database.config.backup is not None
    ]
    try:
        yield Served()
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


@dataclass(frozen=True, slots=True)
class _Pauses:
    """The longest pause between two backups of each kind, and between two drills, in seconds."""

    backups_s: Mapping[str, float] = field(default_factory=dict)
    drills_s: float | None = None


class _Watch:
    """The watch over one database's backups."""

    def __init__(self, daemon: Daemon, database: str, config: DatabaseBackupConfig) -> None:
        self._daemon = daemon
        self._database = database
        self._config = config
        self._schedules: Sequence[Schedule] = ()
        self._pauses = _Pauses()
        self._attempt: Operation | None = None
        self._drill: Operation | None = None
        self._ended = ""

    async def run(self) -> None:
        """Look for ever; ends by cancellation only."""
        await asyncio.sleep(_FIRST_AFTER_S)
        loop = asyncio.get_running_loop()
        while True:
            await self._ask_operations()
            await self._look()
            looked, ended = loop.time(), self._ended
            while loop.time() - looked < _EVERY_S and ended == self._ended:
                await asyncio.sleep(_OPERATIONS_EVERY_S)
                await self._ask_operations()

    async def _ask_operations(self) -> None:
        """The schedules, the last attempt at a backup, and the operation that ended last."""
        with contextlib.suppress(ControlStoreUnavailable):
            schedules = await self._daemon.operations.schedules(self._database)
            if schedules != self._schedules:
                # In a thread: hundreds of times of each, which take longer than an answer may.
                self._pauses = await asyncio.to_thread(_pauses, schedules, datetime.now(UTC))
                self._schedules = schedules
            attempts = await self._newest(CREATE)
            drills = await self._newest(DRILL)
            self._attempt = await self._last(CREATE, attempts)
            self._drill = await self._last(DRILL, drills)
            self._ended = " ".join(each.id for each in (*attempts[:1], *drills[:1]))

    async def _newest(
        self, kind: str, *, after: Operation | None = None, limit: int = _LOOKED_AT
    ) -> list[Operation]:
        """The newest operations of a kind that have ended; those that were made before `after`."""
        return await self._daemon.operations.list_page(
            (
                Condition("kind", Comparison.EQUAL, kind),
                Condition("done", Comparison.EQUAL, True),
            ),
            databases=[self._database],
            after=None if after is None else (after.create_time, after.id),
            limit=limit,
        )

    async def _last(self, kind: str, newest: Sequence[Operation]) -> Operation | None:
        """The newest operation that says how backups do; None where there is none.

        Dumps of the schema alone may be frequent: a failure behind many of them is not forgotten.
        """
        limit = _LOOKED_AT
        while newest:
            found = next((each for each in newest if not _says_nothing(each)), None)
            if found is not None or len(newest) < limit:
                return found
            limit = _MOST_LOOKED_AT
            newest = await self._newest(kind, after=newest[-1], limit=limit)
        return None

    async def _look(self) -> None:
        # Here: a daemon without backups loads no stores, codecs and keys. In a thread: it takes
        # longer than an answer may.
        overview = await asyncio.to_thread(importlib.import_module, "dbopsd.backup.overview")
        before = self._daemon.backups.of(self._database)
        try:
            found = await overview.read_overview(
                self._database,
                self._config,
                self._pauses.backups_s,
                self._pauses.drills_s,
                self._daemon.config.server.state_dir,
            )
        except DbopsError as error:
            _log.warning("the backups of database '%s' cannot be read: %s", self._database, error)
            found = replace(before or BackupOverview(0.0), problem=error.message)
        attempt, drill = self._attempt, self._drill
        if attempt is not None:
            found = replace(
                found,
                attempt_ok=attempt.state is State.SUCCEEDED,
                attempt_problem=_problem(attempt),
            )
        if drill is not None and drill.state is State.FAILED:
            # It did not come to a report: nothing was restored, whatever the reason.
            ended_at = drill.end_time or 0.0
            if found.drill is None or found.drill.at < ended_at:
                found = replace(found, drill=LastDrill(ended_at, False, (_problem(drill),)))
        self._daemon.backups.publish(self._database, found)


def _pauses(schedules: Sequence[Schedule], now: datetime) -> _Pauses:
    drills = [each for each in schedules if each.kind == DRILL]
    return _Pauses(backup_intervals(schedules, now), longest_pause(drills, now))


def _says_nothing(operation: Operation) -> bool:
    """Whether it was cancelled, had asked wrongly, or was to back up no rows."""
    failure = operation.failure
    wrongly_asked = failure is not None and failure.code in _MISTAKES
    return operation.state is State.CANCELLED or wrongly_asked or _without_rows(operation.request)


def _without_rows(request: str) -> bool:
    """Whether a request of `create-backup`, as JSON, is for the schema alone."""
    return json.loads(request).get("schema_only") is True


def _problem(operation: Operation) -> str:
    return "" if operation.failure is None else operation.failure.message


def backup_intervals(schedules: Sequence[Schedule], now: datetime) -> dict[str, float]:
    """The longest pause between two backups of each kind by the schedules, in seconds."""
    kinds: dict[str, list[Schedule]] = {}
    for each in schedules:
        if each.kind == CREATE and not _without_rows(each.request):
            kind = json.loads(each.request).get("kind", "FULL")
            kinds.setdefault(str(kind).lower(), []).append(each)
    found = {kind: longest_pause(of_kind, now) for kind, of_kind in kinds.items()}
    return {kind: pause for kind, pause in found.items() if pause is not None}


def longest_pause(schedules: Sequence[Schedule], now: datetime) -> float | None:
    """The longest time between two of their times from `now` on, in seconds.

    None where they are all paused, or name no two times within a year.
    """
    times: set[float] = set()
    ends: list[float] = []
    for each in schedules:
        if each.paused:
            continue
        zone = ZoneInfo(each.time_zone)
        coming = croniter(each.cron, now.astimezone(zone))
        own = [coming.get_next(datetime).timestamp() for _ in range(_MOST_TIMES)]
        times.update(own)
        ends.append(own[-1])
    # Beyond the end of the most frequent one, its times would be missed.
    until = min([*ends, (now + _LOOKED_AHEAD).timestamp()])
    known = sorted(time for time in times if time <= until)
    return max((after - before for before, after in pairwise(known)), default=None)
