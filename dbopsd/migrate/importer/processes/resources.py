"""The sessions and the child processes that an import works with."""

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from dbopsd.db.database import Database
from dbopsd.db.session import Session
from dbopsd.migrate.importer.processes.limits import Limits
from dbopsd.migrate.importer.processes.messages import Setup
from dbopsd.migrate.importer.processes.pool import Processes, processes
from dbopsd.operations.kind import Run

_APPLICATION: Final = "dbopsd import"
_LEAST_PROCESSES: Final = 2
_MOST_PROCESSES: Final = 8

# An import takes the time that it takes, and is ended by cancelling the operation.
SETTINGS: Final = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "0",
    "maintenance_work_mem": "256MB",
    "client_min_messages": "error",
}


def import_session(database: Database) -> AbstractAsyncContextManager[Session]:
    """A session for statements that may take long. Raises a `ConnectFailed`."""
    return database.dedicated_session(
        "write", application_name=_APPLICATION, query_timeout_s=None, settings=SETTINGS
    )


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
