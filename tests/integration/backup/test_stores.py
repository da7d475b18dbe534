"""The contract of stores: on the file system, and on two real S3 servers."""

import asyncio
import contextlib
import functools
import os
import pwd
import random
import resource
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from dbopsd.backup.store.base import Content, Store
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import (
    ObjectExists,
    ObjectMissing,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnavailable,
    StoreUnsuitable,
)
from dbopsd.backup.store.file_store import FileStore
from dbopsd.backup.store.stores import open_store
from tests.support.failing_store import no_pauses
from tests.support.s3_servers import S3Server, s3_server

SERVERS = ("moto", "localbucket")

_MIB = 2**20
_RACERS = 16


@pytest.fixture(scope="module", params=SERVERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[S3Server]:
    with s3_server(request.param, tmp_path_factory.mktemp("s3") / "root") as found:
        yield found


@pytest.fixture(scope="module", params=("file", *SERVERS))
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[S3Server | None]:
    """A server for stores; None for the file system."""
    if request.param == "file":
        yield None
        return
    with s3_server(request.param, tmp_path_factory.mktemp("s3") / "root") as found:
        yield found


def _open(place: S3Server | None, folder: Path) -> Store:
    if place is None:
        return FileStore(folder / "store")
    return open_store(place.config(f"{folder.name}/deeper"))


@pytest.fixture
async def store(place: S3Server | None, tmp_path: Path) -> AsyncIterator[Store]:
    opened = _open(place, tmp_path)
    yield opened
    await opened.close()


async def _keys(store: Store, prefix: str = "") -> list[str]:
    return sorted([each.key async for each in store.list(prefix)])


class TestEveryStore:
    @pytest.mark.parametrize(
        "content", [b"", b"\0", b"text", bytearray(b"text"), memoryview(b"a text")[2:]]
    )
    async def test_gives_back_what_was_created(self, store: Store, content: Content) -> None:
        before = time.time()
        await store.create("a/b/c.1", content)
        assert await store.read("a/b/c.1") == content
        info = await store.info("a/b/c.1")
        assert info is not None
        assert (info.key, info.size_bytes) == ("a/b/c.1", len(content))
        # S3's times are whole seconds.
        assert before - 1.1 <= info.modified_at <= time.time() + 1.1
        (listed,) = [each async for each in store.list("a/")]
        assert (listed.key, listed.size_bytes) == (info.key, info.size_bytes)
        assert abs(listed.modified_at - info.modified_at) < 1

    async def test_takes_every_character_of_keys(self, store: Store) -> None:
        key = "AZaz09_=+-/x.y=z+1-2_3.json/" + "k" * 200
        await store.create(key, b"1")
        assert await _keys(store) == [key]
        assert await store.read(key) == b"1"
        await store.delete(key)
        assert await _keys(store) == []

    @pytest.mark.parametrize(
        "key", ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", ".a", "a b", "ä", "a\0", "a" * 201]
    )
    async def test_refuses_what_is_no_key(self, store: Store, key: str) -> None:
        for call in (store.create(key, b""), store.read(key), store.info(key), store.delete(key)):
            with pytest.raises(ValueError, match="no key"):
                await call

    async def test_refuses_what_is_no_prefix(self, store: Store) -> None:
        for prefix in ("a", "/", "../", "a//"):
            with pytest.raises(ValueError, match=r"no prefix|no key"):
                await _keys(store, prefix)

    async def test_overwrites_nothing(self, store: Store) -> None:
        await store.create("a", b"first")
        for content in (b"second", b"first", b""):
            with pytest.raises(ObjectExists):
                await store.create("a", content)
        assert await store.read("a") == b"first"

    async def test_lets_one_of_many_create_an_object(
        self, store: Store, place: S3Server | None, tmp_path: Path
    ) -> None:
        stores = [_open(place, tmp_path) for _ in range(_RACERS)]

        async def race(racer: int) -> bool:
            # "At the same moment, and neither has": it is asked again.
            while True:
                try:
                    await stores[racer].create("race", str(racer).encode())
                except ObjectExists:
                    return False
                except StoreUnavailable:
                    continue
                return True

        won = await asyncio.gather(*(race(racer) for racer in range(_RACERS)))
        assert won.count(True) == 1
        assert await store.read("race") == str(won.index(True)).encode()
        for each in stores:
            await each.close()

    async def test_says_that_an_object_is_not_there(self, store: Store) -> None:
        for key in ("none", "a/none", "a/there/none"):
            with pytest.raises(ObjectMissing):
                await store.read(key)
            assert await store.info(key) is None
            await store.delete(key)
            await store.create("a/there", b"") if key == "none" else None
        assert await _keys(store) == ["a/there"]

    async def test_creates_again_what_was_deleted(self, store: Store) -> None:
        await store.create("a/b/c", b"first")
        await store.delete("a/b/c")
        assert await _keys(store) == []
        await store.create("a/b/c", b"second")
        assert await store.read("a/b/c") == b"second"

    async def test_lists_whole_parts_of_keys(self, store: Store) -> None:
        keys = ["a/1", "a/b/2", "ab/3", "a-b/4", "c"]
        for key in keys:
            await store.create(key, b"")
        assert await _keys(store) == sorted(keys)
        assert await _keys(store, "a/") == ["a/1", "a/b/2"]
        assert await _keys(store, "a/b/") == ["a/b/2"]
        assert await _keys(store, "nothing/") == []
        assert await _keys(store, "c/") == []

    async def test_names_folders(self, store: Store) -> None:
        for key in ("b/1", "a/b/2", "a/c/d/3", "a/e", "a-b/4"):
            await store.create(key, b"")
        assert await store.folders() == ["a", "a-b", "b"]
        assert await store.folders("a/") == ["b", "c"]
        assert await store.folders("b/") == []
        assert await store.folders("nothing/") == []

    async def test_lists_more_than_a_page(self, store: Store) -> None:
        limit = asyncio.Semaphore(8)

        async def create(number: int) -> None:
            async with limit:
                await store.create(f"many/{number:05}", b"")

        await asyncio.gather(*(create(number) for number in range(1_005)))
        assert await _keys(store, "many/") == [f"many/{number:05}" for number in range(1_005)]

    async def test_keeps_the_bytes_of_large_objects(self, store: Store) -> None:
        content = random.Random(1).randbytes(24 * _MIB)
        await store.create("large", content)
        assert await store.read("large", len(content)) == content

    async def test_can_be_used_for_backups(self, store: Store) -> None:
        await DurableStore(store).require_create_only()
        assert await _keys(store) == []


class TestBuckets:
    async def test_nothing_unfinished_stays_on_the_server(
        self, server: S3Server, tmp_path: Path
    ) -> None:
        store = open_store(server.config(tmp_path.name))
        content = bytes(48 * _MIB)
        for delay_s in (0, 0.001, 0.01, 0.03, 0.1):
            task = asyncio.create_task(store.create(f"cut-{delay_s:g}", content))
            await asyncio.sleep(delay_s)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await store.create("whole", content)
        assert server.unfinished_uploads() == []
        for each in [found async for found in store.list()]:
            assert each.size_bytes == len(content), f"{each.key} is there in part"

    async def test_two_prefixes_are_two_stores(self, server: S3Server, tmp_path: Path) -> None:
        one = open_store(server.config(f"{tmp_path.name}/a"))
        other = open_store(server.config(f"{tmp_path.name}/ab"))
        await one.create("x", b"one")
        await other.create("x", b"other")
        assert await _keys(one) == ["x"]
        assert await one.read("x") == b"one"

    async def test_a_bucket_that_is_not_there_is_named(self, server: S3Server) -> None:
        config = server.config("").model_copy(update={"store": "s3://nowhere/x"})
        store = DurableStore(open_store(config))
        for call in (store.create("a", b""), store.read("a"), store.require_create_only()):
            with pytest.raises(StoreUnsuitable, match="bucket does not exist"):
                await call
        with pytest.raises(StoreUnsuitable, match="bucket does not exist"):
            _ = [each async for each in store.list()]

    async def test_a_server_that_hangs_or_is_gone_is_unavailable(self, tmp_path: Path) -> None:
        with s3_server("localbucket", tmp_path / "root") as server, no_pauses():
            config = server.config("x", timeout_s=0.3)
            store = DurableStore(open_store(config), deadline_s=config.timeout_s, attempts=2)
            await store.create("a", b"1")
            server.process.send_signal(signal.SIGSTOP)
            for call in (store.create("b", b"2"), store.read("a"), store.info("a")):
                with pytest.raises(StoreUnavailable):
                    await call
            server.process.send_signal(signal.SIGCONT)
            assert await store.read("a") == b"1"
            server.process.kill()
            server.process.wait()
            for call in (store.create("c", b"3"), store.read("a"), store.delete("a")):
                with pytest.raises(StoreUnavailable):
                    await call
            with pytest.raises(StoreUnavailable):
                _ = [each async for each in store.list()]

    async def test_a_server_that_overwrites_is_refused(self, tmp_path: Path) -> None:
        with s3_server("pys3local", tmp_path / "root") as server:
            store = DurableStore(open_store(server.config("x")))
            with pytest.raises(StoreUnsuitable, match="overwrites"):
                await store.require_create_only()
            assert [each async for each in store.list()] == []


class TestDirectories:
    async def test_drafts_are_not_listed_and_old_ones_go(self, tmp_path: Path) -> None:
        store = FileStore(tmp_path)
        await store.create("a", b"1")
        incoming = tmp_path / ".incoming"
        assert list(incoming.iterdir()) == []
        old, new = incoming / "old", incoming / "new"
        for path, age_s in ((old, 3 * 86_400), (new, 3_600)):
            path.write_bytes(b"half")
            subprocess.run(["touch", "-d", f"-{age_s} seconds", str(path)], check=True)
        assert await _keys(store) == ["a"]
        await FileStore(tmp_path).create("b", b"2")
        assert list(incoming.iterdir()) == [new]

    async def test_nobody_else_may_read_it(self, tmp_path: Path) -> None:
        await FileStore(tmp_path / "store").create("a/b", b"1")
        modes = {path: path.stat().st_mode & 0o077 for path in (tmp_path / "store").rglob("*")}
        assert set(modes.values()) == {0}

    async def test_empty_directories_go_with_their_last_object(self, tmp_path: Path) -> None:
        store = FileStore(tmp_path)
        await store.create("a/b/c", b"1")
        await store.create("a/d", b"1")
        await store.delete("a/b/c")
        assert not (tmp_path / "a/b").exists()
        await store.delete("a/d")
        assert not (tmp_path / "a").exists()
        assert tmp_path.exists()

    async def test_creating_and_deleting_in_one_directory_go_together(self, tmp_path: Path) -> None:
        stores = [FileStore(tmp_path) for _ in range(4)]

        async def use(store: FileStore, name: int) -> None:
            for turn in range(40):
                key = f"shared/deeper/{name}-{turn}"
                await store.create(key, b"1")
                assert await store.read(key) == b"1"
                await store.delete(key)

        await asyncio.gather(*(use(store, name) for name, store in enumerate(stores)))
        assert await _keys(stores[0]) == []

    async def test_a_directory_that_vanishes_is_not_made_anew(self, tmp_path: Path) -> None:
        root, gone = tmp_path / "store", tmp_path / "gone"
        store = FileStore(root)
        await store.create("a/1", b"1")
        root.rename(gone)
        for call in (store.create("a/2", b"2"), store.read("a/1"), store.delete("a/1")):
            with pytest.raises(StoreUnavailable, match="its directory is gone"):
                await call
        with pytest.raises(StoreUnavailable, match="its directory is gone"):
            await _keys(store)
        assert not root.exists()
        root.mkdir()
        with pytest.raises(StoreUnavailable, match="another directory is in its place"):
            await store.create("a/2", b"2")
        root.rmdir()
        gone.rename(root)
        await store.create("a/2", b"2")
        assert await _keys(store) == ["a/1", "a/2"]

    async def test_links_lead_nowhere(self, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "1").write_bytes(b"not ours")
        subprocess.run(["touch", "-d", "-3 days", str(elsewhere / "1")], check=True)
        root = tmp_path / "store"
        root.mkdir()
        for name in ("a", ".incoming"):
            (root / name).symlink_to(elsewhere)
        (root / "b").symlink_to(elsewhere / "1")
        store = FileStore(root)
        await store.delete("a/1")
        with pytest.raises(StoreError):
            await store.create("c", b"")
        (root / ".incoming").unlink()
        for key in ("a/1", "b"):
            with pytest.raises((ObjectMissing, StoreUnavailable)):
                await store.read(key)
            assert await store.info(key) is None
        with pytest.raises(StoreError):
            await store.create("a/2", b"")
        assert await _keys(store) == []
        assert [path.name for path in elsewhere.iterdir()] == ["1"]

    async def test_a_pipe_is_not_waited_at(self, tmp_path: Path) -> None:
        store = FileStore(tmp_path)
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(StoreUnavailable, match="pipe is no file"):
            await store.read("pipe")
        assert await store.info("pipe") is None
        assert await _keys(store) == []

    async def test_a_full_disk_is_named_and_leaves_nothing(self, tmp_path: Path) -> None:
        with _small_disk(tmp_path / "disk") as disk:
            store = DurableStore(FileStore(disk))
            await store.create("small", b"1")
            with pytest.raises(StoreFull):
                await store.create("large", bytes(8 * _MIB))
            assert [each.key async for each in store.list()] == ["small"]
            assert list((disk / ".incoming").iterdir()) == []
            await store.create("small-too", b"2")

    async def test_a_directory_of_others_is_denied(self, tmp_path: Path) -> None:
        directory = tmp_path / "others"
        directory.mkdir(mode=0o500)
        with _nobody(), pytest.raises(StoreDenied):
            await DurableStore(FileStore(directory)).create("a", b"1")


@contextlib.contextmanager
def _small_disk(path: Path) -> Iterator[Path]:
    """A disk of 2 MiB; where none can be mounted, no file may be larger, which is full as well."""
    path.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", str(path))
    if subprocess.run(mount, capture_output=True).returncode:
        before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * _MIB, most))
        undo = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (before, most))
    else:
        undo = functools.partial(subprocess.run, ("umount", "--lazy", str(path)), check=True)
    try:
        yield path
    finally:
        undo()


@contextlib.contextmanager
def _nobody() -> Iterator[None]:
    """The process as an account that may do what everybody may: root may do everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_a_file_in_place_of_the_store_is_not_an_empty_store(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("no directory")
    store = FileStore(tmp_path / "store")
    with pytest.raises(StoreUnavailable, match="it is no directory"):
        [each async for each in store.list("main/")]
    with pytest.raises(StoreUnavailable, match="it is no directory"):
        await store.folders()
    await store.close()
