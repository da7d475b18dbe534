"""A database whose backups and WAL go to a directory, without a daemon.

async with backed_up(server, tmp_path) as database, storing_wal(server, database):
    await create_backup(OperationRun(database, tmp_path), CreateBackupRequest())
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from opentelemetry.metrics import NoOpMeter
from opentelemetry.trace import NoOpTracer
from pydantic import SecretStr

from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.repository import Repository, open_repository
from dbopsd.backup.wal.archive import Mark, mark_key
from dbopsd.backup.wal.day_keys import DayKeys
from dbopsd.backup.wal.mark_seals import seal_mark
from dbopsd.backup.wal.stored_wal import WalWriter
from dbopsd.config import DatabaseConfig
from dbopsd.db.database import Database
from tests.support.servers import PostgresServer, Settings

# `storing_wal` has no slot, and looks now and then: the server must not remove WAL before.
BACKUP_SETTINGS: Settings = {
    # A standby refuses a backup with pages that may be torn.
    "full_page_writes": True,
    "max_wal_senders": 10,
    "wal_level": "replica",
    "fsync": False,
    "wal_keep_size": "1GB",
}


@asynccontextmanager
async def backed_up(
    server: PostgresServer, directory: Path, *, dsn: str = "", name: str = "main", **backup: Any
) -> AsyncIterator[Database]:
    """The server's database `postgres`, with a store in `directory`/store.

    `backup` are settings of its `[databases.NAME.backup]`.
    """
    settings = {"store": (directory / "store").as_uri(), **backup}
    config = DatabaseConfig.model_validate(
        {
            "dsn": SecretStr(dsn or server.dsn()),
            "pg_bin": server.bin_dir,
            "backup": settings,
        }
    )
    database = Database(name, config, tracer=NoOpTracer(), meter=NoOpMeter("tests"))
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def repository_of(database: Database) -> AsyncIterator[Repository]:
    """The repository of the database."""
    async with open_repository(database.name, database.config.backup) as repository:
        yield repository


class WalStorer:
    """Stores the WAL of a server from its own files, as a receiver would, each time it is asked.

    It sets marks as one does, too, as long as the server takes writes.
    """

    def __init__(self, server: PostgresServer, repository: Repository) -> None:
        self._server = server
        ((system, segment_bytes),) = server.execute(
            "SELECT system_identifier::text, bytes_per_wal_segment"
            " FROM pg_control_system(), pg_control_init()"
        )
        self._segment_bytes = int(str(segment_bytes))
        self._repository = repository
        self._layout = repository.layout(str(system))
        self._writer = WalWriter(repository, self._layout)
        self._day_keys = DayKeys(repository, self._layout)
        self._stored: set[Path] = set()
        self._end = Lsn(0)

    async def store(self) -> None:
        """Store every segment that is whole, and the beginning of the one that is not."""
        at, end, timeline = await asyncio.to_thread(self._flushed)
        for path in sorted(self._files()):
            try:
                segment = Segment.parse(path.name, self._segment_bytes)
            except ValueError:
                if path.suffix == ".history":
                    await self._writer.store_history(int(path.stem, 16), path.read_bytes())
                continue
            if path in self._stored or segment.start >= end:
                continue
            if timeline not in (0, segment.timeline):
                continue  # the end of a timeline that was left is not the end of its segment
            content = path.read_bytes()
            if segment.end <= end:
                await self._writer.store_segment(segment, content)
                self._stored.add(path)
            elif end != self._end:
                await self._writer.store_partial(segment, content[: end - segment.start])
        self._end = end
        if timeline:
            data_key = await self._day_keys.of_today()
            key = mark_key(self._layout, seal_mark(self._layout, Mark(timeline, end, at), data_key))
            await self._repository.store.create(key, b"")

    def _files(self) -> list[Path]:
        return [each for each in (self._server.data_dir / "pg_wal").iterdir() if each.is_file()]

    def _flushed(self) -> tuple[datetime, Lsn, int]:
        """The server's time, up to where it has flushed after that, and on which timeline.

        The timeline is 0 on a standby.
        """
        ((at,),) = self._server.execute("SELECT extract(epoch FROM clock_timestamp())")
        ((text, name),) = self._server.execute(
            "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn()"
            " ELSE pg_current_wal_flush_lsn() END)::text,"
            " CASE WHEN NOT pg_is_in_recovery()"
            " THEN pg_walfile_name(pg_current_wal_flush_lsn()) END"
        )
        timeline = int(str(name)[:8], 16) if name else 0
        return datetime.fromtimestamp(float(str(at)), UTC), Lsn.parse(str(text)), timeline


@asynccontextmanager
async def storing_wal(server: PostgresServer, database: Database) -> AsyncIterator[None]:
    """Keep storing the server's WAL during the body, and once more at its end."""
    async with repository_of(database) as repository:
        storer = WalStorer(server, repository)

        async def keep_storing() -> None:
            while True:
                with contextlib.suppress(psycopg.OperationalError):  # it is being restarted
                    await storer.store()
                await asyncio.sleep(0.05)

        storing = asyncio.create_task(keep_storing())
        try:
            yield
        finally:
            storing.cancel()
            await asyncio.wait([storing])
        await storer.store()
