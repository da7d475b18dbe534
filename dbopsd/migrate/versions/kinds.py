"""The kinds of operation on versioned migrations.

What they do is loaded when it is done: the API process, which only starts them, and a worker that
has none to do go without the grammar of SQL, which is larger than all the rest.

None of them has a lock: who comes second waits for the database's own lock, which other processes
and other hosts respect too, and then does what is left.
"""

import importlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from dbopsd.migrate.versions.model.reports import (
    AdoptReport,
    BaselineReport,
    CheckReport,
    MigrationReport,
)
from dbopsd.migrate.versions.model.requests import (
    AdoptMigrationsRequest,
    ApplyMigrationsRequest,
    BaselineMigrationsRequest,
    CheckMigrationsRequest,
    RollbackMigrationsRequest,
)
from dbopsd.operations.kind import Kind, Run


def _work(module: str, name: str = "") -> Callable[[Run, Any], Awaitable[Any]]:
    """What a module of this package has under that name, or under its own."""

    async def work(run: Run, request: Any) -> Any:
        loaded = importlib.import_module(f"dbopsd.migrate.versions.{module}")
        return await getattr(loaded, name or module)(run, request)

    return work


CHECK_MIGRATIONS: Final = Kind(
    "check-migrations",
    CheckMigrationsRequest,
    CheckReport,
    _work("check_migrations"),
    clean_up=_work("roundtrip.round_trip", "clean_up"),
)
APPLY_MIGRATIONS: Final = Kind(
    "apply-migrations", ApplyMigrationsRequest, MigrationReport, _work("apply_migrations")
)
BASELINE_MIGRATIONS: Final = Kind(
    "baseline-migrations", BaselineMigrationsRequest, BaselineReport, _work("baseline_migrations")
)
ADOPT_MIGRATIONS: Final = Kind(
    "adopt-migrations", AdoptMigrationsRequest, AdoptReport, _work("adopt_migrations")
)


def rollback_migrations_kind(
    take_backup: Callable[[Run, str, float], Awaitable[str]],
) -> Kind[Any, Any]:
    """The kind of rollbacks, with what takes the backup that `backup_before` asks for.

    `take_backup` gets `schema` or `full` and for how many seconds it may wait for other backups; it
    returns the name of the backup.
    """

    async def work(run: Run, request: RollbackMigrationsRequest) -> MigrationReport:
        loaded = importlib.import_module("dbopsd.migrate.versions.rollback_migrations")
        report: MigrationReport = await loaded.rollback_migrations(run, request, take_backup)
        return report

    return Kind("rollback-migrations", RollbackMigrationsRequest, MigrationReport, work)
