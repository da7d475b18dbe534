"""A backup waits for its WAL as long as that is of use."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dbopsd.backup.catalog.lsn import SEGMENT_BYTES, Lsn, Segment
from dbopsd.backup.physical.archived_wal import Patience, wait_until_stored
from dbopsd.backup.physical.backup_manifest import NeededWal
from dbopsd.backup.physical.errors import WalNotStored
from dbopsd.backup.repository import Repository, open_repository
from dbopsd.backup.wal.archive import partial_key, segment_key
from dbopsd.config.backup import DatabaseBackupConfig

SYSTEM = "7571234567890123456"
# From the middle of segment 2 to the middle of segment 4.
NEEDED = NeededWal(1, Lsn(2 * SEGMENT_BYTES + 40), Lsn(4 * SEGMENT_BYTES + 1000))


@pytest.fixture
async def repository(tmp_path: Path) -> AsyncIterator[Repository]:
    config = DatabaseBackupConfig(store=tmp_path.as_uri())
    async with open_repository("main", config) as opened:
        yield opened


async def _store(
    repository: Repository, *numbers: int, partial: int | None = None, timeline: int = 1
) -> None:
    layout = repository.layout(SYSTEM)
    keys = [segment_key(layout, Segment(timeline, number)) for number in numbers]
    if partial is not None:
        keys.append(partial_key(layout, Segment(timeline, partial), 1000))
    for key in keys:
        await repository.store.create(key, b"")


async def _wait(
    repository: Repository,
    *needed: NeededWal,
    standstill_s: float = 0.3,
    gap_s: float = 0.2,
) -> list[tuple[int, int]]:
    told: list[tuple[int, int]] = []
    await wait_until_stored(
        repository,
        repository.layout(SYSTEM),
        needed or [NEEDED],
        SEGMENT_BYTES,
        Patience(standstill_s, gap_s, look_every_s=0.01),
        lambda done, total: told.append((done, total)),
    )
    return told


async def test_wal_that_is_there_is_not_waited_for(repository: Repository) -> None:
    await _store(repository, 2, 3, partial=4)
    assert await _wait(repository) == []


async def test_wal_may_come_later(repository: Repository) -> None:
    waiting = asyncio.create_task(_wait(repository, standstill_s=30))
    for number in (2, 3):
        await _store(repository, number)
        await asyncio.sleep(0.05)
        assert not waiting.done()
    await _store(repository, partial=4)
    told = await waiting
    assert told == sorted(told)
    assert told[-1] == (2 * SEGMENT_BYTES - 40, 2 * SEGMENT_BYTES + 960)


async def test_an_archive_that_stands_still_fails_the_backup(repository: Repository) -> None:
    await _store(repository, 2)
    with pytest.raises(WalNotStored, match="stands at 0/3000000"):
        await _wait(repository)


async def test_an_archive_that_moves_on_past_a_gap_fails_the_backup(
    repository: Repository,
) -> None:
    await _store(repository, 2, 4)
    waiting = asyncio.create_task(_wait(repository, standstill_s=30))
    for number in range(5, 1000):
        await _store(repository, number)
        if waiting.done():
            break
    with pytest.raises(WalNotStored, match="it is a gap"):
        await waiting


async def test_segments_may_come_in_another_order(repository: Repository) -> None:
    await _store(repository, 2, 4)
    waiting = asyncio.create_task(_wait(repository, gap_s=30, standstill_s=30))
    await asyncio.sleep(0.05)
    await _store(repository, 3)
    await waiting


async def test_each_timeline_counts(repository: Repository) -> None:
    switched = [
        NeededWal(1, NEEDED.start, Lsn(3 * SEGMENT_BYTES)),
        NeededWal(2, Lsn(3 * SEGMENT_BYTES), NEEDED.end),
    ]
    await _store(repository, 2, 3, 4)
    with pytest.raises(WalNotStored, match=r"timeline 2 .* none of that timeline"):
        await _wait(repository, *switched)
    await _store(repository, 3, partial=4, timeline=2)
    await _wait(repository, *switched)
