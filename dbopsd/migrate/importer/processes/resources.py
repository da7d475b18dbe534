"""The sessions and the child processes that an import works with."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from dbopsd.db.database import Database
from dbopsd.db.dsn import CATALOG_ONLY
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.processes.limits import Limits
from dbopsd.migrate.importer.processes.messages import Setup
from dbopsd.migrate.importer.processes.pool import Processes, processes
from dbopsd.operations.kind import Run

_APPLICATION: Final = "dbopsd import"
_LEAST_PROCESSES: Final = 2
_MOST_PROCESSES: Final = 8

# An import takes the time that it takes, and is ended by cancelling the operation.
SETTINGS: Final = {
    **CATALOG_ONLY,
    # Or a backslash in a literal of the file's would escape what follows it.
    "standard_conforming_strings": "on",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "0",
    "maintenance_work_mem": "256MB",
    "client_min_messages": "error",
}

_CATALOG_ONLY: Final = Statement(
    "SELECT pg_catalog.set_config("
    "'dbops.search_path', pg_catalog.current_setting('search_path'), false"
    "), pg_catalog.set_config('search_path', %s, false)",
    "SET search_path",
)


@asynccontextmanager
async def import_session(database: Database) -> AsyncIterator[Session]:
    """A session for statements that may take long. Raises a `ConnectFailed`.

    It finds things in pg_catalog alone. `dbops.search_path` is what the role would have instead.
    """
    settings = {name: value for name, value in SETTINGS.items() if name not in CATALOG_ONLY}
    async with database.dedicated_session(
        "write", application_name=_APPLICATION, query_timeout_s=None, settings=settings
    ) as session:
        await session.fetch_one(_CATALOG_ONLY, tuple(CATALOG_ONLY.values()))
        yield session


@asynccontextmanager
async def import_processes(run: Run, wanted: int = 0) -> AsyncIterator[Processes]:
    """The operation's child processes; `wanted` 0: one for each processor, from 2 to 8."""
    count = wanted or min(max(os.cpu_count() or 1, _LEAST_PROCESSES), _MOST_PROCESSES)
    login = run.database.login(application_name="dbopsd import process", settings=SETTINGS)
    setup = Setup(run.database.name, login, _limits(run), ("copy.copy_part",))
    async with processes(run, setup, count, tracer=run.tracer) as pool:
        yield pool


@asynccontextmanager
async def reading_process(run: Run) -> AsyncIterator[Processes]:
    """A process that reads the file alone, and cannot log in to PostgreSQL.

    It starts in a third of the time that one needs which can.
    """
    setup = Setup(run.database.name, "", _limits(run))
    async with processes(run, setup, 1, tracer=run.tracer) as reader:
        yield reader


def _limits(run: Run) -> Limits:
    config = run.database.config
    return Limits(int(config.import_memory_limit), config.import_cpu_limit_s)
