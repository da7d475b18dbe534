"""BackupService on stores in a directory, without any server."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbops.v1 import backup_pb2

from dbopsd.backup.reader import BackupReader
from dbopsd.config.backup import DatabaseBackupConfig
from dbopsd.rpc.backup_service import BackupService
from dbopsd.rpc.server import Service


@dataclass(frozen=True)
class Configured:
    """The part of a database that is read."""

    backup: DatabaseBackupConfig | None

    @property
    def config(self) -> "Configured":
        return self


async def _no_problem(_database: str) -> str:
    return ""


def backup_service(directory: Path, databases: Sequence[str], reader: Any = None) -> Service:
    """The service of these databases; the store of each is in `directory`."""
    # There is no server that could be asked about its WAL.
    config = DatabaseBackupConfig(store=f"file://{directory}", wal="off")
    known: dict[str, Any] = {name: Configured(config) for name in databases}
    return Service(
        backup_pb2.DESCRIPTOR.services_by_name["BackupService"],
        BackupService(databases, lambda: reader or BackupReader(known, _no_problem)),
    )
