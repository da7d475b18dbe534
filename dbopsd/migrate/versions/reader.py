"""What is answered about the migrations of every database without an operation."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from opentelemetry.trace import NoOpTracer

from dbopsd.config.migrations import MigrationSetConfig
from dbopsd.db.database import Database
from dbopsd.db.dsn import CATALOG_ONLY, Purpose
from dbopsd.db.errors import ConnectFailed, LockTimeout, QueryCanceled
from dbopsd.db.session import Session
from dbopsd.migrate.versions.adopt.detect import FoundHistory, histories
from dbopsd.migrate.versions.apply.pooler import refuse_pooler
from dbopsd.migrate.versions.fingerprint.fingerprint import take_fingerprint
from dbopsd.migrate.versions.fingerprint.known_digests import HowTaken, KnownDigests
from dbopsd.migrate.versions.folder.known_folders import KnownFolders
from dbopsd.migrate.versions.folder.sets import chosen_sets, single_set
from dbopsd.migrate.versions.ledger.advisory_lock import Holder, database_lock, lock_holder
from dbopsd.migrate.versions.ledger.errors import MigrationsBusy
from dbopsd.migrate.versions.ledger.ledger import APPLICATION_NAME, Ledger
from dbopsd.migrate.versions.ledger.lock_key import mark_of
from dbopsd.migrate.versions.ledger.new_run import NewRun
from dbopsd.migrate.versions.model.errors import SetUnknown, TooManyReaders
from dbopsd.migrate.versions.model.ledger_run import LedgerRun, Result
from dbopsd.migrate.versions.model.migration import (
    Migration,
    MigrationList,
    MigrationProblem,
    MigrationSet,
    State,
)
from dbopsd.migrate.versions.model.migration_file import Folder
from dbopsd.migrate.versions.model.requests import Resolution
from dbopsd.migrate.versions.plan.description import describe, forgotten_problems, problems_of
from dbopsd.migrate.versions.plan.plan import count_pending
from dbopsd.migrate.versions.plan.resolution import direction_of, find_migration, resolve
from dbopsd.migrate.versions.plan.states import SetState, read_set
from dbopsd.migrate.versions.plan.unconfigured_sets import unconfigured_problems
from dbopsd.operations.errors import RequestIdReused
from dbopsd.operations.kind import RunsPrograms
from dbopsd.operations.program_runner import ProgramRunner

_AT_ONCE: Final = 4
_STATEMENT_TIMEOUT_S: Final = 5.0
# Over the server's own timeout: then it hangs.
_GRACE_S: Final = 1.0
_FINGERPRINT_TIMEOUT_S: Final = 2.0
# Whoever has locked a table exclusively may do so for long; the states do not wait for that.
_FINGERPRINT_LOCK_TIMEOUT_S: Final = 0.5
_NOT_TAKEN: Final = "FINGERPRINT_NOT_TAKEN"
_DRIFT_UNKNOWN: Final = (
    "the schema after the last run was not recorded, as when it was cancelled or its worker was "
    "killed, so drift is not known: an apply, also one with nothing to do, records it"
)


@dataclass(frozen=True)
class _Live:
    """What a database says of its migrations now."""

    runs: Sequence[LedgerRun]
    live: frozenset[int]
    """The ids of runs that are at it."""
    digest: str
    """Of the schema; empty: it could not be taken."""
    drifted: bool
    problems: tuple[MigrationProblem, ...]
    holder: Holder | None = None
    """Who changes it by migrations now; None: nobody."""


class MigrationReader:
    """Reads files and ledger anew at each call. `database` is the id of one of `databases`.

    Nothing is created by looking. Every method raises `MigrationsNotConfigured`, `SetUnknown`,
    what `read_folder` does, `LedgerNewer`, and `TooManyReaders` where the database does not answer
    those who ask already.
    """

    def __init__(
        self,
        databases: Mapping[str, Database],
        *,
        wait_s: float = 5.0,
        programs: RunsPrograms | None = None,
    ) -> None:
        """`wait_s`: how long a caller waits for those who ask already, in seconds.

        `programs`: runs what reads large folders; None: without a span.
        """
        self._databases = databases
        self._wait_s = wait_s
        self._folders = KnownFolders(
            programs or ProgramRunner("read migrations", tracer=NoOpTracer())
        )
        self._digests = KnownDigests()
        self._free = {name: asyncio.Semaphore(_AT_ONCE) for name in databases}

    async def list(self, database: str, set_: str) -> MigrationList:
        """The migrations of a set with their states; an empty name: of all sets."""
        configured = self._databases[database]
        sets = chosen_sets(database, configured.config, set_)
        async with self._admitted(configured):
            folders, live = await asyncio.gather(
                self._read_folders(configured, sets), self._look(configured)
            )
            # Thousands of migrations would keep other callers waiting.
            return await asyncio.to_thread(_listed, configured, folders, live)

    async def resolve(
        self,
        database: str,
        set_: str,
        version: str,
        resolution: Resolution,
        *,
        reason: str,
        who: str,
        validate_only: bool,
        request_id: str = "",
    ) -> Migration:
        """Record what is so of a migration whose end is not known, or whose file has changed.

        Returns the migration as it is then. Where its last run is the same resolution already, or
        one of that `request_id` and caller was, nothing is recorded. A set that is not configured
        any more may be given as long as the ledger has it. Raises `SetRequired`,
        `VersionNotFound`, `NotResolvable`, `RequestIdReused`, and `MigrationsBusy` while
        somebody else changes the database.
        """
        configured = self._databases[database]
        async with self._admitted(configured):
            folder, unknown = await self._folder_of(configured, set_)
            asked = _Asked(database, folder, version, resolution, reason, who, request_id, unknown)
            if validate_only:
                async with AsyncExitStack() as stack:
                    session = await _opened(stack, configured)
                    return await _try_to_resolve(session, Ledger.of(configured), asked)
            await refuse_pooler(configured)
            async with configured.dedicated_session(
                "write",
                application_name=APPLICATION_NAME,
                query_timeout_s=_STATEMENT_TIMEOUT_S,
                replace_bad_text=True,
            ) as session:
                return await _resolve(session, Ledger.of(configured), asked)

    async def _read_folders(
        self, database: Database, sets: Sequence[MigrationSetConfig]
    ) -> Sequence[Folder]:
        config = database.config.migrations
        return [await self._folders.read(database.name, each, config) for each in sets]

    async def _folder_of(self, database: Database, set_: str) -> tuple[Folder, SetUnknown | None]:
        """The folder of a set, and what to raise where the ledger has no such set either."""
        try:
            directory = single_set(database.name, database.config, set_)
        except SetUnknown as error:
            return _without_files(set_), error
        (folder,) = await self._read_folders(database, (directory,))
        return folder, None

    async def _look(self, database: Database) -> _Live:
        async with AsyncExitStack() as stack:
            session = await _opened(stack, database)
            ignore = database.config.migrations.drift_ignore
            return await _look(session, Ledger.of(database), self._digests, ignore)

    @asynccontextmanager
    async def _admitted(self, database: Database) -> AsyncIterator[None]:
        """A few at a time read folders and ask a database. Raises `TooManyReaders`."""
        free = self._free[database.name]
        try:
            async with asyncio.timeout(self._wait_s):
                await free.acquire()
        except TimeoutError:
            raise TooManyReaders(database.name, _AT_ONCE) from None
        try:
            yield
        finally:
            free.release()


@dataclass(frozen=True)
class _Asked:
    """What somebody says of a migration."""

    database: str
    folder: Folder
    version: str
    resolution: Resolution
    reason: str
    who: str
    request_id: str
    unknown: SetUnknown | None = None
    """What to raise unless the ledger has the set, which is not configured."""

    def new_run(self, state: SetState, runs: Sequence[LedgerRun]) -> NewRun | None:
        """What is to be recorded; None: it is recorded, perhaps before other runs."""
        if self.unknown is not None and all(run.set != self.folder.set for run in runs):
            raise self.unknown
        migration = find_migration(self.database, state, self.version)
        if self._is_answered(runs, migration.key):
            return None
        new = resolve(
            self.database,
            self.folder.set,
            migration,
            self.resolution,
            reason=self.reason,
            who=self.who,
        )
        return None if new is None else replace(new, request_id=self.request_id)

    def _is_answered(self, runs: Iterable[LedgerRun], key: str) -> bool:
        """Whether the same request came before. Raises `RequestIdReused`."""
        if not self.request_id:
            return False
        for run in runs:
            if (run.request_id, run.who) != (self.request_id, self.who):
                continue
            if (run.set, run.direction) != (self.folder.set, direction_of(self.resolution)) or (
                run.key not in (key, self.version)
            ):
                raise RequestIdReused(self.request_id, f"version {run.version or run.name}")
            return True
        return False

    def described(self, state: SetState) -> Migration:
        """The migration in that state."""
        return describe(find_migration(self.database, state, self.version), self.folder.set)


async def _opened(stack: AsyncExitStack, database: Database) -> Session:
    """A session on the primary; on a standby of a cluster where no host takes writes."""

    async def on(purpose: Purpose) -> Session:
        return await stack.enter_async_context(
            database.dedicated_session(
                purpose,
                application_name="dbopsd migrate list",
                query_timeout_s=_STATEMENT_TIMEOUT_S + _GRACE_S,
                settings={
                    **CATALOG_ONLY,
                    "statement_timeout": f"{_STATEMENT_TIMEOUT_S * 1000:.0f}",
                    "default_transaction_read_only": "on",
                    "jit": "off",
                },
                replace_bad_text=True,
            )
        )

    try:
        return await on("primary")
    except ConnectFailed:
        if not database.dsn.is_cluster:
            raise
        return await on("probe")


async def _look(
    session: Session, ledger: Ledger, digests: KnownDigests, ignore: Sequence[str]
) -> _Live:
    before = await lock_holder(session, ledger)
    runs, live = await ledger.read_with_live(session)
    expected = await ledger.last_digest(session)
    digest, differs, problems = await _compare(session, ledger, digests, expected, ignore)
    after = await lock_holder(session, ledger)
    holder = after or before
    # What is being changed, or was since the ledger was read, is no drift.
    settled = holder is None and expected == await ledger.last_digest(session)
    if holder is None and not expected and any(run.result is not Result.FAILED for run in runs):
        problems.append(MigrationProblem("DRIFT_UNKNOWN", _DRIFT_UNKNOWN))
    if not runs:
        problems += [_other_history(ledger.database, each) for each in await histories(session)]
    return _Live(runs, live, digest, settled and differs, tuple(problems), holder)


async def _compare(
    session: Session, ledger: Ledger, digests: KnownDigests, expected: str, ignore: Sequence[str]
) -> tuple[str, bool, list[MigrationProblem]]:
    """The digest of the live schema, and whether the schema is other than expected.

    Empty, with the reason, where it cannot be taken soon.
    """
    how = HowTaken(ledger.schema, _FINGERPRINT_TIMEOUT_S, _FINGERPRINT_LOCK_TIMEOUT_S)
    try:
        digest = await digests.digest(session, ledger.database, how)
        differs = bool(expected) and await digests.drifted(
            session,
            ledger.database,
            how,
            (expected, digest),
            expected=partial(ledger.last_fingerprint, session),
            ignore=ignore,
        )
    except (LockTimeout, QueryCanceled) as error:
        message = f"the fingerprint of the schema was not taken, so drift is not known: {error}"
        return "", False, [MigrationProblem(_NOT_TAKEN, message)]
    return digest, differs, []


def _with_running(state: SetState, holder: Holder | None) -> SetState:
    """The states with that of the migration that the holder runs in a transaction now."""
    if holder is None or not holder.marks:
        return state
    set_ = state.folder.set
    return replace(
        state,
        migrations=tuple(
            replace(each, state=State.RUNNING)
            if each.file is not None and mark_of(set_, each.key) in holder.marks
            else each
            for each in state.migrations
        ),
    )


def _busy(holder: Holder, states: Sequence[SetState]) -> MigrationProblem:
    running = [
        each.title for state in states for each in state.migrations if each.state is State.RUNNING
    ]
    at = f", which is at {running[0]}" if running else ""
    message = f"migrations are being changed by {holder}{at}: whether there is drift is not judged"
    return MigrationProblem("MIGRATIONS_BUSY", message)


def _other_history(database: str, found: FoundHistory) -> MigrationProblem:
    tool = found.tool_name
    if found.adoptable:
        what_to_do = (
            f"`dbops migrate adopt {database} --from {tool.lower()} --table {found.table}` "
            "takes it over"
        )
    else:
        what_to_do = "it cannot be adopted; `dbops migrate baseline` starts where it ends"
    message = f"this database has the history of {tool} in {found.table}: {what_to_do}"
    return MigrationProblem("OTHER_HISTORY", message)


def _without_files(set_: str) -> Folder:
    """The folder of a set that is not configured any more."""
    return Folder(set_, "dbops", "")


def _listed(database: Database, folders: Sequence[Folder], live: _Live) -> MigrationList:
    states = [
        _with_running(read_set(folder, live.runs, live.live), live.holder) for folder in folders
    ]
    out_of_order = database.config.migrations.out_of_order
    sets = tuple(
        MigrationSet(
            each.folder.set,
            each.folder.layout,
            each.folder.directory,
            each.current_version,
            count_pending(each, out_of_order=out_of_order),
        )
        for each in states
    )
    problems: list[MigrationProblem] = []
    for each in states:
        problems += [*each.folder.problems, *problems_of(each, out_of_order=out_of_order)]
        problems += forgotten_problems(database.name, each)
    configured = {each.set for each in database.config.migrations_dir}
    for name in sorted({run.set for run in live.runs} - configured):
        withdrawn = read_set(_without_files(name), live.runs, live.live)
        problems += forgotten_problems(database.name, withdrawn)
    problems += unconfigured_problems(live.runs, configured)
    busy = [] if live.holder is None else [_busy(live.holder, states)]
    return MigrationList(
        migrations=tuple(
            describe(migration, each.folder.set) for each in states for migration in each.migrations
        ),
        current_version=sets[0].current_version if len(sets) == 1 else "",
        pending=sum(each.pending for each in sets),
        problems=(*problems, *busy, *live.problems),
        fingerprint=live.digest,
        drifted=live.drifted,
        sets=sets,
    )


async def _try_to_resolve(session: Session, ledger: Ledger, asked: _Asked) -> Migration:
    """The migration as it would be."""
    if holder := await lock_holder(session, ledger):
        raise MigrationsBusy(ledger.database, str(holder))
    runs, live = await ledger.read_with_live(session)
    new = asked.new_run(read_set(asked.folder, runs, live), runs)
    if new is not None:
        runs = [*runs, new.preview(0, datetime.now(UTC))]
    return asked.described(read_set(asked.folder, runs, live))


async def _resolve(session: Session, ledger: Ledger, asked: _Asked) -> Migration:
    async with database_lock(session, ledger, wait_s=0):
        await ledger.prepare(session)
        runs, live = await ledger.read_with_live(session)
        new = asked.new_run(read_set(asked.folder, runs, live), runs)
        if new is not None:
            id_ = await ledger.done(session, new)
            await _store_fingerprint(session, ledger, id_)
            runs = await ledger.read(session)
        return asked.described(read_set(asked.folder, runs, live))


async def _store_fingerprint(session: Session, ledger: Ledger, id_: int) -> None:
    """What somebody did by hand is no drift. Unless it can be taken soon, drift is not known."""
    with contextlib.suppress(LockTimeout, QueryCanceled):
        fingerprint = await take_fingerprint(
            session,
            ledger_schema=ledger.schema,
            timeout_s=_FINGERPRINT_TIMEOUT_S,
            lock_timeout_s=_FINGERPRINT_LOCK_TIMEOUT_S,
        )
        async with session.transaction():
            await ledger.set_fingerprint(session, id_, fingerprint.digest)
            await ledger.store_fingerprint(session, fingerprint)
