"""A stream of any length in the store: cut into parts, each an object that is whole by itself.

Writing compresses in threads, seals in order, and stores two parts at once, each read back. So it
takes neither disk nor memory of the stream's size.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Self

import xxhash

from dbopsd.backup.codec.compression import Compression, compress
from dbopsd.backup.codec.data_keys import DataKeys
from dbopsd.backup.codec.errors import (
    NOT_ENCRYPTED,
    BackupDamaged,
    Damage,
    KeyMissing,
    KeyWrong,
)
from dbopsd.backup.codec.sealed_object import (
    FRAME_BYTES,
    DataKey,
    SealedWriter,
    data_key_id,
    most_stored_bytes,
    open_object,
)
from dbopsd.backup.store.base import Content
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import ObjectMissing, ObjectTooLarge

PART_BYTES: Final = 8 * 2**20
"""A part is closed once it has so many stored bytes: it is held in memory a few times."""

_BATCH_BYTES: Final = 2 * FRAME_BYTES
_BATCHES_AHEAD: Final = 3
_STORED_AT_ONCE: Final = 2
_THREADS: Final = 2
_FETCHED_AT_ONCE: Final = 2
_OPENED_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a commit record lists it. `path` is its key in the store.

    `plain_hash`: XXH3-128 of the content; `sha256`: of the stored bytes; both in hexadecimal.
    """

    path: str
    plain_bytes: int
    stored_bytes: int
    plain_hash: str
    sha256: str


Progress = Callable[[int, int], None]
"""Takes the plain and the stored bytes so far."""


def _no_progress(_plain_bytes: int, _stored_bytes: int) -> None:
    return


@dataclass
class _Part:
    """The part that is being made."""

    key: str
    writer: SealedWriter
    content: bytearray = field(default_factory=bytearray)
    plain_bytes: int = 0
    frames: int = 0

    def __post_init__(self) -> None:
        self.plain_hash = xxhash.xxh3_128()
        self.sha256 = hashlib.sha256()
        self._add(self.writer.header)

    def append(self, plain: Content, compressed: Content) -> None:
        self.plain_hash.update(plain)
        self.plain_bytes += len(plain)
        self._add(self.writer.seal(self.frames, compressed))
        self.frames += 1

    def close(self) -> StoredObject:
        digest = self.plain_hash.digest()
        self._add(self.writer.trailer(self.frames, self.plain_bytes, digest))
        return StoredObject(
            self.key, self.plain_bytes, len(self.content), digest.hex(), self.sha256.hexdigest()
        )

    def _add(self, piece: bytes) -> None:
        self.content += piece
        self.sha256.update(piece)


class PartWriter:
    """Writes a stream as the objects `{stem}.00000`, `{stem}.00001` and so on.

    A context manager: whatever happens, nothing is being written any more after it. An empty
    stream is one part without content.
    """

    def __init__(
        self,
        store: DurableStore,
        stem: str,
        compression: Compression,
        data_key: DataKey | None,
        *,
        progress: Progress = _no_progress,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._store = store
        self._stem = stem
        self._compression = compression
        self._data_key = data_key
        self._progress = progress
        self._part_bytes = part_bytes
        self._batch = bytearray()
        self._compressing: deque[asyncio.Future[list[tuple[Content, Content]]]] = deque()
        self._storing: deque[asyncio.Task[None]] = deque()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="backup-codec")
        self._objects: list[StoredObject] = []
        self._stored_bytes = self._plain_bytes = 0
        self._part = self._new_part()

    async def write(self, content: Content) -> None:
        """Take the next bytes. Raises what the store does, perhaps for bytes before these."""
        left = memoryview(content).cast("B")
        while left:
            room = _BATCH_BYTES - len(self._batch)
            self._batch += left[:room]
            left = left[room:]
            if len(self._batch) == _BATCH_BYTES:
                await self._compress()

    async def finish(self) -> tuple[StoredObject, ...]:
        """Store what is left, and return all parts in order, each read back."""
        if self._batch:
            await self._compress()
        while self._compressing:
            await self._seal()
        if self._part.frames or not self._objects:
            await self._close_part()
        while self._storing:
            await self._stored()
        return tuple(self._objects)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for each in self._storing:
            each.cancel()
        await asyncio.gather(*self._storing, *self._compressing, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _new_part(self) -> _Part:
        key = f"{self._stem}.{len(self._objects):05}"
        return _Part(key, SealedWriter(key, self._compression, self._data_key))

    async def _compress(self) -> None:
        batch, self._batch = self._batch, bytearray()
        loop = asyncio.get_running_loop()
        self._compressing.append(
            loop.run_in_executor(self._threads, _compressed, batch, self._compression)
        )
        if len(self._compressing) > _BATCHES_AHEAD:
            await self._seal()

    async def _seal(self) -> None:
        frames = await self._compressing[0]
        self._compressing.popleft()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._append, frames)
        if len(self._part.content) >= self._part_bytes:
            await self._close_part()

    def _append(self, frames: list[tuple[Content, Content]]) -> None:
        for plain, compressed in frames:
            self._part.append(plain, compressed)

    async def _close_part(self) -> None:
        described, content = self._part.close(), self._part.content
        self._objects.append(described)
        self._part = self._new_part()
        while len(self._storing) >= _STORED_AT_ONCE:
            await self._stored()
        self._storing.append(asyncio.create_task(self._put(described, content)))

    async def _stored(self) -> None:
        task = self._storing[0]
        await task
        self._storing.popleft()

    async def _put(self, described: StoredObject, content: bytearray) -> None:
        await self._store.create(described.path, content)
        del content
        await require_stored(self._store, described)
        self._stored_bytes += described.stored_bytes
        self._plain_bytes += described.plain_bytes
        self._progress(self._plain_bytes, self._stored_bytes)


async def require_stored(store: DurableStore, described: StoredObject) -> None:
    """Read an object back. Raises `BackupDamaged` unless it is what `described` says."""
    try:
        found = await store.sha256(described.path, described.stored_bytes)
    except ObjectMissing:
        raise BackupDamaged(described.path, Damage.MISSING, "it is not in the store") from None
    except ObjectTooLarge:
        raise BackupDamaged(described.path, Damage.HASH, "the store gives more back") from None
    if found.hex() != described.sha256:
        raise BackupDamaged(described.path, Damage.HASH, "the store gives other bytes back")


async def read_object(
    store: DurableStore,
    keys: DataKeys,
    path: str,
    described: StoredObject | None = None,
    *,
    most_plain_bytes: int = PART_BYTES,
) -> AsyncIterator[Content]:
    """The content of an object, some frames at a time, each checked; compared with `described`.

    Without `described`, it is refused if it is larger than any that has so many plain bytes. Raises
    `BackupDamaged`, `KeyMissing`, `KeyWrong`. Without `described`, the content is known to
    be whole only when the iterator has ended.
    """
    stored = await _fetched(store, keys, path, described, most_stored_bytes(most_plain_bytes))
    async for frame in _frames(path, stored, keys):
        yield frame


async def read_parts(
    store: DurableStore, keys: DataKeys, parts: Sequence[StoredObject]
) -> AsyncIterator[Content]:
    """The stream that was written as `parts`, of each only after its stored bytes were checked.

    The next part is fetched meanwhile. Raises `BackupDamaged`, `KeyMissing`, `KeyWrong`.
    """
    fetching: deque[asyncio.Task[bytes]] = deque()
    waiting = deque(parts)
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="backup-codec")
    try:
        for part in parts:
            while waiting and len(fetching) < _FETCHED_AT_ONCE:
                following = waiting.popleft()
                fetching.append(
                    asyncio.create_task(_fetched(store, keys, following.path, following))
                )
            stored = await fetching[0]
            fetching.popleft()
            async for frame in _frames(part.path, stored, keys, threads):
                yield frame
    finally:
        for each in fetching:
            each.cancel()
        await asyncio.gather(*fetching, return_exceptions=True)
        threads.shutdown(wait=False, cancel_futures=True)


async def _fetched(
    store: DurableStore,
    keys: DataKeys,
    path: str,
    described: StoredObject | None,
    most_bytes: int = 0,
) -> bytes:
    """The stored bytes of an object, if they are those of the commit record.

    Without `described`, of at most so many bytes.
    """
    limit = most_bytes if described is None else described.stored_bytes
    try:
        stored = await store.read(path, limit)
    except ObjectMissing:
        raise BackupDamaged(path, Damage.MISSING, "it is not in the store") from None
    except ObjectTooLarge:
        detail = f"it has more than the {limit} bytes that were stored, or can be"
        raise BackupDamaged(path, Damage.HASH, detail) from None
    if described is None:
        return stored
    digest = await asyncio.to_thread(hashlib.sha256, stored)
    if digest.hexdigest() != described.sha256:
        await _require_opens(path, stored, described, keys)
        raise BackupDamaged(path, Damage.HASH, "its bytes are not those of the commit record")
    return stored


async def _require_opens(path: str, stored: bytes, described: StoredObject, keys: DataKeys) -> None:
    """Raise `BackupDamaged` for what the frames tell about a damage, which is more than a hash."""
    try:
        async for _ in _frames(path, stored, keys):
            pass
    except (KeyMissing, KeyWrong):
        if len(stored) < described.stored_bytes:
            detail = f"it has {len(stored)} of {described.stored_bytes} bytes"
            raise BackupDamaged(path, Damage.TRUNCATED, detail) from None


async def _frames(
    path: str, stored: bytes, keys: DataKeys, threads: Executor | None = None
) -> AsyncIterator[Content]:
    id_ = data_key_id(path, stored)
    if id_ is not None:
        await keys.load(id_)
    elif keys.only_encrypted:
        raise BackupDamaged(path, Damage.FOREIGN, NOT_ENCRYPTED)
    opened = open_object(path, stored, keys.known, threads)
    while frames := await asyncio.to_thread(lambda: list(islice(opened, _OPENED_AT_ONCE))):
        for frame in frames:
            yield frame


def _compressed(batch: bytearray, compression: Compression) -> list[tuple[Content, Content]]:
    view = memoryview(batch)
    frames = [view[start : start + FRAME_BYTES] for start in range(0, len(view), FRAME_BYTES)]
    return [(frame, compress(frame, compression)) for frame in frames]
