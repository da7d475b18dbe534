"""Apply, roll back and apply again every migration, and compare the schemas."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from dbopsd.db.errors import ConnectFailed
from dbopsd.errors import DbopsError
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

_UNIT: Final = "migrations"


async def round_trip(run: Run, folders: Sequence[Folder]) -> tuple[Roundtrip, ...]:
    """The round trip of every migration of the folders, in their order.

    On scratch databases of the same server, which begin empty and are dropped. None stops the
    others: after one that does not restore, the next finds the schema as though it had not been
    rolled back. Where there can be no scratch database, none is tried, and each says why.
    """
    total = sum(len(folder.migrations) for folder in folders)
    results: list[Roundtrip] = []
    try:
        async with scratch_databases(run.database, run.operation) as scratch:
            trip = _Trip(scratch, run.database.config.migrations.schema_)
            for folder in folders:
                refused = next((located(each) for each in folder.problems if each.blocking), "")
                for file in folder.migrations:
                    run.progress(f"round trip of {file.key}", len(results), total, _UNIT)
                    results.append(await trip.of(file, refused))
    except DbopsError as error:
        files = [file for folder in folders for file in folder.migrations]
        results += [_not_tried(file, error.message) for file in files[len(results) :]]
    run.progress("round trips", total, total, _UNIT)
    return tuple(results)


async def clean_up(run: Run, request: CheckMigrationsRequest) -> None:
    """Drop the scratch databases of a check that failed or was cancelled.

    Those on a server that does not answer are dropped at the start of the next round trip.
    """
    if request.roundtrip:
        with suppress(ConnectFailed):
            await drop_scratch_databases(run.database, run.operation)


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
        before = await self._fingerprint() if file.down else None
        try:
            await self._scratch.run(file.up)
        except ReachesBeyond as error:
            self._spoilt = not file.up.transactional
            return self._left_out(file, f"{file.up.path}: {error.message}")
        except StepFailed as error:
            return self._not_applied(file, error)
        self._applied.append(file.up)
        if before is None or file.down is None:
            return await self._again(file, RoundtripResult.NO_ROLLBACK, ())
        return await self._back(file, file.down, before)

    async def _back(self, file: MigrationFile, down: Script, before: Fingerprint) -> Roundtrip:
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
        found = differences(before, await self._fingerprint())
        return await self._again(file, _restored(found), found)

    async def _again(
        self, file: MigrationFile, result: RoundtripResult, found: tuple[Difference, ...]
    ) -> Roundtrip:
        """Apply it again, which all but migrations that nothing undid must bear."""
        problem = ""
        if result is not RoundtripResult.NO_ROLLBACK or file.repeatable:
            try:
                await self._scratch.run(file.up)
            except (StepFailed, ReachesBeyond) as error:
                problem = f"applying again: {error.message}"
                # What the rollback left is why, where it left something.
                if result is not RoundtripResult.NOT_RESTORED:
                    result = RoundtripResult.FAILED
        self._spoilt = result in (RoundtripResult.NOT_RESTORED, RoundtripResult.FAILED)
        return _result(file, result, found, problem)

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
