"""Apply, roll back and apply again every migration, and compare the schemas."""

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Final

from dbopsd.db.errors import ConnectFailed
from dbopsd.errors import DbopsError, StatusCode
from dbopsd.migrate.versions.fingerprint.differences import definition_differs, differences
from dbopsd.migrate.versions.fingerprint.fingerprint import take_fingerprint
from dbopsd.migrate.versions.model.errors import located
from dbopsd.migrate.versions.model.migration_file import Folder, MigrationFile, Script
from dbopsd.migrate.versions.model.reports import Difference, Roundtrip, RoundtripResult
from dbopsd.migrate.versions.model.requests import CheckMigrationsRequest
from dbopsd.migrate.versions.model.schema_object import Fingerprint
from dbopsd.migrate.versions.roundtrip.scratch_databases import (
    ScratchDatabases,
    drop_scratch_databases,
    scratch_databases,
)
from dbopsd.migrate.versions.roundtrip.scripts import StepFailed
from dbopsd.migrate.versions.roundtrip.server_wide import ReachesBeyond, why_not
from dbopsd.operations.kind import Run

# One for all, or it would never be known how long the rest takes.
_STAGE: Final = "round trips"
_UNIT: Final = "{migrations}"


async def round_trip(
    run: Run, folders: Sequence[Folder], *, limit_s: float | None = None
) -> tuple[Roundtrip, ...]:
    """The round trip of every migration of the folders, in their order.

    On scratch databases of the same server, which begin empty and are dropped. None stops the
    others: after one that does not restore, the next finds the schema as though it had not been
    rolled back. Where there can be no scratch database, none is tried, and each says why; so after
    `limit_s` (None: no limit), once the one that was begun is finished; the first always is.
    """
    until_s = time.monotonic() + (math.inf if limit_s is None else limit_s)
    total = sum(len(folder.migrations) for folder in folders)
    results: list[Roundtrip] = []
    try:
        async with scratch_databases(run.database, run.operation) as scratch:
            trip = _Trip(scratch, run.database.config.migrations.schema_)
            for folder in folders:
                refused = next((located(each) for each in folder.problems if each.blocking), "")
                for file in folder.migrations:
                    if results and time.monotonic() >= until_s:
                        raise OutOfTime(len(results), total)
                    run.progress(_STAGE, len(results), total, _UNIT)
                    results.append(await trip.of(file, refused))
    except DbopsError as error:
        files = [file for folder in folders for file in folder.migrations]
        results += [_not_tried(file, error.message) for file in files[len(results) :]]
    run.progress(_STAGE, total, total, _UNIT)
    return tuple(results)


async def clean_up(run: Run, request: CheckMigrationsRequest) -> None:
    """Drop the scratch databases of a check that failed or was cancelled.

    Those on a server that does not answer are dropped at the start of the next round trip.
    """
    if request.roundtrip:
        with suppress(ConnectFailed):
            await drop_scratch_databases(run.database, run.operation)


@dataclass(eq=False)
class OutOfTime(DbopsError):
    """The time for round trips is over."""

    reason: ClassVar[str] = "ROUND_TRIP_OUT_OF_TIME"
    code: ClassVar[StatusCode] = StatusCode.DEADLINE_EXCEEDED

    done: int
    total: int

    @property
    def message(self) -> str:
        return f"the time for round trips was over after {self.done} of {self.total}"


class _Trip:
    """Round trips one after the other, on a schema that has all migrations before."""

    def __init__(self, scratch: ScratchDatabases, ledger_schema: str) -> None:
        self._scratch = scratch
        self._ledger_schema = ledger_schema
        self._applied: list[Script] = []
        self._missing: list[str] = []
        # Whether the schema is other than `_applied` make it.
        self._spoilt = False

    async def of(self, file: MigrationFile, refused: str) -> Roundtrip:
        """That of one migration; `refused`: why nothing of its folder is tried.

        Raises `DbopsError` when there can be no others.
        """
        reason = refused or why_not(file.up)
        if reason:
            return self._left_out(file, reason)
        if self._spoilt:
            await self._scratch.restore(self._applied)
            self._spoilt = False
        before = await self._scratch.digest() if file.down else ""
        try:
            await self._scratch.run(file.up)
        except ReachesBeyond as error:
            self._spoilt = not file.up.transactional
            return self._left_out(file, f"{file.up.path}: {error.message}")
        except StepFailed as error:
            return self._not_applied(file, error)
        self._applied.append(file.up)
        if file.down is None:
            return await self._without_rollback(file)
        return await self._back(file, file.down, before)

    async def _without_rollback(self, file: MigrationFile) -> Roundtrip:
        """Nothing undoes it, and a repeatable one must bear to be applied again."""
        problem = await self._apply_again(file) if file.repeatable else ""
        result = RoundtripResult.FAILED if problem else RoundtripResult.NO_ROLLBACK
        self._spoilt = bool(problem)
        return _result(file, result, problem=problem)

    async def _back(self, file: MigrationFile, down: Script, before: str) -> Roundtrip:
        if reason := why_not(down):
            return _not_tried(file, reason)
        try:
            await self._scratch.run(down)
        except ReachesBeyond as error:
            self._spoilt = not down.transactional
            return _not_tried(file, f"{down.path}: {error.message}")
        except StepFailed as error:
            self._spoilt = not error.undone
            return _result(file, RoundtripResult.FAILED, problem=f"rolling back: {error.problem}")
        after = await self._scratch.digest()
        left = None if after and after == before else await self._fingerprint()
        problem = await self._apply_again(file)
        self._spoilt = bool(problem)
        found = () if left is None else differences(await self._schema_before(file), left)
        result = _restored(found)
        # What the rollback left is why it cannot be applied again, where it left something.
        if problem and result is not RoundtripResult.NOT_RESTORED:
            result = RoundtripResult.FAILED
        return _result(file, result, found, problem)

    async def _apply_again(self, file: MigrationFile) -> str:
        """Apply it; why that failed, empty: it did not."""
        try:
            await self._scratch.run(file.up)
        except (StepFailed, ReachesBeyond) as error:
            return f"applying again: {error.message}"
        return ""

    async def _schema_before(self, file: MigrationFile) -> Fingerprint:
        """The schema on which a migration is applied, which is applied anew on it.

        Of another database: until something differs, nobody needs to know more than a digest.
        """
        await self._scratch.restore(self._applied[:-1])
        before = await self._fingerprint()
        self._spoilt = bool(await self._apply_again(file))
        return before

    def _not_applied(self, file: MigrationFile, error: StepFailed) -> Roundtrip:
        self._spoilt = not error.undone
        if self._missing:
            reason = f"applying, without {self._missing[-1]} before it: {error.problem}"
            return self._left_out(file, reason)
        self._missing.append(file.key)
        return _result(file, RoundtripResult.FAILED, problem=f"applying: {error.problem}")

    def _left_out(self, file: MigrationFile, reason: str) -> Roundtrip:
        self._missing.append(file.key)
        return _not_tried(file, reason)

    async def _fingerprint(self) -> Fingerprint:
        session = await self._scratch.session()
        return await take_fingerprint(session, ledger_schema=self._ledger_schema)


def _restored(found: tuple[Difference, ...]) -> RoundtripResult:
    if definition_differs(found):
        return RoundtripResult.NOT_RESTORED
    return RoundtripResult.ONLY_ORDER_OR_GRANTS if found else RoundtripResult.RESTORED


def _not_tried(file: MigrationFile, problem: str) -> Roundtrip:
    return _result(file, RoundtripResult.NOT_TRIED, problem=problem)


def _result(
    file: MigrationFile,
    result: RoundtripResult,
    found: tuple[Difference, ...] = (),
    problem: str = "",
) -> Roundtrip:
    return Roundtrip(file.set, file.version, file.name, result, found, problem)
