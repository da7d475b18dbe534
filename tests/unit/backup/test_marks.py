"""Marks hold, and there are few of them."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.store.base import MOST_BYTES, Content, ObjectInfo, Store
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.wal.archive import Mark, TimelineWal, read_archive
from dbopsd.backup.wal.marks import Marks
from dbopsd.backup.wal.slot import Look

LAYOUT = Layout("main", "7300000000000000001")
BEGIN = datetime(2026, 11, 30, 8, tzinfo=UTC)
PAGE = 8192


def look(seconds: float, lsn: int, timeline: int = 1) -> Look:
    at = BEGIN + timedelta(seconds=seconds)
    return Look("7300000000000000001", at, timeline, lsn, 2**24, PAGE, True, 0, False, 1, None)


async def no_key() -> None:
    """Nothing is encrypted."""


class Keys(Store):
    """A store of names, in memory: marks have no content."""

    url = "memory:"

    def __init__(self) -> None:
        self.keys: set[str] = set()

    async def create(self, key: str, content: Content) -> None:
        assert content == b""
        self.keys.add(key)

    async def read(self, key: str, most_bytes: int = MOST_BYTES) -> bytes:
        raise NotImplementedError

    async def info(self, key: str) -> ObjectInfo | None:
        raise NotImplementedError

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        for key in sorted(self.keys):
            if key.startswith(prefix):
                yield ObjectInfo(key, 0, 0.0)

    async def folders(self, prefix: str = "") -> Sequence[str]:
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        self.keys.remove(key)


@pytest.fixture
def store() -> DurableStore:
    return DurableStore(Keys())


async def stored_marks(store: DurableStore) -> list[Mark]:
    archive = await read_archive(store, LAYOUT)
    return list(archive.timelines[1].marks) if archive.timelines else []


def seconds(marks: Sequence[Mark]) -> list[float]:
    return [(mark.at - BEGIN).total_seconds() for mark in marks]


async def test_a_mark_has_the_position_of_a_later_look(store: DurableStore) -> None:
    marks = Marks(store, LAYOUT, TimelineWal(1), no_key)
    marks.looked(look(0, 1000))
    marks.looked(look(0.1, 1100))
    await marks.write(Lsn(5000))
    assert await stored_marks(store) == []
    marks.looked(look(1, 2000))
    await marks.write(Lsn(1999))
    assert await stored_marks(store) == []
    await marks.write(Lsn(2000))
    assert await stored_marks(store) == [Mark(1, Lsn(2000), BEGIN + timedelta(seconds=0.1))]


async def test_a_page_that_is_not_begun_is_not_waited_for(store: DurableStore) -> None:
    marks = Marks(store, LAYOUT, TimelineWal(1), no_key)
    for second, lsn in enumerate((2**24 + 40, 2**24 + 40, 2**24 + PAGE + 24)):
        marks.looked(look(second, lsn))
    await marks.write(Lsn(2**24))
    assert [mark.lsn for mark in await stored_marks(store)] == [2**24]


async def test_a_day_of_work_leaves_few_marks(store: DurableStore) -> None:
    marks = Marks(store, LAYOUT, TimelineWal(1), no_key)
    hours = 26
    for second in range(0, hours * 3600, 50):
        marks.looked(look(second, 1000 + second * 8))
        await marks.write(Lsn(2**40))
    found = await stored_marks(store)
    # One a minute for a day, one an hour before, and the newest.
    assert len(found) <= 24 * 60 + 6
    assert seconds(found)[-1] == hours * 3600 - 100
    gaps = [after - before for before, after in pairwise(seconds(found))]
    assert max(gaps) <= 3600
    assert max(gaps[-20:]) <= 100


async def test_an_idle_server_has_one_mark_whose_time_goes_on(store: DurableStore) -> None:
    marks = Marks(store, LAYOUT, TimelineWal(1), no_key)
    for second in range(0, 3600, 5):
        marks.looked(look(second, 8000))
        await marks.write(Lsn(8000))
    found = seconds(await stored_marks(store))
    assert len(found) <= 3
    assert found[-1] >= 3600 - 70


async def test_a_clock_that_was_set_back_is_followed(store: DurableStore) -> None:
    marks = Marks(store, LAYOUT, TimelineWal(1), no_key)
    for second, lsn in ((3600, 1000), (3601, 1000), (1, 2000), (2, 2008), (3, 3000)):
        marks.looked(look(second, lsn))
    await marks.write(Lsn(9000))
    assert seconds(await stored_marks(store)) == [2]


async def test_marks_of_an_earlier_process_are_thinned_too(store: DurableStore) -> None:
    first = Marks(store, LAYOUT, TimelineWal(1), no_key)
    for second in range(10):
        first.looked(look(second, 1000 + second * 8))
    await first.write(Lsn(9000))
    archive = await read_archive(store, LAYOUT)
    second_one = Marks(store, LAYOUT, archive.timelines[1], no_key)
    for second in range(10, 30):
        second_one.looked(look(second, 1000 + second * 8))
        await second_one.write(Lsn(9000))
    assert seconds(await stored_marks(store)) == [8, 28]
