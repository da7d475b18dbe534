"""The ledger of a database: a row for each run of a migration, in a schema of the database itself.

It is not in the control store, because the row of a migration that runs in a transaction is
written in that transaction. It has versions of its own: whoever writes brings it up to date
first, under the lock of migrations; whoever only reads takes it as it is.
"""

import asyncio
import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dbopsd.db.database import Database
from dbopsd.db.errors import PermissionMissing, ReadOnlyServer, ScriptFailed
from dbopsd.db.identifiers import literal, quoted
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.ledger.errors import (
    LedgerDamaged,
    LedgerNewer,
    LedgerPermissionMissing,
)
from dbopsd.migrate.versions.ledger.layout import Layout
from dbopsd.migrate.versions.ledger.lock_key import LockKey
from dbopsd.migrate.versions.ledger.new_run import NewRun
from dbopsd.migrate.versions.ledger.read_run import read_run
from dbopsd.migrate.versions.ledger.statements import (
    ledger_statement,
    recorded_statement,
    run_parameters,
)
from dbopsd.migrate.versions.model.ledger_run import LedgerRun, Result
from dbopsd.migrate.versions.model.schema_object import (
    FINGERPRINT_FORMAT,
    Fingerprint,
    SchemaObject,
)

APPLICATION_NAME: Final = "dbopsd migrate"
"""Names the sessions that use a ledger; shown to whoever waits for the migration lock."""
LEDGER_VERSION: Final = 4

# invalid_argument_for_logarithm, in `recorded.sql` alone.
_NO_ROW: Final = "2201E"


@dataclass(frozen=True)
class Ledger:
    """The ledger in a schema of a database. Every method is done within the session's transaction.

    Methods that read raise `LedgerNewer`, `LedgerNotOurs`, `LedgerDamaged` and
    `LedgerPermissionMissing`; nothing is created but by `prepare`, which whoever writes calls
    first.
    """

    database: str
    schema: str = "dbops"

    @classmethod
    def of(cls, database: Database) -> "Ledger":
        """The ledger that is configured for a database."""
        return cls(database.name, database.config.migrations.schema_)

    @property
    def lock_key(self) -> LockKey:
        """The key of the lock of whoever changes the database by migrations."""
        return LockKey.of(self.schema)

    async def prepare(self, session: Session) -> None:
        """Create the ledger, or bring it up to date, in one transaction.

        The caller has the lock of migrations. Raises what methods that read do.
        """
        if await self._version(session) == LEDGER_VERSION:
            # Before anything runs, not when the first row is written.
            await self._check_privileges(session)
            return
        try:
            async with session.transaction():
                await session.execute(self.statement("lock_creation"))
                if not (await self._layout(session)).schema_exists:
                    await session.execute(self.statement("create_schema"))
                for version in range(await self._version(session) + 1, LEDGER_VERSION + 1):
                    await session.execute(self.statement(f"upgrade_to_{version}"))
                    # An event trigger may have guarded its tables.
                    (await self._layout(session)).check()
                    await session.execute(self.statement("insert_version"), (version,))
        except PermissionMissing as error:
            raise await self._permission_missing(session, error) from error

    async def begin(self, session: Session, run: NewRun) -> int:
        """Record that a run begins; returns its id."""
        return await self._insert(session, dataclasses.replace(run, result=Result.RUNNING))

    async def progress(
        self,
        session: Session,
        id_: int,
        statements_done: int,
        done_digest: str,
        *,
        in_doubt: bool = False,
        indexes_before: Sequence[int] | None = None,
    ) -> None:
        """Record how many statements of a run are done, and the digest of their texts.

        `in_doubt`: whether the next one is begun now, without a transaction. `indexes_before`: of
        its table, if it creates one without a name, or the one that it drops.
        """
        await self._update(
            session,
            "update_progress",
            {
                "id": id_,
                "statements_done": statements_done,
                "done_digest": done_digest,
                "in_doubt": in_doubt,
                "indexes_before": None if indexes_before is None else list(indexes_before),
            },
        )

    def progress_text(self, id_: int, statements_done: int, done_digest: str) -> str:
        """What `progress` does as a statement without parameters, to be sent with another one.

        It is right whatever the `search_path` is.
        """
        return (
            f"UPDATE {quoted(self.schema, 'migration_runs')} "  # noqa: S608 - quoted, and integers
            f"SET statements_done = {statements_done:d}, in_doubt = false, "
            f"done_digest = {literal(done_digest)} "
            f"WHERE id OPERATOR(pg_catalog.=) {id_:d}::pg_catalog.int8"
        )

    async def finish(
        self,
        session: Session,
        id_: int,
        result: Result,
        statements_done: int,
        *,
        in_doubt: bool = False,
        fingerprint: str = "",
        problem: str = "",
    ) -> None:
        """Record how a run ended that `begin` recorded."""
        await self._update(
            session,
            "finish_run",
            {
                "id": id_,
                "result": result.value,
                "statements_done": statements_done,
                "in_doubt": in_doubt,
                "fingerprint": fingerprint,
                "problem": problem,
            },
        )

    async def last_run(self, session: Session) -> int:
        """The id of the last run that may have changed the schema; 0: there is none."""
        row = await session.fetch_one(self.statement("last_run"))
        return 0 if row is None else int(row[0])

    async def set_fingerprint(self, session: Session, id_: int, digest: str) -> None:
        """Record the digest of the schema after a run."""
        await session.execute(self.statement("set_fingerprint"), {"id": id_, "fingerprint": digest})

    async def done(self, session: Session, run: NewRun) -> int:
        """Record a run that is done, in its own transaction; returns its id."""
        return await self._insert(session, dataclasses.replace(run, result=Result.DONE))

    def done_statement(self, run: NewRun) -> Statement:
        """What `done` does as a statement without parameters, to be sent in a script.

        It fails where the row is not there afterwards: `refuse_lost_row` knows its error.
        """
        return recorded_statement(self.schema, dataclasses.replace(run, result=Result.DONE))

    async def record(self, session: Session, runs: Iterable[NewRun]) -> None:
        """Record runs as they are, all of them or none, in their order."""
        rows = [run_parameters(run) for run in runs]
        async with session.transaction():
            if await session.execute_many(self.statement("insert_run"), rows) < len(rows):
                raise self._row_lost()

    def refuse_lost_row(self, error: ScriptFailed) -> None:
        """Raise `LedgerDamaged` where `done_statement` failed because there is no row."""
        if error.sqlstate == _NO_ROW:
            raise self._row_lost() from error

    async def read(self, session: Session, operation: str = "") -> list[LedgerRun]:
        """The runs that the states of migrations follow from, in the order in which they began.

        An up or down is left out where a later one of the same migration counts instead, unless it
        is of `operation`. None where there is no ledger.
        """
        if not await self._version(session):
            return []
        row = await session.fetch_one(self.statement("runs"), {"operation": operation})
        if row is None or row[0] is None:
            return []
        # Of thousands of migrations it takes long.
        return await asyncio.to_thread(self._read_runs, row[0])

    async def live_runs(self, session: Session) -> frozenset[int]:
        """The ids of runs that are RUNNING and whose backend is still at it."""
        if not await self._version(session):
            return frozenset()
        rows = await session.fetch_all(self.statement("live_runs"), self.lock_key.parameters)
        return frozenset(id_ for (id_,) in rows)

    async def read_with_live(
        self, session: Session, operation: str = ""
    ) -> tuple[list[LedgerRun], frozenset[int]]:
        """`read` and `live_runs` of one moment. Call it outside a transaction."""
        runs = await self.read(session, operation)
        running = _running(runs)
        if not running:
            return runs, frozenset()
        live = await self.live_runs(session)
        if running <= live:
            return runs, live
        # One that is not live may have ended since it was read. Now it would show.
        runs = await self.read(session, operation)
        return runs, live | (_running(runs) - running)

    async def last_digest(self, session: Session) -> str:
        """The digest of the schema after the last run, as it was stored; empty: it was not."""
        if not await self._version(session):
            return ""
        row = await session.fetch_one(self.statement("fingerprint"))
        # One of another format would differ although the schema does not.
        return str(row[0]) if row is not None and row[1] == FINGERPRINT_FORMAT else ""

    async def last_fingerprint(self, session: Session) -> Fingerprint | None:
        """The schema after the last run, as it was stored; None: it was not."""
        digest = await self.last_digest(session)
        if not digest:
            return None
        rows = await session.fetch_all(self.statement("objects"))
        objects = sorted((SchemaObject(*row) for row in rows), key=_kind_and_identity)
        return Fingerprint(digest, tuple(objects))

    async def store_fingerprint(self, session: Session, fingerprint: Fingerprint) -> None:
        """Store the schema that drift is measured from, in place of the one before.

        It counts once the last run has its digest too.
        """
        objects = fingerprint.objects
        async with session.transaction():
            await session.execute(
                self.statement("store_fingerprint"),
                {"digest": fingerprint.digest, "format": FINGERPRINT_FORMAT},
            )
            await session.execute(
                self.statement("store_objects"),
                # As one text: the driver takes several times as long over arrays of thousands.
                {"objects": json.dumps(list(map(_fields, objects)), ensure_ascii=False)},
            )

    async def record_drift(self, session: Session, digest: str, objects: int) -> str:
        """Record how many objects differ now from the schema of this digest, for who watches.

        Returns why that cannot be, as where nothing may be written; empty: it is recorded.
        """
        version = await self._version(session)
        if version < LEDGER_VERSION:
            return (
                f"the ledger is of version {version}, and an apply, also one with nothing to do, "
                f"brings it to {LEDGER_VERSION}"
            )
        try:
            parameters = {"digest": digest, "objects": objects}
            await session.execute(self.statement("record_drift"), parameters)
        except (PermissionMissing, ReadOnlyServer) as error:
            return error.message
        return ""

    def statement(self, name: str) -> Statement:
        """One of the statements in `sql/`, on the relations of this ledger."""
        return ledger_statement(self.schema, name)

    async def exists(self, session: Session) -> bool:
        """Whether there is a ledger."""
        return await self._version(session) > 0

    async def _version(self, session: Session) -> int:
        """The version of the ledger; 0: there is none."""
        layout = await self._layout(session)
        layout.check()
        if not layout.exists:
            return 0
        try:
            row = await session.fetch_one(self.statement("version"))
        except PermissionMissing as error:
            raise await self._permission_missing(session, error) from error
        version = 0 if row is None else int(row[0])
        if version > LEDGER_VERSION:
            raise LedgerNewer(self.database, self.schema, version, LEDGER_VERSION)
        if version < 1:
            raise layout.version_missing()
        return version

    async def _layout(self, session: Session) -> Layout:
        found = self.statement("ledger_found")
        return await Layout.of(session, self.database, self.schema, found)

    async def _insert(self, session: Session, run: NewRun) -> int:
        row = await session.fetch_one(self.statement("insert_run"), run_parameters(run))
        if row is None:
            raise self._row_lost()
        return int(row[0])

    def _read_runs(self, rows: str) -> list[LedgerRun]:
        runs = []
        for columns in json.loads(rows):
            id_ = columns.get("id")
            try:
                runs.append(read_run(columns))
            except ValueError as error:
                raise LedgerDamaged(
                    self.database,
                    self.schema,
                    f"row {id_} of its table migration_runs has {error}, as no dbopsd writes it",
                    "correct that row, or restore it from a backup of this database",
                ) from error
        return runs

    async def _update(self, session: Session, name: str, parameters: dict[str, Any]) -> None:
        if not await session.execute(self.statement(name), parameters):
            raise self._row_lost()

    def _row_lost(self) -> LedgerDamaged:
        return LedgerDamaged(
            self.database,
            self.schema,
            "its table migration_runs does not take the row of this run, or has lost it",
            f"drop the trigger or the rule on {quoted(self.schema, 'migration_runs')} that keeps "
            "rows out",
        )

    async def _permission_missing(
        self, session: Session, error: PermissionMissing
    ) -> PermissionMissing | LedgerPermissionMissing:
        """What helps. The error as it is where nothing can be asked in the same transaction."""
        return await self._with_grant(session, error.cause) if session.usable else error

    async def _check_privileges(self, session: Session) -> None:
        row = await session.fetch_one(self.statement("may_write"), {"schema": self.schema})
        if row != (True,):
            raise await self._with_grant(session, "permission denied to write its tables")

    async def _with_grant(self, session: Session, cause: str) -> LedgerPermissionMissing:
        row = await session.fetch_one(self.statement("role_and_database"))
        role, database = ("", "") if row is None else row
        layout = await self._layout(session)
        if not layout.schema_exists:
            grant = f"GRANT CREATE ON DATABASE {quoted(database)} TO {quoted(role)}"
        elif not layout.exists:
            grant = f"GRANT USAGE, CREATE ON SCHEMA {quoted(self.schema)} TO {quoted(role)}"
        else:
            grant = f"make {quoted(role)} a member of the owner of schema {quoted(self.schema)}"
        return LedgerPermissionMissing(self.database, self.schema, cause, grant)


def _running(runs: Iterable[LedgerRun]) -> frozenset[int]:
    return frozenset(run.id for run in runs if run.result is Result.RUNNING)


def _fields(each: SchemaObject) -> dict[str, str | int]:
    return {
        "kind": each.kind,
        "identity": each.identity,
        "definition": each.definition,
        "position": each.position,
        "owner_and_grants": each.owner_and_grants,
    }


def _kind_and_identity(each: SchemaObject) -> tuple[str, str]:
    return (each.kind, each.identity)
