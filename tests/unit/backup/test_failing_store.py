"""The store that fails as planned, and what `DurableStore` makes of each way of failing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import StoreFull, StoreUnavailable
from dbopsd.backup.store.file_store import FileStore
from tests.support.failing_store import (
    FOR_EVER,
    Call,
    FailingStore,
    Fault,
    Faults,
    no_pauses,
)

_DEADLINE_S = 0.2


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    """Calls that fail are tried again at once."""
    with no_pauses():
        yield


def _durable(root: Path, faults: Faults, deadline_s: float = _DEADLINE_S) -> DurableStore:
    store = FailingStore(FileStore(root), faults)
    # On a busy machine other calls than those that are to fail may pass the deadline.
    return DurableStore(store, deadline_s=deadline_s, attempts=5)


async def _use(store: DurableStore) -> None:
    await store.create("a/1", b"one")
    await store.create("a/2", b"two")
    assert [each.key async for each in store.list("a/")] == ["a/1", "a/2"]
    assert await store.read("a/1") == b"one"
    assert await store.info("a/2") is not None
    await store.delete("a/1")
    assert await store.info("a/1") is None
    await store.create("a/1", b"again")
    await store.close()


async def test_calls_are_counted(tmp_path: Path) -> None:
    faults = Faults()
    await _use(_durable(tmp_path, faults, deadline_s=60))
    assert len(faults.calls) == 8
    assert faults.calls[:3] == [Call("create", "a/1"), Call("create", "a/2"), Call("list", "a/")]
    assert faults.happened == 0


@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.HANG, Fault.LOSE_ANSWER])
@pytest.mark.parametrize("at", range(8))
async def test_one_failure_anywhere_is_got_over(tmp_path: Path, fault: Fault, at: int) -> None:
    faults = Faults(fault, at)
    await _use(_durable(tmp_path, faults))
    assert faults.happened == 1
    assert await FileStore(tmp_path).read("a/1") == b"again"


@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.HANG, Fault.LOSE_ANSWER, Fault.LATE])
async def test_a_store_that_stays_away_is_said_to_be_unavailable(
    tmp_path: Path, fault: Fault
) -> None:
    faults = Faults(fault, at=1, count=FOR_EVER)
    with pytest.raises(StoreUnavailable):
        await _use(_durable(tmp_path, faults))
    assert faults.happened >= 2


async def test_what_is_late_is_done_after_the_next_call(tmp_path: Path) -> None:
    store = FailingStore(FileStore(tmp_path), Faults(Fault.LATE, at=0))
    with pytest.raises(StoreUnavailable):
        await DurableStore(store, deadline_s=_DEADLINE_S, attempts=1).create("late", b"late")
    assert await store.info("late") is None
    assert await store.read("late") == b"late"


async def test_a_late_create_finds_what_the_next_attempt_created(tmp_path: Path) -> None:
    store = _durable(tmp_path, Faults(Fault.LATE, at=0))
    await store.create("late", b"late")
    assert await store.read("late") == b"late"


async def test_a_full_store_creates_nothing(tmp_path: Path) -> None:
    store = _durable(tmp_path, Faults(Fault.FULL, at=1, count=FOR_EVER))
    await store.create("a", b"1")
    with pytest.raises(StoreFull):
        await store.create("b", b"2")
    assert [each.key async for each in store.list()] == ["a"]
    await store.delete("a")


async def test_a_list_that_breaks_is_begun_again(tmp_path: Path) -> None:
    faults = Faults(Fault.FAIL, at=0, only=lambda call: call.method == "list")
    store = _durable(tmp_path, faults)
    for number in range(6):
        await store.create(f"a/{number}", b"")
    assert len([each async for each in store.list("a/")]) == 6
    assert faults.happened == 1
