"""A lease keeps things for its holder, whatever clocks say, and stops a holder that has lost it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dbopsd.backup.catalog.errors import BackupNotFound
from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.catalog.notes import NoteKind, write_note
from dbopsd.backup.codec.errors import BackupDamaged
from dbopsd.backup.leases import (
    CLOCK_MARGIN,
    BackupBeingDeleted,
    LeaseLost,
    delete_dead_leases,
    hold_lease,
    leases_of,
)
from dbopsd.backup.store.base import Content, ObjectInfo
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import StoreUnavailable
from dbopsd.backup.store.file_store import FileStore
from tests.support.patience import eventually

LAYOUT = Layout("main", "7000000000000000001")
BACKUP = "full-20261130t020000z-3f9a1c"
HOUR = timedelta(hours=1)
SHORT = timedelta(seconds=0.3)


class _Store(FileStore):
    """A store that takes no leases while it is `deaf`, and dates objects `dated` from now."""

    deaf = False
    refused = 0
    dated = timedelta()

    async def create(self, key: str, content: Content) -> None:
        if self.deaf:
            self.refused += 1
            raise StoreUnavailable(self.url, "it is deaf")
        await super().create(key, content)

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        async for each in super().list(prefix):
            at = each.modified_at + self.dated.total_seconds()
            yield ObjectInfo(each.key, each.size_bytes, at)


@pytest.fixture
async def files(tmp_path: Path) -> _Store:
    return _Store(tmp_path)


@pytest.fixture
async def store(files: _Store) -> AsyncIterator[DurableStore]:
    store = DurableStore(files, attempts=1)
    await store.create(LAYOUT.commit(BACKUP), b"{}")
    yield store
    await store.close()


def clock_off_by(offset: timedelta):
    return lambda: datetime.now(UTC) + offset


async def lease_objects(store: DurableStore) -> list[str]:
    return [each.key async for each in store.list(LAYOUT.leases)]


async def test_a_lease_is_there_during_the_body_only(store: DurableStore) -> None:
    async with hold_lease(store, LAYOUT, "restore-1", backups=[BACKUP], wal_from=Lsn(0x3000028)):
        (lease,) = await leases_of(store, LAYOUT)
        assert lease.holder == "restore-1"
        assert lease.backups == {BACKUP}
        assert lease.wal_from == Lsn(0x3000028)
        assert await leases_of(store, Layout("main", "7000000000000000002")) == []
    assert await lease_objects(store) == []


async def test_a_backup_that_is_being_made_needs_no_commit_record(store: DurableStore) -> None:
    async with hold_lease(store, LAYOUT, "create-1", backups=[BACKUP], making="full-2"):
        (lease,) = await leases_of(store, LAYOUT)
        assert lease.backups == {BACKUP, "full-2"}


async def test_a_lease_ends_with_a_body_that_fails(store: DurableStore) -> None:
    with pytest.raises(ZeroDivisionError):
        async with hold_lease(store, LAYOUT, "verify-1", backups=[BACKUP]):
            raise ZeroDivisionError
    assert await lease_objects(store) == []


@pytest.mark.parametrize("holder_off", [-HOUR, timedelta(), HOUR])
@pytest.mark.parametrize("reader_off", [-HOUR, timedelta(), HOUR])
async def test_clocks_an_hour_apart_end_no_lease(
    store: DurableStore, holder_off: timedelta, reader_off: timedelta
) -> None:
    holder, reader = clock_off_by(holder_off), clock_off_by(reader_off)
    async with hold_lease(store, LAYOUT, "restore-1", backups=[BACKUP], clock=holder):
        await delete_dead_leases(store, LAYOUT, clock=reader)
        assert [each.holder for each in await leases_of(store, LAYOUT, clock=reader)] == [
            "restore-1"
        ]


async def test_a_holder_whose_clock_is_far_behind_is_protected_by_the_date_of_the_store(
    store: DurableStore, files: _Store
) -> None:
    behind = clock_off_by(-10 * HOUR)
    async with hold_lease(store, LAYOUT, "restore-1", backups=[BACKUP], clock=behind):
        assert len(await leases_of(store, LAYOUT)) == 1
        files.dated = -10 * HOUR
        assert await leases_of(store, LAYOUT) == []


async def test_a_clock_that_is_set_back_makes_no_renewal_older(store: DurableStore) -> None:
    offset = timedelta()

    def clock() -> datetime:
        return datetime.now(UTC) + offset

    async with hold_lease(store, LAYOUT, "restore-1", backups=[BACKUP], term=SHORT, clock=clock):
        first = await lease_objects(store)
        offset = -HOUR
        await eventually(lambda: _renewed(store, first))
        assert max(await lease_objects(store)) > max(first)
        assert len(await leases_of(store, LAYOUT)) == 1


async def _renewed(store: DurableStore, first: list[str]) -> bool:
    return not set(first) & set(await lease_objects(store))


async def test_renewing_leaves_the_object_before_for_whoever_lists_meanwhile(
    store: DurableStore,
) -> None:
    async with hold_lease(store, LAYOUT, "restore-1", backups=[BACKUP], term=SHORT):
        first = await lease_objects(store)
        await eventually(lambda: _renewed(store, first))
        assert len(await lease_objects(store)) in (2, 3)
        assert len(await leases_of(store, LAYOUT)) == 1


async def test_a_body_outlives_many_terms_of_its_lease(store: DurableStore) -> None:
    loop = asyncio.get_running_loop()
    async with hold_lease(store, LAYOUT, "restore-1", backups=[BACKUP], term=SHORT):
        until = loop.time() + 5 * SHORT.total_seconds()
        await eventually(lambda: loop.time() > until)


async def test_a_body_is_stopped_whose_lease_cannot_be_renewed(
    store: DurableStore, files: _Store
) -> None:
    stopped = False
    with pytest.raises(LeaseLost, match=r"'restore-1' was stopped: .*it is deaf"):
        async with hold_lease(store, LAYOUT, "restore-1", backups=[BACKUP], term=SHORT):
            files.deaf = True
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                stopped = True
                raise
    assert stopped
    assert await lease_objects(store) == []


async def test_a_store_that_comes_back_in_time_stops_nothing(
    store: DurableStore, files: _Store
) -> None:
    term = timedelta(seconds=3)
    async with hold_lease(store, LAYOUT, "restore-1", backups=[BACKUP], term=term):
        first = await lease_objects(store)
        files.deaf = True
        await eventually(lambda: files.refused)
        assert await lease_objects(store) == first
        files.deaf = False
        await eventually(lambda: _more(store, first))


async def _more(store: DurableStore, first: list[str]) -> bool:
    return set(await lease_objects(store)) > set(first)


async def test_a_timeout_and_a_cancellation_of_the_body_stay_what_they_are(
    store: DurableStore,
) -> None:
    with pytest.raises(TimeoutError):
        async with (
            asyncio.timeout(0.05),
            hold_lease(store, LAYOUT, "restore-1", backups=[BACKUP]),
        ):
            await asyncio.Event().wait()
    with pytest.raises(TimeoutError):
        async with hold_lease(store, LAYOUT, "restore-1", backups=[BACKUP]):
            raise TimeoutError
    assert await lease_objects(store) == []


async def test_a_later_attempt_takes_over_what_a_killed_one_left(store: DurableStore) -> None:
    async with hold_lease(store, LAYOUT, "restore-1", backups=[BACKUP]):
        (left,) = await lease_objects(store)
        content = await store.read(left)
    await store.create(left, content)
    async with hold_lease(store, LAYOUT, "restore-1", backups=[BACKUP], wal_from=Lsn(1)):
        (lease,) = await leases_of(store, LAYOUT)
        assert lease.wal_from == Lsn(1)
    assert await lease_objects(store) == []


async def test_what_a_killed_holder_left_dies_after_term_and_margin(
    store: DurableStore, files: _Store
) -> None:
    async with hold_lease(store, LAYOUT, "restore-1", backups=[BACKUP]):
        (left,) = await lease_objects(store)
        content = await store.read(left)
    await store.create(left, content)
    late = clock_off_by(CLOCK_MARGIN + timedelta(minutes=14))
    assert len(await leases_of(store, LAYOUT, clock=late)) == 1
    later = clock_off_by(CLOCK_MARGIN + timedelta(minutes=16))
    assert await leases_of(store, LAYOUT, clock=later) == []
    await delete_dead_leases(store, LAYOUT, clock=late)
    assert await lease_objects(store) == [left]
    await delete_dead_leases(store, LAYOUT, clock=later)
    assert await lease_objects(store) == []


async def test_no_lease_on_a_backup_that_is_not_there_or_goes(store: DurableStore) -> None:
    async def take(backup: str) -> None:
        async with hold_lease(store, LAYOUT, "restore-1", backups=[backup]):
            raise AssertionError("the body ran")

    with pytest.raises(BackupNotFound):
        await take("full-20261130t020000z-000000")
    await write_note(store, LAYOUT, BACKUP, NoteKind.EXPIRED, {"deleting": True})
    with pytest.raises(BackupBeingDeleted, match=BACKUP):
        await take(BACKUP)
    await write_note(store, LAYOUT, BACKUP, NoteKind.KEPT, {})
    with pytest.raises(AssertionError, match="the body ran"):
        await take(BACKUP)
    assert await lease_objects(store) == []


@pytest.mark.parametrize("content", [b"", b"[]", b'{"backups": 5, "walFrom": "x"}'])
async def test_a_damaged_lease_is_an_error_and_not_none(
    store: DurableStore, content: bytes
) -> None:
    await store.create(f"{LAYOUT.leases}restore-1/9999999999999999.json", content)
    with pytest.raises(BackupDamaged):
        await leases_of(store, LAYOUT)
