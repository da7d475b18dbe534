"""Where receiving begins is decided by what the slot keeps."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.store.errors import StoreUnavailable
from dbopsd.backup.wal.archive import WalArchive
from dbopsd.backup.wal.receiver import Receiver, SlotNotThere
from dbopsd.backup.wal.shipper import Progress
from dbopsd.backup.wal.slot import Look
from dbopsd.backup.wal.spool import Spool

SIZE = 2**20


def seen(restart_lsn: int | None) -> Look:
    at = datetime(2026, 11, 30, tzinfo=UTC)
    exists = restart_lsn is not None
    return Look("1", at, 1, 9 * SIZE, SIZE, 8192, exists, restart_lsn, False, 0, None)


@pytest.fixture
def progress() -> Progress:
    return Progress()


@pytest.fixture
def failures() -> list[Exception]:
    """What reading the archive fails with, and what recording holes in it does."""
    return []


@pytest.fixture
def receiver(tmp_path: Path, progress: Progress, failures: list[Exception]) -> Receiver:
    """One with an archive that is empty."""

    async def nothing(*_: object, **__: object) -> None:
        return None

    async def archive() -> WalArchive:
        if len(failures) > 1:
            raise failures.pop()
        return WalArchive(Layout("main", "1"))

    async def no_holes(_archive: WalArchive) -> int:
        if len(failures) == 1:
            raise failures.pop()
        return 0

    unused: Any = nothing
    shipper: Any = SimpleNamespace(ship=nothing)
    return Receiver(
        unused,
        unused,
        archive,
        no_holes,
        unused,
        Spool(tmp_path, SIZE),
        progress,
        shipper,
        name="dbopsd_main",
        major=18,
        look=unused,
        most_spool_bytes=2**30,
    )


def begun(directory: Path) -> Sequence[str]:
    return sorted(path.name for path in directory.iterdir())


async def test_an_archive_does_not_begin_before_there_is_a_slot(
    receiver: Receiver, progress: Progress, tmp_path: Path
) -> None:
    # As between the two statements by which another receiver creates it anew.
    with pytest.raises(SlotNotThere):
        await receiver._begin(seen(None))
    assert begun(tmp_path) == []
    await receiver._begin(seen(5 * SIZE + 100))
    assert progress.stored == Lsn(5 * SIZE)
    assert begun(tmp_path) == ["000000010000000000000005.partial"]


async def test_where_it_begins_is_found_again_after_the_store_failed(
    receiver: Receiver, progress: Progress, failures: list[Exception], tmp_path: Path
) -> None:
    failures += [StoreUnavailable("file:", "away"), StoreUnavailable("file:", "away")]
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await receiver._begin(seen(5 * SIZE))
        assert begun(tmp_path) == []
    await receiver._begin(seen(5 * SIZE))
    assert (progress.stored, progress.timeline) == (Lsn(5 * SIZE), 1)
    assert begun(tmp_path) == ["000000010000000000000005.partial"]
