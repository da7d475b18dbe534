"""Backups in the API process and in workers: their service, duties and schedules."""

import importlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from dbopsd.app.feature import Daemon, Served
from dbopsd.config import Config
from dbopsd.operations.duty import Duty, DutyKey, DutyRun
from dbopsd.operations.errors import ControlStoreUnavailable

if TYPE_CHECKING:
    from dbopsd.backup.reader import BackupReader
    from dbopsd.operations.service import Operations

RECEIVE_WAL: Final = "receive-wal"


@asynccontextmanager
async def run_backups(daemon: Daemon) -> AsyncIterator[Served]:
    """Answer about backups for the time of the context."""
    # Here, or a worker would load the server too.
    from dbops.v1 import backup_pb2  # noqa: PLC0415

    from dbopsd.rpc.backup_service import BackupService  # noqa: PLC0415
    from dbopsd.rpc.server import Service  # noqa: PLC0415

    def load() -> "BackupReader":
        # At the first call: a daemon without backups loads no stores, codecs and keys.
        from dbopsd.backup.reader import BackupReader  # noqa: PLC0415

        return BackupReader(
            daemon.databases,
            partial(_last_problem, daemon.operations),
            daemon.config.server.state_dir,
        )

    service = BackupService(daemon.databases.keys(), load)
    yield Served(
        services=[Service(backup_pb2.DESCRIPTOR.services_by_name["BackupService"], service)]
    )


def backup_duties(config: Config) -> Sequence[Duty]:
    """The duty to receive the WAL of each database, or to follow its `archive_command`."""
    return [
        Duty(RECEIVE_WAL, _receive_wal, database=name)
        for name, database in config.databases.items()
        if database.backup is not None and database.backup.wal != "off"
    ]


async def _last_problem(operations: "Operations", database: str) -> str:
    """Why the duty to receive the WAL of a database last ended by itself."""
    name = str(DutyKey(database, RECEIVE_WAL))
    try:
        return next(
            (each.last_problem for each in await operations.duties() if each.name == name), ""
        )
    except ControlStoreUnavailable:
        return ""


async def _receive_wal(run: DutyRun) -> None:
    loaded = importlib.import_module("dbopsd.backup.wal.receive")
    await loaded.receive_wal(run)
