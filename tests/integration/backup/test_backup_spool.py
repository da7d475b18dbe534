"""The spool of a backup with tablespaces stays small, however slow the store is."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dbopsd.backup.model.requests import Checkpoint
from dbopsd.backup.physical.base_backup import BaseBackupRequest, StreamWriters
from dbopsd.backup.physical.spooled_backup import take_spooled_backup
from dbopsd.backup.store.base import Content
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.file_store import FileStore
from tests.support.backed_up import backed_up, repository_of
from tests.support.operation_run import OperationRun
from tests.support.servers import PostgresServer

SPOOL_BYTES = 8 * 2**20


class SlowStore(FileStore):
    """A store that takes an object only once the spool has been full for a while."""

    def __init__(self, root: Path, spool: Path) -> None:
        super().__init__(root)
        self._spool = spool
        self.most_bytes = 0

    async def create(self, key: str, content: Content) -> None:
        before = -1
        while (now := _disk_bytes(self._spool)) != before:
            before = now
            self.most_bytes = max(self.most_bytes, now)
            await asyncio.sleep(0.3)
        await super().create(key, content)


def _disk_bytes(folder: Path) -> int:
    """What the files below a folder take, without their holes."""
    total = 0
    for path in folder.rglob("*.tar"):
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total


@pytest.fixture
def tablespace(cluster: PostgresServer) -> Iterator[int]:
    """A tablespace with a table of so many bytes."""
    place = cluster.data_dir.parent / "large"
    place.mkdir()
    owner = cluster.data_dir.stat()
    os.chown(place, owner.st_uid, owner.st_gid)
    cluster.execute(f"CREATE TABLESPACE large LOCATION '{place}'")
    cluster.execute(
        "CREATE TABLE large TABLESPACE large AS"
        " SELECT repeat(md5(id::text), 100) AS text FROM generate_series(1, 1) AS id;"
        "ALTER TABLE large ALTER text SET STORAGE PLAIN;"
        "INSERT INTO large SELECT repeat(md5(id::text), 100) FROM generate_series(1, 40000) AS id"
    )
    ((size,),) = cluster.execute("SELECT pg_tablespace_size('large')")
    yield int(str(size))
    cluster.execute("DROP TABLE large")
    cluster.execute("DROP TABLESPACE large")
    shutil.rmtree(place)


async def test_a_store_that_is_slower_than_the_server_stops_the_program(
    cluster: PostgresServer, tmp_path: Path, tablespace: int
) -> None:
    async with (
        backed_up(cluster, tmp_path, wal="off", codec="none") as database,
        repository_of(database) as repository,
    ):
        run = OperationRun(database, tmp_path)
        store = SlowStore(tmp_path / "slow", run.scratch)
        slow = replace(repository, store=DurableStore(store))
        request = BaseBackupRequest(
            database="main",
            tool=cluster.bin_dir / "pg_basebackup",
            conninfo=cluster.dsn(),
            label="slow",
            checkpoint=Checkpoint.FAST,
            fetch_wal=True,
        )
        told: list[int] = []
        base = await take_spooled_backup(
            run,
            run.scratch,
            request,
            StreamWriters(slow, "backup/", None),
            told.append,
            spool_bytes=SPOOL_BYTES,
        )
        await run.close()
    (large,) = base.tablespaces
    stored = {each.name: sum(part.plain_bytes for part in each.parts) for each in base.streams}
    assert stored[str(large.oid)] > tablespace > 100 * 2**20
    assert told == sorted(told)
    # What the program writes between two looks at it comes on top.
    assert SPOOL_BYTES / 2 < store.most_bytes < 8 * SPOOL_BYTES
    assert list(run.scratch.iterdir()) == []
