"""Versioned migrations in the API process: the methods that start no operation."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from dbopsd.app.feature import Daemon, Served
from dbopsd.operations.program_runner import ProgramRunner

if TYPE_CHECKING:
    from dbopsd.migrate.versions.reader import MigrationReader


@asynccontextmanager
async def run_migrations(daemon: Daemon) -> AsyncIterator[Served]:
    """Answer about migrations for the time of the context."""
    # Here, or a worker would load the server too.
    from dbops.v1 import migrate_pb2  # noqa: PLC0415

    from dbopsd.rpc.migrate_service import MigrateService  # noqa: PLC0415
    from dbopsd.rpc.server import Service  # noqa: PLC0415

    def load() -> "MigrationReader":
        # At the first call: a daemon without migrations loads no layouts.
        from dbopsd.migrate.versions.reader import MigrationReader  # noqa: PLC0415

        return MigrationReader(daemon.databases, programs=programs)

    programs = ProgramRunner("read migrations", tracer=daemon.telemetry.tracer)
    service = MigrateService(daemon.databases.keys(), load)
    try:
        yield Served(
            services=[Service(migrate_pb2.DESCRIPTOR.services_by_name["MigrateService"], service)]
        )
    finally:
        await programs.close()
