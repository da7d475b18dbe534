"""`dbopsd wal push`: what the server's `archive_command` runs for each finished WAL file.

It returns only when the file is in the store and was read back, so that the server may remove it.
Run again for the same file, as after a crash, it finds what is stored and compares it.
"""

import asyncio
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from dbopsd.backup.catalog.errors import BackupsNotConfigured
from dbopsd.backup.catalog.lsn import Segment
from dbopsd.backup.repository import open_repository
from dbopsd.backup.wal.stored_wal import WalWriter
from dbopsd.backup.wal.wal_pages import WalUnusable, check_pages, written_bytes
from dbopsd.config import Config
from dbopsd.errors import DatabaseNotFound, DbopsError, StatusCode

_SEGMENT: Final = re.compile(r"[0-9A-F]{24}")
_PARTIAL: Final = re.compile(r"(?P<segment>[0-9A-F]{24})\.partial")
_HISTORY: Final = re.compile(r"(?P<timeline>[0-9A-F]{8})\.history")
# Only says when a backup was made, of whatever program: restoring by dbopsd needs none.
_BACKUP_HISTORY: Final = re.compile(r"[0-9A-F]{24}\.[0-9A-F]{8}\.backup")
# What a restore writes to postgresql.auto.conf of the cluster.
_RESTORED: Final = re.compile(
    r"^# Written by dbopsd to recover this cluster\.$.*^archive_mode\b", re.MULTILINE | re.DOTALL
)


@dataclass(eq=False)
class RestoredServerArchives(DbopsError):
    """A restored server archives into the store that it was restored from."""

    reason: ClassVar[str] = "RESTORED_SERVER_ARCHIVES"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    directory: str

    @property
    def message(self) -> str:
        return (
            f"the server in '{self.directory}' was restored by dbopsd: its WAL is not stored among "
            "that of the database, unless you remove archive_mode from its postgresql.auto.conf"
        )


async def push_wal(config: Config, database: str, path: Path) -> None:
    """Store the WAL file at `path` (`%p` in `archive_command`), and read it back.

    Raises `WalConflict` where other WAL is stored under its name, `RestoredServerArchives`,
    `WalUnusable`, `BackupsNotConfigured`, `KeyWrong`, `BackupDamaged`, `StoreNotPrepared` where no
    daemon has used the store yet, and the store's other errors.
    """
    known = config.databases.get(database)
    if known is None:
        raise DatabaseNotFound(database)
    if known.backup is None or known.backup.wal == "off":
        raise BackupsNotConfigured(database)
    if _BACKUP_HISTORY.fullmatch(path.name):
        return
    system_identifier, content = await asyncio.to_thread(_read, path)
    async with open_repository(database, known.backup) as repository:
        # Not prepared here: the directory of a disk that is not mounted would take the WAL.
        await repository.store.require_prepared()
        await repository.store.require_create_only()
        writer = WalWriter(repository, repository.layout(system_identifier))
        if history := _HISTORY.fullmatch(path.name):
            await writer.store_history(int(history["timeline"], 16), content)
            return
        partial = _PARTIAL.fullmatch(path.name)
        if partial is None and not _SEGMENT.fullmatch(path.name):
            raise WalUnusable(path.name, "is no WAL file")
        segment = Segment.parse(path.name.removesuffix(".partial"), len(content))
        check_pages(segment, content, system_identifier)
        if partial is None:
            await writer.store_segment(segment, content)
        else:
            # The last of a timeline that the server has left.
            await writer.store_partial(segment, content[: written_bytes(content)])


def _read(path: Path) -> tuple[str, bytes]:
    """The system identifier of the server whose file it is, and the file's content."""
    # Not resolved: `pg_wal` may be a link to another disk.
    data = path.absolute().parent.parent
    try:
        # The first field of ControlFileData.
        (system_identifier,) = struct.unpack("<Q", (data / "global/pg_control").read_bytes()[:8])
        settings = data / "postgresql.auto.conf"
        if settings.exists() and _RESTORED.search(settings.read_text(errors="replace")):
            raise RestoredServerArchives(str(data))
        return str(system_identifier), path.read_bytes()
    except (OSError, struct.error) as error:
        raise WalUnusable(path.name, f"cannot be read in its data directory: {error}") from error
