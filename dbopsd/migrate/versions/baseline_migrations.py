"""The operation that records migrations as applied without running them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from dbopsd.db.session import Session
from dbopsd.migrate.versions.apply.pooler import refuse_pooler
from dbopsd.migrate.versions.fingerprint.fingerprint import take_fingerprint
from dbopsd.migrate.versions.folder.large_folders import read_any_folder
from dbopsd.migrate.versions.folder.sets import single_set
from dbopsd.migrate.versions.ledger.advisory_lock import Holder, application_name, database_lock
from dbopsd.migrate.versions.ledger.ledger import Ledger
from dbopsd.migrate.versions.ledger.new_run import NewRun
from dbopsd.migrate.versions.model.ledger_run import LedgerRun
from dbopsd.migrate.versions.model.migration import Migration
from dbopsd.migrate.versions.model.migration_file import Folder
from dbopsd.migrate.versions.model.reports import BaselineReport
from dbopsd.migrate.versions.model.requests import BaselineMigrationsRequest
from dbopsd.migrate.versions.plan.baseline import baseline_runs, is_recorded, with_digest
from dbopsd.migrate.versions.plan.description import describe
from dbopsd.migrate.versions.plan.plan import refuse_problems
from dbopsd.migrate.versions.plan.states import read_set
from dbopsd.operations.kind import Run

_STAGE: Final = "baseline"


async def baseline_migrations(run: Run, request: BaselineMigrationsRequest) -> BaselineReport:
    """Record the migrations up to a version as BASELINED, and the schema from which drift counts.

    The same again is no error and records nothing. With `validate_only` nothing is recorded.
    Raises `VersionNotFound`, `HistoryExists` and `MigrationFilesInvalid`.
    """
    database = run.database
    directory = single_set(database.name, database.config, request.set)
    folder = await read_any_folder(run, directory, database.config.migrations)
    refuse_problems(database.name, folder.problems)
    await refuse_pooler(database)
    ledger = Ledger.of(database)

    def waiting(holder: Holder) -> None:
        run.progress(f"waiting for {holder}")

    async with database.dedicated_session(
        "write",
        application_name=application_name(run.operation),
        query_timeout_s=None,
        replace_bad_text=True,
    ) as session:
        if request.validate_only:
            return await _baseline(run, request, session, ledger, folder)
        async with database_lock(session, ledger, waiting=waiting):
            run.progress(_STAGE)
            await ledger.prepare(session)
            return await _baseline(run, request, session, ledger, folder)


async def _baseline(
    run: Run,
    request: BaselineMigrationsRequest,
    session: Session,
    ledger: Ledger,
    folder: Folder,
) -> BaselineReport:
    """Record what is not recorded yet; what is recorded, or would be."""
    runs, live = await ledger.read_with_live(session)
    state = read_set(folder, runs, live)
    new = baseline_runs(
        run.database.name,
        state,
        request.to,
        operation=run.operation,
        who=run.requester,
        reason=request.reason,
    )
    if is_recorded(run.database.name, state, new):
        return BaselineReport(_described(folder, runs, new), await ledger.last_digest(session))
    fingerprint = await take_fingerprint(session, ledger_schema=ledger.schema)
    if request.validate_only:
        now = datetime.now(UTC)
        runs = [*runs, *(each.preview(0, now) for each in new)]
        return BaselineReport(_described(folder, runs, new), fingerprint.digest)
    async with session.transaction():
        await ledger.record(session, with_digest(new, fingerprint.digest))
        await ledger.store_fingerprint(session, fingerprint)
    runs = await ledger.read(session)
    return BaselineReport(_described(folder, runs, new), fingerprint.digest)


def _described(
    folder: Folder, runs: Sequence[LedgerRun], baseline: Sequence[NewRun]
) -> tuple[Migration, ...]:
    keys = {each.key for each in baseline}
    return tuple(
        describe(each, folder.set) for each in read_set(folder, runs).migrations if each.key in keys
    )
