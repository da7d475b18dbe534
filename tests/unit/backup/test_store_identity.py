"""A store that is not the one that was there is no empty store."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dbopsd.backup.repository import Repository, open_repository
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import StoreNotPrepared, StoreReplaced, StoreUnavailable
from dbopsd.backup.store.file_store import FileStore
from dbopsd.backup.store.identity import MARKER, KnownStores
from dbopsd.config.backup import DatabaseBackupConfig
from tests.support.failing_store import FOR_EVER, Fault, Faults, stores_that_fail
from tests.support.golden_repository import DATABASE, SYSTEM

GOLDEN = Path(__file__).parent / "golden" / "format_1" / "store"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store of before there were marks of stores."""
    return shutil.copytree(GOLDEN, tmp_path / "store")


@asynccontextmanager
async def opened(root: Path, state: str = "state") -> AsyncIterator[Repository]:
    """The repository as one call, or one process, opens it."""
    config = DatabaseBackupConfig.model_validate({"store": root.as_uri()})
    async with open_repository(DATABASE, config, root.parent / state) as repository:
        yield repository


async def use(root: Path, state: str = "state") -> None:
    """Open it as whoever is about to write does."""
    async with opened(root, state) as repository:
        await repository.require_create_only()


async def systems(root: Path, state: str = "state") -> list[str]:
    async with opened(root, state) as repository:
        return await repository.systems()


async def test_a_store_that_nobody_has_used_yet_is_read(root: Path) -> None:
    assert await systems(root) == [SYSTEM]
    assert not (root / MARKER).exists()
    assert await systems(root.with_name("none")) == []


async def test_an_empty_directory_in_place_of_the_store_is_not_listed(root: Path) -> None:
    await use(root)
    root.rename(root.with_name("away"))
    for there in (False, True):
        if there:
            root.mkdir()  # where the disk was mounted
        with pytest.raises(StoreReplaced, match="has no"):
            await systems(root)
        with pytest.raises(StoreReplaced, match="is not the one"):
            await use(root)
    assert list(root.iterdir()) == [], "nothing is written where the disk is mounted later"
    root.rmdir()
    root.with_name("away").rename(root)
    assert await systems(root) == [SYSTEM]


async def test_another_store_in_its_place_is_refused(root: Path) -> None:
    other = root.with_name("other")
    await use(root)
    await use(other, "elsewhere")
    first = (root / MARKER).read_bytes()
    root.rename(root.with_name("away"))
    other.rename(root)
    with pytest.raises(StoreReplaced, match="and had") as replaced:
        await systems(root)
    # Whoever wants the other one removes what the message names.
    Path(replaced.value.remembered_in).unlink()
    assert await systems(root) == []
    assert (root / MARKER).read_bytes() != first


async def test_a_store_that_is_wiped_while_it_is_open_is_found(root: Path) -> None:
    async with opened(root) as repository:
        await repository.require_create_only()
        await repository.store.require_same()
        for each in root.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        with pytest.raises(StoreReplaced):
            await repository.store.require_same()


async def test_who_has_no_memory_of_it_reads_it_and_remembers(root: Path) -> None:
    await use(root)
    assert await systems(root, "another-machine") == [SYSTEM]
    (root / MARKER).unlink()
    with pytest.raises(StoreReplaced):
        await systems(root, "another-machine")


async def test_many_that_begin_at_once_agree_which_store_it_is(tmp_path: Path) -> None:
    root = tmp_path / "store"
    await asyncio.gather(*(use(root, f"state-{number}") for number in range(8)))
    for number in range(8):
        assert await systems(root, f"state-{number}") == []


async def test_a_store_that_does_not_answer_is_not_called_another_one(root: Path) -> None:
    await use(root)
    with stores_that_fail(Faults(Fault.FAIL, count=FOR_EVER)), pytest.raises(StoreUnavailable):
        await systems(root)
    assert await systems(root) == [SYSTEM]


async def test_marking_is_the_same_whichever_call_fails(tmp_path: Path) -> None:
    with stores_that_fail(Faults()) as faults:
        await use(tmp_path / "whole")
    for fault in (Fault.FAIL, Fault.LOSE_ANSWER):
        for at in range(len(faults.calls)):
            root = tmp_path / f"{fault.value}-{at}" / "store"
            with stores_that_fail(Faults(fault, at)):
                await use(root)
            assert await systems(root) == []
            (root / MARKER).unlink()
            with pytest.raises(StoreReplaced):
                await systems(root)


async def test_a_damaged_mark_is_another_store(root: Path) -> None:
    await use(root)
    (root / MARKER).write_bytes(b"")
    with pytest.raises(StoreReplaced):
        await systems(root)


async def test_only_who_prepares_a_store_uses_a_new_one(tmp_path: Path) -> None:
    store = DurableStore(FileStore(tmp_path / "store"))
    with pytest.raises(StoreNotPrepared, match="nothing was stored"):
        await store.require_prepared()
    assert not (tmp_path / "store").exists()
    await store.prepare()
    await store.require_prepared()


async def test_a_store_is_used_where_it_cannot_be_kept_in_mind(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no directory")
    store = DurableStore(FileStore(tmp_path / "store"), known=KnownStores(tmp_path / "state" / "x"))
    await store.create("a", b"1")
    await store.prepare()
    assert await store.read("a") == b"1"
