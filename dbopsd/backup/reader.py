"""What is answered about the backups of every database without an operation."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from dbopsd.backup.backups import describe_backup, hold_backup, label_backup, list_backups
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.model.reports import BackupDescription, RecoveryWindows, WalState, WalStatus
from dbopsd.backup.repository import Repository, open_repository
from dbopsd.backup.restore.windows import list_windows
from dbopsd.backup.wal.status import read_status
from dbopsd.db.database import Database

_WELL: Final = (WalState.STREAMING, WalState.ARCHIVING, WalState.OFF)


class BackupReader:
    """Reads the stores anew at each call, so every process sees what others did.

    `database` is the id of one of `databases`. Every method raises `BackupsNotConfigured`,
    `KeyUnreadable` and what a store does.
    """

    def __init__(
        self,
        databases: Mapping[str, Database],
        last_problem: Callable[[str], Awaitable[str]],
        state_dir: Path | None = None,
    ) -> None:
        """`last_problem`: why the duty to receive a database's WAL last ended; empty: unknown."""
        self._databases = databases
        self._state_dir = state_dir
        self._last_problem = last_problem

    async def get(self, database: str, id_: str) -> BackupDescription:
        """A backup, with its objects. Raises `BackupNotFound`."""
        async with self._open(database) as opened:
            return await describe_backup(opened, id_)

    async def list(
        self, database: str, kind: BackupKind | None, *, expired: bool
    ) -> list[BackupDescription]:
        """The backups, the oldest first; `kind`: of this one only."""
        async with self._open(database) as opened:
            return await list_backups(opened, kind=kind, expired=expired)

    async def hold(self, database: str, id_: str, until: datetime | None) -> BackupDescription:
        """Hold a backup until then; None ends its hold. Raises `BackupNotFound`."""
        async with self._open(database) as opened:
            return await hold_backup(opened, id_, until)

    async def label(self, database: str, id_: str, label: str) -> BackupDescription:
        """Change the label of a backup. Raises `BackupNotFound`."""
        async with self._open(database) as opened:
            return await label_backup(opened, id_, label)

    async def windows(self, database: str) -> RecoveryWindows:
        """The moments that can be restored to, and every gap."""
        async with self._open(database) as opened:
            return await list_windows(opened)

    async def wal_status(self, database: str) -> WalStatus:
        """How far the WAL archive is."""
        async with self._open(database) as opened:
            status = await read_status(opened, self._databases[database])
        if status.state in _WELL:
            return status
        problem = await self._last_problem(database)
        return replace(status, problem=f"{status.problem}: {problem}") if problem else status

    def _open(self, database: str) -> AbstractAsyncContextManager[Repository]:
        backup = self._databases[database].config.backup
        return open_repository(database, backup, self._state_dir)
