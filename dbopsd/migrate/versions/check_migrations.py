"""CheckMigrations: the files of migrations that are not applied, and the live schema."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from dbopsd.db.database import Database
from dbopsd.db.errors import ConnectFailed
from dbopsd.db.session import Session
from dbopsd.migrate.versions.apply.metrics import MigrationMetrics
from dbopsd.migrate.versions.check.bounded_report import bounded
from dbopsd.migrate.versions.check.check_files import check_files
from dbopsd.migrate.versions.check.problem_findings import with_problems
from dbopsd.migrate.versions.fingerprint.drift import Drift, find_drift
from dbopsd.migrate.versions.fingerprint.fingerprint import take_fingerprint
from dbopsd.migrate.versions.folder.large_folders import read_any_folder
from dbopsd.migrate.versions.folder.sets import chosen_sets
from dbopsd.migrate.versions.ledger.advisory_lock import lock_holder
from dbopsd.migrate.versions.ledger.ledger import APPLICATION_NAME, Ledger
from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun
from dbopsd.migrate.versions.model.migration_file import MigrationFile
from dbopsd.migrate.versions.model.reports import (
    CheckReport,
    Finding,
    Roundtrip,
    RoundtripResult,
    Severity,
)
from dbopsd.migrate.versions.model.requests import CheckMigrationsRequest
from dbopsd.migrate.versions.plan.description import problems_of
from dbopsd.migrate.versions.plan.plan import PlannedRun
from dbopsd.migrate.versions.plan.states import APPLIED_STATES, read_set
from dbopsd.migrate.versions.roundtrip.round_trip import round_trip
from dbopsd.migrate.versions.sql.lexer import READ_WITH
from dbopsd.operations.kind import Run

_QUERY_TIMEOUT_S: Final = 60.0
_NOT_JUDGED: Final = "migrations {}: whether there is drift is not judged"
_NOT_RECORDED: Final = (
    "the number of objects that differ is not recorded, so metrics and alerts do not know it: {}"
)


async def check_migrations(run: Run, request: CheckMigrationsRequest) -> CheckReport:
    """Look, and change nothing but a scratch database and the number of objects that drifted.

    Raises what reading the folders raises, and `DatabaseError`; findings are no error. Without a
    server the files are checked as though none were applied, unless the request needs one. A report
    that is too large for clients is cut, and says so.
    """
    database = run.database
    sets = chosen_sets(database.name, database.config, request.set)
    config = database.config.migrations
    folders = [await read_any_folder(run, each, config) for each in sets]
    async with AsyncExitStack() as stack:
        session, notes = await _connect(stack, database, needed=request.drift)
        runs: list[LedgerRun] = []
        live: frozenset[int] = frozenset()
        ledger = Ledger.of(database)
        if session is not None:
            runs, live = await ledger.read_with_live(session)
        planned: list[PlannedRun] = []
        problems = [problem for folder in folders for problem in folder.problems]
        for folder in folders:
            state = read_set(folder, runs, live)
            problems += problems_of(state, out_of_order=config.out_of_order)
            for each in state.migrations:
                if each.file is not None and each.state not in APPLIED_STATES:
                    planned += _directions(each.file)
        run.progress("checking files", 0, len(planned), "{files}")
        result = await check_files(run, planned, session)
        drift = Drift()
        if request.drift and session is not None:
            drift, drift_notes = await _drift(session, ledger, database)
            notes += drift_notes
    roundtrip: tuple[Roundtrip, ...] = ()
    if request.roundtrip:
        roundtrip = await round_trip(run, folders, limit_s=request.roundtrip_limit_s)
    findings = with_problems(result, problems, planned)
    report = CheckReport(
        ok=_is_ok(request, findings, drift, roundtrip),
        findings=findings,
        drift=drift.differences,
        roundtrip=roundtrip,
        files=result.files,
        notes=(*notes, *result.notes),
        drift_left_out=drift.left_out,
    )
    return await asyncio.to_thread(bounded, report)


def _is_ok(
    request: CheckMigrationsRequest,
    findings: Sequence[Finding],
    drift: Drift,
    roundtrip: Sequence[Roundtrip],
) -> bool:
    """Grants and the order of columns are no drift, and no fault of a rollback."""
    severities = {Severity.ERROR}
    results = {RoundtripResult.NOT_RESTORED, RoundtripResult.FAILED}
    if request.strict:
        severities.add(Severity.WARNING)
        results.add(RoundtripResult.NOT_TRIED)
    found = any(each.severity in severities and not each.allowed for each in findings)
    not_restored = any(each.result in results for each in roundtrip)
    return not (found or not_restored or drift.objects)


def _directions(file: MigrationFile) -> list[PlannedRun]:
    """The migration and its rollback, which is to be right on the day when it is needed."""
    planned = [PlannedRun(file, file.up, Direction.UP)]
    if file.down is not None:
        planned.append(PlannedRun(file, file.down, Direction.DOWN))
    return planned


async def _connect(
    stack: AsyncExitStack, database: Database, *, needed: bool
) -> tuple[Session | None, list[str]]:
    """A connection, or None where it is not needed and cannot be had, and a note of that."""
    opening = database.dedicated_session(
        "write",
        application_name=APPLICATION_NAME,
        query_timeout_s=_QUERY_TIMEOUT_S,
        settings=READ_WITH,
        replace_bad_text=True,
    )
    try:
        return await stack.enter_async_context(opening), []
    except ConnectFailed as error:
        if needed:
            raise
        return None, [f"files were checked as though none were applied: {error.message}"]


async def _drift(session: Session, ledger: Ledger, database: Database) -> tuple[Drift, list[str]]:
    """How the live schema differs from that after the last migration, and what is to be said.

    What is being changed by migrations, or was while it was looked at, is no drift.
    """
    before = await lock_holder(session, ledger)
    expected = await ledger.last_fingerprint(session)
    if before is None and expected is None:
        return Drift(), ["drift is not known: no migration has left the fingerprint of its schema"]
    if before is not None or expected is None:
        return Drift(), [_NOT_JUDGED.format(f"are being changed by {before}")]
    actual = await take_fingerprint(session, ledger_schema=ledger.schema)
    after = await lock_holder(session, ledger)
    if after is not None:
        return Drift(), [_NOT_JUDGED.format(f"are being changed by {after}")]
    if await ledger.last_digest(session) != expected.digest:
        return Drift(), [_NOT_JUDGED.format("were changed meanwhile")]
    drift = find_drift(expected, actual, database.config.migrations.drift_ignore)
    not_recorded = await ledger.record_drift(session, expected.digest, len(drift.objects))
    MigrationMetrics(database.meter, database.name).drifted(len(drift.objects))
    notes = [_NOT_RECORDED.format(not_recorded)] if not_recorded else []
    if drift.left_out:
        differ = "1 object differs" if drift.left_out == 1 else f"{drift.left_out} objects differ"
        ignore = f"databases.{database.name}.migrations.drift_ignore"
        notes.append(f"{differ} and are no drift by {ignore}")
    return drift, notes
