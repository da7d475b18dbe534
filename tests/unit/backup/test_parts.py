"""Streams in parts: what was written comes back, or it is said which part is damaged and how."""

import asyncio
import hashlib
import random
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import pytest
import xxhash

from dbopsd.backup.codec.compression import Compression
from dbopsd.backup.codec.data_keys import DataKeys
from dbopsd.backup.codec.errors import BackupDamaged, Damage, KeyMissing
from dbopsd.backup.codec.key_files import KeyEncryptionKeys
from dbopsd.backup.codec.sealed_object import FRAME_BYTES
from dbopsd.backup.parts import PartWriter, StoredObject, read_object, read_parts
from dbopsd.backup.store.base import MOST_BYTES
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import ObjectExists, StoreFull, StoreUnavailable
from dbopsd.backup.store.file_store import FileStore
from tests.support import stream_memory
from tests.support.backup_keys import keys
from tests.support.failing_store import FOR_EVER, FailingStore, Fault, Faults
from tests.support.scratch import new_directory

_STEM: Final = "main/1/backups/full-1/base"
_PART_BYTES: Final = 1_500_000
# Of 200 MB that a worker may take, with what else it has loaded.
_MEMORY_KIB: Final = 140 * 1024
_STREAM_MIB: Final = 240


class _Place:
    """A store in a directory, with keys."""

    def __init__(self, root: Path, faults: Faults | None = None) -> None:
        self.root = root
        self.faults = faults or Faults()
        self.store = DurableStore(
            FailingStore(FileStore(root), self.faults), deadline_s=5, attempts=2
        )
        self.keys = DataKeys(self.store, "main/", keys("k1"))

    async def write(
        self, content: bytes, *, stem: str = _STEM, codec: str = "zstd:1", at_once: int = 100_000
    ) -> tuple[StoredObject, ...]:
        async with PartWriter(
            self.store,
            stem,
            Compression.parse(codec),
            await self.keys.create(),
            part_bytes=_PART_BYTES,
        ) as writer:
            for start in range(0, len(content), at_once):
                await writer.write(content[start : start + at_once])
            return await writer.finish()

    async def read(self, parts: tuple[StoredObject, ...]) -> bytes:
        frames = read_parts(self.store, self.keys, parts)
        return b"".join([bytes(frame) async for frame in frames])


@pytest.fixture
def place(tmp_path: Path) -> _Place:
    return _Place(tmp_path)


def _content(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("codec", ["zstd:1", "gzip:1", "none"])
@pytest.mark.parametrize("size", [0, 1, FRAME_BYTES, 7 * FRAME_BYTES + 1])
async def test_a_stream_comes_back(place: _Place, size: int, codec: str) -> None:
    content = _content(size)
    parts = await place.write(content, codec=codec)
    assert [part.path for part in parts] == [f"{_STEM}.{n:05}" for n in range(len(parts))]
    assert len(parts) == (4 if size > FRAME_BYTES else 1)
    assert sum(part.plain_bytes for part in parts) == size
    assert await place.read(parts) == content
    position = 0
    for part in parts:
        stored = (place.root / part.path).read_bytes()
        plain = content[position : position + part.plain_bytes]
        assert part.stored_bytes == len(stored)
        assert part.sha256 == hashlib.sha256(stored).hexdigest()
        assert part.plain_hash == xxhash.xxh3_128_hexdigest(plain)
        position += part.plain_bytes


@pytest.mark.parametrize("at_once", [1_000, FRAME_BYTES, 5 * FRAME_BYTES])
async def test_how_it_is_written_makes_no_difference(place: _Place, at_once: int) -> None:
    content = _content(4 * FRAME_BYTES + 5)
    assert await place.read(await place.write(content, at_once=at_once)) == content


async def test_progress_counts_what_is_stored(place: _Place) -> None:
    told: list[tuple[int, int]] = []
    content = _content(6 * FRAME_BYTES)
    async with PartWriter(
        place.store,
        _STEM,
        Compression(),
        None,
        progress=lambda plain, stored: told.append((plain, stored)),
        part_bytes=_PART_BYTES,
    ) as writer:
        await writer.write(content)
        parts = await writer.finish()
    assert told == sorted(told)
    assert told[-1] == (len(content), sum(part.stored_bytes for part in parts))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def _swap(path: Path) -> None:
    other = path.with_name("base.00002")
    first, second = path.read_bytes(), other.read_bytes()
    path.write_bytes(second)
    other.write_bytes(first)


def _other_cluster(path: Path) -> None:
    path.write_bytes((path.parents[3] / "2/backups/full-1/base.00001").read_bytes())


def _reorder(path: Path) -> None:
    content = path.read_bytes()
    starts = [44]
    while starts[-1] < len(content):
        at = starts[-1]
        starts.append(at + 4 + int.from_bytes(content[at : at + 4], "big"))
    one, two, three = starts[:3]
    path.write_bytes(content[:one] + content[two:three] + content[one:two] + content[three:])


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (Path.unlink, Damage.MISSING),
        (_empty, Damage.TRUNCATED),
        (_cut, Damage.TRUNCATED),
        (_flip, Damage.HASH),
        (_swap, Damage.FOREIGN),
        (_other_cluster, Damage.FOREIGN),
        (_reorder, Damage.ORDER),
    ],
)
async def test_damage_is_named(
    place: _Place, harm: Callable[[Path], object], problem: Damage
) -> None:
    content = _content(7 * FRAME_BYTES)
    parts = await place.write(content)
    await place.write(_content(7 * FRAME_BYTES, 2), stem="main/2/backups/full-1/base")
    harm(place.root / parts[1].path)
    with pytest.raises(BackupDamaged) as raised:
        await place.read(parts)
    assert (raised.value.object, raised.value.problem) == (parts[1].path, problem)
    seen = 0
    with pytest.raises(BackupDamaged):
        async for frame in read_parts(place.store, place.keys, parts):
            assert frame == content[seen : seen + len(frame)]
            seen += len(frame)
    assert seen == parts[0].plain_bytes, "nothing of a damaged part is given out"


async def test_a_whole_object_that_is_not_the_recorded_one_is_refused(place: _Place) -> None:
    content = _content(FRAME_BYTES)
    (part,) = await place.write(content)
    (place.root / part.path).unlink()
    await place.write(content)
    with pytest.raises(BackupDamaged) as raised:
        await place.read((part,))
    assert raised.value.problem is Damage.HASH


async def test_without_the_key_nothing_is_read(place: _Place) -> None:
    parts = await place.write(_content(10))
    other = DataKeys(place.store, "main/", keys("k2"))
    with pytest.raises(KeyMissing, match="'k1'"):
        _ = [frame async for frame in read_object(place.store, other, parts[0].path, parts[0])]


async def test_where_there_are_keys_what_is_not_encrypted_is_refused(place: _Place) -> None:
    async with PartWriter(place.store, _STEM, Compression(), None) as writer:
        await writer.write(b"somebody else's")
        parts = await writer.finish()
    with pytest.raises(BackupDamaged, match="not encrypted, and there are keys") as raised:
        await place.read(parts)
    assert raised.value.problem is Damage.FOREIGN
    place.keys = DataKeys(place.store, "main/", keys("k1", accepts_unencrypted=True))
    assert await place.read(parts) == b"somebody else's"
    place.keys = DataKeys(place.store, "main/", KeyEncryptionKeys())
    assert await place.read(parts) == b"somebody else's"


async def test_a_stream_is_not_written_over_another(place: _Place) -> None:
    parts = await place.write(_content(5 * FRAME_BYTES))
    with pytest.raises(ObjectExists):
        await place.write(_content(5 * FRAME_BYTES))
    assert await place.read(parts) == _content(5 * FRAME_BYTES)


class _LyingStore(FileStore):
    """One bit of what it gives back is another."""

    async def read(self, key: str, most_bytes: int = MOST_BYTES) -> bytes:
        content = bytearray(await super().read(key, most_bytes))
        if "base" in key:
            content[-1] ^= 1
        return bytes(content)


async def test_a_store_that_gives_other_bytes_back_is_found_while_writing(tmp_path: Path) -> None:
    store = DurableStore(_LyingStore(tmp_path))
    with pytest.raises(BackupDamaged, match="gives other bytes back"):
        async with PartWriter(store, _STEM, Compression(), None) as writer:
            await writer.write(b"content")
            await writer.finish()


@pytest.mark.parametrize(
    ("fault", "error"), [(Fault.FAIL, StoreUnavailable), (Fault.FULL, StoreFull)]
)
async def test_a_store_that_fails_ends_the_writing_and_nothing_goes_on(
    tmp_path: Path, fault: Fault, error: type[Exception]
) -> None:
    place = _Place(
        tmp_path, Faults(fault, at=2, count=FOR_EVER, only=lambda call: "base" in call.key)
    )
    with pytest.raises(error):
        await place.write(_content(40 * FRAME_BYTES))
    calls = len(place.faults.calls)
    await asyncio.sleep(0.05)
    assert len(place.faults.calls) == calls


async def test_a_reader_that_stops_early_leaves_nothing_running(place: _Place) -> None:
    parts = await place.write(_content(20 * FRAME_BYTES))
    frames: AsyncIterator[object] = read_parts(place.store, place.keys, parts)
    await anext(frames)
    await frames.aclose()  # type: ignore[attr-defined]
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


def test_memory_does_not_grow_with_the_stream() -> None:
    root = new_directory("dbopsd-parts-")
    command = [sys.executable, "-m", stream_memory.__name__, str(root), str(_STREAM_MIB)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    finally:
        shutil.rmtree(root)
    loaded, written, read = (int(line) for line in done.stdout.splitlines())
    assert loaded < written <= read < _MEMORY_KIB
