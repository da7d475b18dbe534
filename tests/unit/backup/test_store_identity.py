"""A store that is not the one that was there is no empty store."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dbopsd.backup.repository import Repository, open_repository
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import (
    StoreEmpty,
    StoreMarkerDamaged,
    StoreMemoryUnreadable,
    StoreNotPrepared,
    StoreReplaced,
    StoreUnavailable,
)
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
        with pytest.raises(StoreReplaced, match="has no") as replaced:
            await systems(root)
        assert not replaced.value.has_backups
        assert "since 20" in replaced.value.message
        assert f"on {socket.gethostname()}" in replaced.value.message
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
    # Whoever wants the other one empties what the message names.
    Path(replaced.value.remembered_in).write_bytes(b"")
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


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"id": ""}', b'{"id": "%s"}' % (b"A" * 32), b'{"id": 7}', b"[" * 4000, "huge"],
)
async def test_a_mark_that_nobody_wrote_is_said_to_be_damaged(
    root: Path, content: bytes | str
) -> None:
    await use(root)
    whole = (root / MARKER).read_bytes()
    huge = b'{"id": "' + b"a" * 5000 + b'"}'
    (root / MARKER).write_bytes(huge if isinstance(content, str) else content)
    for state in ("state", "another-machine"):
        with pytest.raises(StoreMarkerDamaged) as damaged:
            await systems(root, state)
        assert len(damaged.value.message) < 500
        with pytest.raises(StoreMarkerDamaged):
            await use(root, state)
    with pytest.raises(StoreMarkerDamaged):
        await DurableStore(FileStore(root)).require_prepared()
    (root / MARKER).write_bytes(whole)
    assert await systems(root) == [SYSTEM]


async def test_what_is_remembered_and_cannot_be_read_is_named(root: Path) -> None:
    await use(root)
    (path,) = (root.parent / "state/backup/stores" / DATABASE).iterdir()
    path.write_bytes(b"junk")
    with pytest.raises(StoreMemoryUnreadable, match=path.name):
        await systems(root)
    path.unlink()
    path.mkdir()  # as one that root made for itself alone: not even root reads it
    with pytest.raises(StoreMemoryUnreadable, match="Is a directory") as unreadable:
        await systems(root)
    assert unreadable.value.path == str(path)


async def test_a_store_with_backups_and_no_mark_is_told_from_an_empty_one(root: Path) -> None:
    await use(root)
    (root / MARKER).unlink()
    with pytest.raises(StoreReplaced, match="if this is the right one, empty") as replaced:
        await use(root)
    assert replaced.value.has_backups
    Path(replaced.value.remembered_in).write_bytes(b"")
    await use(root)
    assert (root / MARKER).exists()
    assert await systems(root) == [SYSTEM]


async def test_an_empty_store_of_a_database_that_was_archived_is_not_taken_for_a_new_one(
    root: Path,
) -> None:
    mounted = root.with_name("mounted")
    root.rename(mounted)
    root.mkdir()

    async def evidence() -> str:
        return "it is a test"

    async def nothing() -> str:
        return ""

    async def check(answer: Callable[[], Awaitable[str]] = evidence) -> None:
        async with opened(root) as repository:
            await repository.store.require_not_emptied(answer)

    with pytest.raises(StoreEmpty, match="it is a test") as empty:
        await check()
    await check(nothing)
    # The first one that comes is known by what is in it.
    root.rmdir()
    mounted.rename(root)
    await check()
    root.rename(mounted)
    # A new one is begun by whoever creates what the message names.
    Path(empty.value.remember_in).parent.mkdir(parents=True)
    Path(empty.value.remember_in).touch()
    await check()
    await use(root)
    # And where one is known, another place needs no leave.
    async with opened(root.with_name("elsewhere")) as repository:
        await repository.store.require_not_emptied(evidence)


async def test_only_who_prepares_a_store_uses_a_new_one(tmp_path: Path) -> None:
    store = DurableStore(FileStore(tmp_path / "store"))
    with pytest.raises(StoreNotPrepared, match="nothing was stored"):
        await store.require_prepared()
    assert not (tmp_path / "store").exists()
    await store.prepare()
    await store.require_prepared()


async def test_a_store_is_used_where_it_cannot_be_kept_in_mind(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no directory")
    store = DurableStore(
        FileStore(tmp_path / "store"), known=KnownStores(tmp_path / "state", "main")
    )
    await store.create("a", b"1")
    await store.prepare()
    assert await store.read("a") == b"1"
