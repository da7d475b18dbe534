"""Ships WAL from the spool to the store, in order, and removes it there once it was read back."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

import xxhash

from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.repository import Repository
from dbopsd.backup.store.base import Content
from dbopsd.backup.store.errors import StoreError
from dbopsd.backup.wal.archive import WalArchive, partial_key, segment_key
from dbopsd.backup.wal.errors import WalConflict
from dbopsd.backup.wal.events import EventKind, write_event
from dbopsd.backup.wal.resume import Leg, leads_on, legs_of
from dbopsd.backup.wal.spool import Spool, SpoolFiles
from dbopsd.backup.wal.stored_wal import WalWriter, read_segment
from dbopsd.backup.wal.timelines import History, parse_history
from dbopsd.backup.wal.wal_pages import check_pages, written_bytes
from dbopsd.errors import DbopsError, StatusCode

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 2
_LOOK_EVERY_S: Final = 0.25
# Of `wal_flush_s`: the rest is for compressing, storing and reading back.
_PARTIAL_AFTER: Final = 0.6
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 15.0


@dataclass(eq=False)
class WalMissing(DbopsError):
    """WAL is missing between what is stored and what was received after it."""

    reason: ClassVar[str] = "WAL_MISSING"
    code: ClassVar[StatusCode] = StatusCode.DATA_LOSS

    segment: str
    stored: str

    @property
    def message(self) -> str:
        return (
            f"segment {self.segment} was received, and WAL is stored only up to {self.stored}: "
            "receiving begins anew there; the slot keeps the WAL on the server"
        )


@dataclass
class Progress:
    """How far the WAL of a cluster is stored. Shared by what receives, ships and watches.

    `legs` is the way that the server's WAL has taken. WAL that is not on it, of a timeline that
    went on elsewhere, is stored as well, and moves nothing. Empty: no server is known.
    """

    legs: Sequence[Leg] = ()
    stored: Lsn = field(default_factory=Lsn)
    """Everything on the way is stored to here, from the archive's beginning or its last gap on."""
    timelines: set[int] = field(default_factory=set)
    """Those of which WAL is stored."""
    first: Lsn = field(default_factory=Lsn)
    """From where on segments were stored that are still expected to be there."""
    partials: dict[Segment, dict[int, bytes | None]] = field(default_factory=dict)
    """The lengths of the stored beginnings of segments, with their hashes where they are known."""
    gaps: int = 0
    """How many gaps were recorded."""
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever `stored` has moved."""

    @property
    def timeline(self) -> int:
        """The one that `stored` is on."""
        return next((leg.timeline for leg in self.legs if leg.has(self.stored)), 0)

    def take(self, archive: WalArchive) -> None:
        """Take over what the store has."""
        for timeline, wal in archive.timelines.items():
            self.timelines.add(timeline)
            for segment, length in wal.partials.items():
                self.partials.setdefault(segment, {}).setdefault(length, None)


class Shipper:
    """Ships the WAL of one spool. `received` tells up to where the receiver has WAL, if known."""

    def __init__(
        self,
        repository: Repository,
        layout: Layout,
        spool: Spool,
        progress: Progress,
        *,
        received: Callable[[], Awaitable[Lsn | None]],
        flush_s: float,
    ) -> None:
        self._repository = repository
        self._layout = layout
        self._spool = spool
        self._progress = progress
        self._received = received
        self._partial_after_s = flush_s * _PARTIAL_AFTER
        self._writer = WalWriter(repository, layout)
        self._shipping = asyncio.Lock()
        # Of the segment that is written to: when it had been written to as of the last shipment,
        # and since when there is more.
        self._shipped: tuple[Segment, int] | None = None
        self._waiting: tuple[Segment, float] | None = None
        self._look_every_s = min(_LOOK_EVERY_S, self._partial_after_s / 4)

    async def run(self) -> None:
        """Ship for ever. While the store fails, the spool keeps the WAL.

        Raises what no other attempt would mend: `WalConflict`, `WalUnusable`, `WalMissing`,
        `BackupDamaged` and the errors of keys.
        """
        pause_s, said = _FIRST_PAUSE_S, ""
        while True:
            try:
                await self.ship()
            except StoreError as error:
                if error.message != said:
                    said = error.message
                    _log.warning("WAL of %s waits: %s", self._layout.database, error)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            else:
                pause_s, said = _FIRST_PAUSE_S, ""
                await asyncio.sleep(self._look_every_s)

    async def ship(self, *, everything: bool = False) -> None:
        """Ship what is due; with `everything`, what is begun too, as nothing more will come."""
        async with self._shipping:
            await self._ship(everything=everything)

    async def _ship(self, *, everything: bool) -> None:
        files = await asyncio.to_thread(self._spool.files)
        await self._settle_gap(files)
        for timeline in files.histories:
            content = await asyncio.to_thread(self._spool.read_history, timeline)
            await self.take_history(timeline, content)
            await asyncio.to_thread(self._spool.remove_history, timeline)
        await self._ship_segments(files.complete)
        await self._ship_partials(files, everything=everything)

    async def _settle_gap(self, files: SpoolFiles) -> None:
        """Record a gap as soon as WAL after it was received, before any of that is stored."""
        gap = await asyncio.to_thread(self._spool.expected_gap)
        if gap is None or not await asyncio.to_thread(self._has_data, files, gap.end):
            return
        _log.error("database %s: WAL is missing: %s", self._layout.database, gap.cause)
        await self._record(EventKind.GAP, gap.timeline, gap.start, gap.end, gap.cause)
        self._progress.stored = max(self._progress.stored, gap.end)
        self._progress.first = gap.end
        self._progress.gaps += 1
        await asyncio.to_thread(self._spool.forget_gap)

    def _has_data(self, files: SpoolFiles, after: Lsn) -> bool:
        return any(each.start >= after for each in files.complete) or any(
            each.start >= after and self._spool.changed_ns(each) for each in files.partial
        )

    async def take_history(self, timeline: int, content: bytes) -> History:
        """Store the history of a timeline that the server is on, or came to while it was read."""
        history = parse_history(timeline, content.decode())
        progress = self._progress
        try:
            new = await self._writer.store_history(timeline, content)
        except WalConflict as error:
            end = history.branches[-1].end if history.branches else Lsn(0)
            await self._record(EventKind.CONFLICT, timeline, end, end, error.message)
            raise
        if not history.branches:
            return history
        branch = history.branches[-1]
        if progress.legs and progress.legs[-1].timeline == branch.timeline:
            progress.legs = legs_of(history)
        if new and branch.timeline in progress.timelines:
            cause = f"the server left timeline {branch.timeline} at {branch.end}"
            _log.warning("database %s: %s", self._layout.database, cause)
            await self._record(EventKind.TIMELINE, timeline, branch.end, branch.end, cause)
        return history

    async def _ship_segments(self, segments: tuple[Segment, ...]) -> None:
        """Store some at once, and remove each when it and all before it are stored."""
        waiting, storing = deque(segments), deque[tuple[Segment, asyncio.Task[None]]]()
        try:
            while waiting or storing:
                while waiting and len(storing) < _AT_ONCE:
                    segment = waiting.popleft()
                    storing.append((segment, asyncio.create_task(self._store(segment))))
                segment, task = storing[0]
                await task
                storing.popleft()
                self._stored(segment, segment.end)
                await asyncio.to_thread(self._spool.remove, segment)
                await self._remove_partials(segment, shorter_than=segment.size_bytes)
        finally:
            for _, task in storing:
                task.cancel()
            await asyncio.gather(*(task for _, task in storing), return_exceptions=True)

    async def _store(self, segment: Segment) -> None:
        content = await asyncio.to_thread(self._spool.read, segment)
        await asyncio.to_thread(check_pages, segment, content, self._layout.system_identifier)
        try:
            await self._check_beginning(segment, content)
            await self._writer.store_segment(segment, content)
        except WalConflict as error:
            await self._record(
                EventKind.CONFLICT, segment.timeline, segment.start, segment.end, error.message
            )
            raise

    async def _check_beginning(self, segment: Segment, content: Content) -> None:
        """Raise `WalConflict` unless the stored beginning of the segment is that of `content`."""
        known = self._progress.partials.get(segment)
        if not known:
            return
        length = max(known)
        digest = known[length]
        if digest is None:
            compared = self._repository.for_comparison()
            stored = await read_segment(compared, self._layout, segment, length)
            digest = await asyncio.to_thread(xxhash.xxh3_128_digest, stored[:length])
        beginning = memoryview(content)[:length]
        if await asyncio.to_thread(xxhash.xxh3_128_digest, beginning) != digest:
            raise WalConflict(self._layout.database, partial_key(self._layout, segment, length))

    async def _ship_partials(self, files: SpoolFiles, *, everything: bool) -> None:
        for segment in files.partial:
            if everything or segment != files.highest:
                # The end of a timeline, or what an earlier process left: nothing follows in it.
                key = segment_key(self._layout, segment)
                if await self._repository.store.info(key) is None:
                    await self._ship_partial(segment, None)
                await asyncio.to_thread(self._spool.remove_partial, segment)
            else:
                await self._ship_if_old(segment)

    async def _ship_if_old(self, segment: Segment) -> None:
        changed_ns = await asyncio.to_thread(self._spool.changed_ns, segment)
        if not changed_ns or (segment, changed_ns) == self._shipped:
            self._waiting = None
            return
        now = time.monotonic()
        if self._waiting is None or self._waiting[0] != segment:
            self._waiting = segment, now
        if now - self._waiting[1] < self._partial_after_s:
            return
        await self._ship_partial(segment, await self._received())
        self._shipped = segment, changed_ns
        self._waiting = None

    async def _ship_partial(self, segment: Segment, received: Lsn | None) -> None:
        """Store the beginning of a segment, unless as much of it is stored.

        What was received may end with zeros, which `received` tells, and the bytes do not.
        """
        try:
            content = await asyncio.to_thread(self._spool.read_partial, segment)
            length = await asyncio.to_thread(written_bytes, content)
            # What is read while it is written to may lack bytes before others that it has. It is
            # written in order: what was before the last byte that was seen is all there by now.
            content = await asyncio.to_thread(self._spool.read_partial, segment)
        except FileNotFoundError:
            return  # completed meanwhile
        if received is not None and segment.start + length < received < segment.end:
            length = received - segment.start
        # One that is written to its last byte is about to be complete.
        length = min(length, segment.size_bytes - 1)
        if length <= max(self._progress.partials.get(segment, {0: None})):
            return
        beginning = memoryview(content)[:length]
        await asyncio.to_thread(check_pages, segment, beginning, self._layout.system_identifier)
        try:
            await self._check_beginning(segment, beginning)
            await self._writer.store_partial(segment, beginning)
        except WalConflict as error:
            end = Lsn(segment.start + length)
            await self._record(
                EventKind.CONFLICT, segment.timeline, segment.start, end, error.message
            )
            raise
        digest = await asyncio.to_thread(xxhash.xxh3_128_digest, beginning)
        self._progress.partials.setdefault(segment, {})[length] = digest
        self._stored(segment, Lsn(segment.start + length))
        await self._remove_partials(segment, shorter_than=length)

    def _stored(self, segment: Segment, end: Lsn) -> None:
        progress = self._progress
        progress.timelines.add(segment.timeline)
        leg = next((leg for leg in progress.legs if leg.timeline == segment.timeline), None)
        if leg is None or not leads_on(progress.legs, segment):
            return
        if segment.start > progress.stored:
            raise WalMissing(str(segment), str(progress.stored))
        if leg.end is not None:
            end = min(end, leg.end)
        if end > progress.stored:
            progress.stored = end
            progress.moved.set()

    async def _remove_partials(self, segment: Segment, *, shorter_than: int) -> None:
        known = self._progress.partials.get(segment, {})
        for length in sorted(known):
            if length < shorter_than:
                key = partial_key(self._layout, segment, length)
                await self._repository.store.delete(key)
                del known[length]

    async def _record(
        self, kind: EventKind, timeline: int, start: Lsn, end: Lsn, cause: str
    ) -> None:
        await write_event(
            self._repository.store,
            self._layout,
            kind,
            timeline=timeline,
            start=start,
            end=end,
            cause=cause,
        )
