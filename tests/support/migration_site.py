"""A folder of migrations and a database, and the operations on both without a worker."""

import asyncio
import dataclasses
import itertools
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import psycopg
from pydantic import SecretStr

from dbopsd.config import DatabaseConfig
from dbopsd.db.database import Database
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.errors import DbopsError
from dbopsd.migrate.versions import apply_migrations, rollback_migrations
from dbopsd.migrate.versions.apply.execution import Admission, Execution, Planner
from dbopsd.migrate.versions.folder.read_folder import read_folder
from dbopsd.migrate.versions.ledger.ledger import Ledger
from dbopsd.migrate.versions.ledger.read_run import read_run
from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun
from dbopsd.migrate.versions.model.migration_file import Folder
from dbopsd.migrate.versions.model.reports import MigrationReport
from dbopsd.migrate.versions.model.requests import (
    ApplyMigrationsRequest,
    RollbackMigrationsRequest,
)
from dbopsd.migrate.versions.plan.plan import PlannedRun
from dbopsd.operations.errors import FailedWithResult
from dbopsd.operations.kind import Run
from dbopsd.telemetry.setup import Telemetry
from tests.support.operation_run import OperationRun
from tests.support.patience import eventually


@dataclass
class Failed:
    """What an operation failed with: its error, and its report where it has one."""

    error: DbopsError
    report: MigrationReport | None


@dataclass
class MigrationSite:
    """`dsn` is looked at directly; dbopsd goes by `database`."""

    directory: Path
    dsn: str
    database: Database
    backups: list[str] = field(default_factory=list)
    """The kinds of backup that rollbacks have taken."""
    away_s: float = 60.0
    """`Execution.away_s`."""
    _operations: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def files(self) -> Path:
        return self.directory / "migrations"

    def write(self, name: str, text: str, rollback: str | None = None) -> None:
        """A file `name.sql`, and its rollback."""
        self.files.mkdir(exist_ok=True)
        (self.files / f"{name}.sql").write_text(text, encoding="utf-8")
        if rollback is not None:
            (self.files / f"{name}_rollback.sql").write_text(rollback, encoding="utf-8")

    def run(self, operation: str = "") -> OperationRun:
        """An attempt at an operation of its own."""
        return OperationRun(
            self.database, self.directory, operation or f"op-{next(self._operations)}"
        )

    async def apply(self, run: OperationRun | None = None, **request: Any) -> MigrationReport:
        return await apply_migrations.apply_migrations(
            run or self.run(), ApplyMigrationsRequest(**request)
        )

    async def apply_unchecked(
        self, run: OperationRun | None = None, **request: Any
    ) -> MigrationReport:
        """As `apply`, without a check, which starts two processes and would refuse some files."""
        asked = ApplyMigrationsRequest(**request)
        plan = apply_migrations.plan_of(self.database, [self.folder()], asked)
        return await self._execute(run, Direction.UP, plan, asked)

    async def rollback_unchecked(
        self, run: OperationRun | None = None, **request: Any
    ) -> MigrationReport:
        """As `rollback`, without a check."""
        asked = RollbackMigrationsRequest(**request)
        plan = rollback_migrations.plan_of(self.database, self.folder(), asked)
        return await self._execute(run, Direction.DOWN, plan, asked)

    def folder(self) -> Folder:
        """What the directory has, as if nothing were wrong with it."""
        config = self.database.config
        folder = read_folder(config.migrations_dir[0], config.migrations)
        return dataclasses.replace(folder, problems=())

    async def _execute(
        self,
        run: OperationRun | None,
        direction: Direction,
        plan: Planner,
        asked: ApplyMigrationsRequest | RollbackMigrationsRequest,
    ) -> MigrationReport:
        async def admit(_plan: Sequence[PlannedRun], _session: Session) -> Admission:
            return Admission()

        execution = Execution(
            run or self.run(), direction, plan, admit, asked.lock_wait_s, away_s=self.away_s
        )
        return await (execution.try_out() if asked.validate_only else execution.execute())

    async def rollback(self, run: OperationRun | None = None, **request: Any) -> MigrationReport:
        async def take_backup(_run: Run, kind: str, _wait_s: float) -> str:
            self.backups.append(kind)
            return f"databases/main/backups/{kind}-{len(self.backups)}"

        return await rollback_migrations.rollback_migrations(
            run or self.run(), RollbackMigrationsRequest(**request), take_backup
        )

    @staticmethod
    async def failure(ends: Awaitable[MigrationReport]) -> Failed:
        """What an operation ends with that is to fail."""
        try:
            report = await ends
        except FailedWithResult as failed:
            return Failed(failed.cause, cast("MigrationReport", failed.result))
        except DbopsError as error:
            return Failed(error, None)
        raise AssertionError(f"it ended well: {report}")

    async def runs(self) -> list[LedgerRun]:
        """Every row of the ledger."""
        rows = "SELECT to_json(r) FROM dbops.migration_runs AS r ORDER BY r.id"
        there = self.ask("SELECT to_regclass('dbops.migration_runs') IS NOT NULL") == [True]
        return [read_run(row) for row in self.ask(rows)] if there else []

    async def last_digest(self) -> str:
        """The digest that drift is measured from."""
        async with self.database.session() as session:
            return await Ledger.of(self.database).last_digest(session)

    def ask(self, query: str) -> list[Any]:
        """The rows of the last statement, if it has any; the first column where there is one."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(query)
            while cursor.nextset():
                pass
            rows = cursor.fetchall() if cursor.description else []
        return [row[0] if len(row) == 1 else row for row in rows]

    async def until(self, query: str, timeout_s: float = 20.0) -> None:
        """Wait until the query, about this database's activity or not, has rows."""

        async def has_rows() -> bool:
            return bool(await asyncio.to_thread(self.ask, query))

        await eventually(has_rows, timeout_s)

    @staticmethod
    def statement(text: str) -> Statement:
        return Statement(text, "test")

    def tables(self) -> list[str]:
        """The tables of schema public."""
        return self.ask(
            "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p')"
            " AND relnamespace = 'public'::regnamespace ORDER BY 1"
        )

    def indexes(self) -> list[tuple[str, bool]]:
        """The indexes of schema public, and whether each is valid."""
        return self.ask(
            "SELECT relname::text, indisvalid FROM pg_index JOIN pg_class c ON c.oid = indexrelid"
            " WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1"
        )


@asynccontextmanager
async def migration_site(
    directory: Path,
    dsn: str,
    telemetry: Telemetry,
    *,
    settings: Mapping[str, Any] | None = None,
    **migrations: Any,
) -> AsyncIterator[MigrationSite]:
    """`migrations`: what `[databases.NAME.migrations]` has; `settings`: what is above it."""
    files = directory / "migrations"
    files.mkdir(parents=True, exist_ok=True)
    store = {"backup": {"store": "file:///dev/null/none"}} if "backup_before" in migrations else {}
    config = DatabaseConfig.model_validate(
        {
            "dsn": SecretStr(dsn),
            "migrations_dir": str(files),
            "migrations": migrations,
            "pool": {"min_size": 0},
            **store,
            **(settings or {}),
        }
    )
    database = Database("main", config, tracer=telemetry.tracer, meter=telemetry.meter)
    await database.open()
    try:
        yield MigrationSite(directory, dsn, database)
    finally:
        await database.close()
