"""WAL files in the store: written once, compared where they are there, and read back.

A segment is sealed with the day's data key. Its object says which, so that a day's key serves every
worker, and whoever reads needs no list of days. A `.history` file is sealed by a hash only: it has
to be readable for planning, and says nothing of what is in the database.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Segment
from dbopsd.backup.codec.compression import Algorithm, Compression
from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.codec.sealed_object import seal_object
from dbopsd.backup.parts import read_object
from dbopsd.backup.repository import Repository
from dbopsd.backup.store.base import Content
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import ObjectExists, ObjectTooLarge
from dbopsd.backup.wal.archive import (
    history_key,
    partial_key,
    read_archive,
    read_history,
    segment_key,
)
from dbopsd.backup.wal.day_keys import DayKeys, utc_day
from dbopsd.backup.wal.errors import WalConflict

_PLAIN: Final = Compression(Algorithm.NONE, 0)


class WalWriter:
    """Stores the WAL of one cluster. `today`: the day in UTC, as `20261130`."""

    def __init__(
        self, repository: Repository, layout: Layout, *, today: Callable[[], str] = utc_day
    ) -> None:
        self._repository = repository
        self._layout = layout
        self._day_keys = DayKeys(repository, layout, today)

    async def store_segment(self, segment: Segment, content: Content) -> int:
        """Store a complete segment, or find the same one there; how many bytes are stored.

        Raises `WalConflict` where there is another one, `BackupDamaged` where what is there, or
        is read back, is not whole, and the store's errors.
        """
        if len(content) != segment.size_bytes:
            raise ValueError(f"{segment} has {len(content)} bytes, not {segment.size_bytes}")
        return await self._store(segment_key(self._layout, segment), content)

    async def store_partial(self, segment: Segment, content: Content) -> int:
        """Store the beginning of a segment; otherwise as `store_segment`."""
        if not 0 < len(content) < segment.size_bytes:
            raise ValueError(f"{len(content)} bytes are no beginning of {segment}")
        return await self._store(partial_key(self._layout, segment, len(content)), content)

    async def store_history(self, timeline: int, content: bytes) -> bool:
        """Store the `.history` file of a timeline; whether it was not there.

        Raises `WalConflict` for another one.
        """
        key = history_key(self._layout, timeline)
        new = await self._repository.store.info(key) is None
        with contextlib.suppress(ObjectExists):
            await self._repository.store.create(key, seal_object(key, content, _PLAIN, None))
        if await read_history(self._repository.store, self._layout, timeline) != content:
            raise WalConflict(self._layout.database, key)
        return new

    async def _store(self, key: str, content: Content) -> int:
        repository = self._repository
        data_key = await self._day_keys.of_today()
        sealed = await asyncio.to_thread(
            seal_object, key, content, repository.compression, data_key
        )
        try:
            await repository.store.create(key, sealed)
        except ObjectExists:
            # Sealed with another salt, so only the contents can be compared.
            compared = repository.for_comparison()
            if await _content(compared, key, len(content)) != content:
                raise WalConflict(self._layout.database, key) from None
            return 0
        if await _given_back(repository.store, key, len(sealed)) != sealed:
            raise BackupDamaged(key, Damage.HASH, "the store gives other bytes back")
        return len(sealed)


async def read_segment(
    repository: Repository, layout: Layout, segment: Segment, partial_bytes: int | None = None
) -> bytes:
    """A segment as PostgreSQL reads it, checked; with `partial_bytes`, one stored in part.

    What follows the beginning of a segment is zeros. A beginning that is gone, because more of the
    segment was stored since, is read from what there is now. Raises `BackupDamaged`, `KeyMissing`
    and `KeyWrong`.
    """
    if partial_bytes is None:
        key = segment_key(layout, segment)
        content = await _content(repository, key, segment.size_bytes)
    else:
        key = partial_key(layout, segment, partial_bytes)
        try:
            content = await _content(repository, key, segment.size_bytes)
        except BackupDamaged as error:
            if error.problem is not Damage.MISSING:
                raise
            longer = await _longer(repository, layout, segment, partial_bytes)
            if longer is None:
                raise
            key = longer
            content = await _content(repository, key, segment.size_bytes)
    expected = segment.size_bytes if key == segment_key(layout, segment) else None
    if len(content) > segment.size_bytes or expected not in (None, len(content)):
        detail = f"it has {len(content)} bytes of WAL, and a segment {segment.size_bytes}"
        raise BackupDamaged(key, Damage.FOREIGN, detail)
    return content.ljust(segment.size_bytes, b"\0")


async def _longer(
    repository: Repository, layout: Layout, segment: Segment, partial_bytes: int
) -> str | None:
    """The key of what has the first bytes of a segment, and more."""
    archive = await read_archive(repository.store, layout, segment.size_bytes)
    wal = archive.timelines.get(segment.timeline)
    if wal is None:
        return None
    if segment in wal.segments:
        return segment_key(layout, segment)
    length = wal.partials.get(segment, 0)
    return partial_key(layout, segment, length) if length >= partial_bytes else None


async def _content(repository: Repository, key: str, most_bytes: int) -> bytes:
    frames = read_object(repository.store, repository.keys, key, most_plain_bytes=most_bytes)
    return b"".join([frame async for frame in frames])


async def _given_back(store: DurableStore, key: str, size_bytes: int) -> bytes | None:
    """What the store has under the key; None for more than was stored."""
    try:
        return await store.read(key, size_bytes)
    except ObjectTooLarge:
        return None
