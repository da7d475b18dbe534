"""Take the history of another tool over into the ledger.

Its table is read and never written. What is recorded is recorded in one transaction, under the
lock of migrations; a second time records only what is new.
"""

import asyncio
from dataclasses import replace
from typing import Final

from dbopsd.db.errors import LockTimeout, QueryCanceled
from dbopsd.db.session import Session
from dbopsd.migrate.versions.adopt.adoption import Adoption, Source, plan_adoption
from dbopsd.migrate.versions.adopt.detect import find_history
from dbopsd.migrate.versions.adopt.registry import ADOPTABLE
from dbopsd.migrate.versions.adopt.rows import fetch_rows, understood
from dbopsd.migrate.versions.apply.pooler import refuse_pooler
from dbopsd.migrate.versions.fingerprint.fingerprint import take_fingerprint
from dbopsd.migrate.versions.folder.large_folders import read_any_folder
from dbopsd.migrate.versions.folder.sets import single_set
from dbopsd.migrate.versions.ledger.advisory_lock import Holder, application_name, database_lock
from dbopsd.migrate.versions.ledger.ledger import Ledger
from dbopsd.migrate.versions.model.migration_file import Folder
from dbopsd.migrate.versions.model.reports import AdoptReport
from dbopsd.migrate.versions.model.requests import AdoptMigrationsRequest
from dbopsd.migrate.versions.plan.plan import refuse_problems
from dbopsd.operations.kind import Run

# Rows that a policy hides would look as if they had never been applied: an error instead.
_SETTINGS: Final = {"row_security": "off"}


async def adopt_migrations(run: Run, request: AdoptMigrationsRequest) -> AdoptReport:
    """Record what another tool has applied; with `validate_only`, say what would be recorded.

    Raises `HistoryNotFound`, `HistoryUnclear`, `HistoryContradicts`, `MigrationFilesInvalid`,
    `PoolerInTheWay` and what the ledger and its lock raise.
    """
    database = run.database
    folder = await _read_folder(run, request)
    await refuse_pooler(database)
    ledger = Ledger.of(database)
    async with database.dedicated_session(
        "write",
        application_name=application_name(run.operation),
        query_timeout_s=None,
        settings=_SETTINGS,
        replace_bad_text=True,
    ) as session:
        if request.validate_only:
            async with session.transaction(isolation="REPEATABLE READ", read_only=True):
                adoption = await _compare(run, request, folder, session, ledger)
            return adoption.report

        def waiting(holder: Holder) -> None:
            run.progress(f"waiting for {holder}")

        async with database_lock(session, ledger, waiting=waiting), session.transaction():
            adoption = await _compare(run, request, folder, session, ledger)
            await _record(adoption, session, ledger)
    return adoption.report


async def _read_folder(run: Run, request: AdoptMigrationsRequest) -> Folder:
    database = run.database
    chosen = single_set(database.name, database.config, request.set)
    folder = await read_any_folder(run, chosen, database.config.migrations)
    refuse_problems(database.name, folder.problems)
    return folder


async def _compare(
    run: Run, request: AdoptMigrationsRequest, folder: Folder, session: Session, ledger: Ledger
) -> Adoption:
    """Read the table and the ledger, and say what is new."""
    tool = ADOPTABLE[request.tool]
    name = run.database.name
    place = await find_history(session, name, tool, request.table)
    rows = await fetch_rows(session, tool, place.schema, place.name)
    run.progress(f"comparing {len(rows)} rows of {place} with the files")
    history = await asyncio.to_thread(understood, tool, rows, folder)
    source = Source(name, tool.table.title, str(place), run.operation, run.requester)
    return plan_adoption(history, folder, await ledger.read(session), source)


async def _record(adoption: Adoption, session: Session, ledger: Ledger) -> None:
    """Record it, with the schema as it is now for drift to be measured from."""
    if not adoption.runs:
        return
    await ledger.prepare(session)
    try:
        fingerprint = await take_fingerprint(session, ledger_schema=ledger.schema)
    except (LockTimeout, QueryCanceled):
        await ledger.record(session, adoption.runs)
        return
    with_digest = [replace(each, fingerprint=fingerprint.digest) for each in adoption.runs]
    await ledger.record(session, with_digest)
    await ledger.store_fingerprint(session, fingerprint)
