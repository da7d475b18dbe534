"""Backups in the API process and in workers: their service, duties and schedules."""

import importlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from dbopsd.app.feature import Daemon, Served
from dbopsd.config import Config
from dbopsd.operations.duty import Duty, DutyRun

if TYPE_CHECKING:
    from dbopsd.backup.reader import BackupReader

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

        return BackupReader(daemon.databases)

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


async def _receive_wal(run: DutyRun) -> None:
    loaded = importlib.import_module("dbopsd.backup.wal.receive")
    await loaded.receive_wal(run)
