"""The WAL archive as listing the store finds it.

Names carry all that a list must tell: a segment's own name, the length of the beginning of one,
and, for a mark, up to which position everything was stored at which time, and who says so.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from dbopsd.backup.catalog.layout import Layout, parse_time, time_name
from dbopsd.backup.catalog.lsn import SEGMENT_BYTES, Lsn, Segment
from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.codec.sealed_object import DataKey, FindKey, open_object
from dbopsd.backup.codec.whole_object import read_whole
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import ObjectMissing
from dbopsd.backup.wal.timelines import History, parse_history

_PARTIAL: Final = re.compile(r"(?P<segment>[0-9A-F]{24})\.partial\.(?P<bytes>\d{1,10})")
_MARK: Final = re.compile(
    r"(?P<lsn>[0-9A-F]{16})-(?P<time>\d{16})(?:-(?P<data_key>[0-9a-f]{32})-(?P<seal>[0-9a-f]{32}))?"
)
_OF_TIMELINE: Final = re.compile(r"(?P<timeline>[0-9A-F]{8})/")
_SEGMENT: Final = re.compile(r"[0-9A-F]{24}")
_HISTORY: Final = re.compile(r"history/(?P<timeline>[0-9A-F]{8})\.history")


@dataclass(frozen=True, slots=True)
class Mark:
    """Every commit that the server made before `at` is in the WAL before `lsn`, and stored.

    `seal`: what the data key of this id, both in hexadecimal, makes of it; empty: nothing was
    encrypted. Whether it is right is not looked at here (`mark_seals`).
    """

    timeline: int
    lsn: Lsn
    at: datetime
    data_key: str = field(default="", compare=False)
    seal: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class WalRange:
    """WAL of a timeline that is stored without a gap, from `start` to `end`."""

    timeline: int
    start: Lsn
    end: Lsn


@dataclass(frozen=True)
class TimelineWal:
    """What is stored of one timeline."""

    timeline: int
    segments: Sequence[Segment] = ()
    """The complete ones, in order."""
    partials: Mapping[Segment, int] = field(default_factory=dict)
    """The longest beginning that is stored of a segment, in bytes."""
    marks: Sequence[Mark] = ()
    """In the order of their positions."""

    def ranges(self) -> list[WalRange]:
        """The WAL without a gap. The beginning of a segment counts only at the end of a range."""
        found: list[WalRange] = []
        for first, last in _runs(self.segments):
            found.append(WalRange(self.timeline, first.start, last.end))
        complete = set(self.segments)
        for segment, length in sorted(self.partials.items()):
            if segment in complete:
                continue
            end = Lsn(segment.start + length)
            before = next((each for each in found if each.end == segment.start), None)
            if before is None:
                found.append(WalRange(self.timeline, segment.start, end))
            else:
                found[found.index(before)] = WalRange(self.timeline, before.start, end)
        return sorted(found, key=lambda each: each.start)

    def covers(self, start: Lsn, end: Lsn) -> bool:
        """Whether all WAL from `start` to `end` is stored."""
        return any(each.start <= start and end <= each.end for each in self.ranges())


@dataclass(frozen=True)
class WalArchive:
    """The WAL archive of one cluster."""

    layout: Layout
    timelines: Mapping[int, TimelineWal] = field(default_factory=dict)
    histories: Mapping[int, History] = field(default_factory=dict)
    damaged_histories: Mapping[int, BackupDamaged] = field(default_factory=dict)
    last_stored: Mapping[int, datetime] = field(default_factory=dict)
    """When the last object of a timeline was stored, by the store's clock: what it has is older."""

    def history(self, timeline: int) -> History:
        """The ancestors of a timeline, none where its file is not stored.

        Raises `BackupDamaged`.
        """
        if timeline in self.damaged_histories:
            raise self.damaged_histories[timeline]
        return self.histories.get(timeline, History(timeline))

    def covers(self, timeline: int, start: Lsn, end: Lsn) -> bool:
        """Whether all WAL from `start` to `end` of a timeline is stored."""
        wal = self.timelines.get(timeline)
        return wal is not None and wal.covers(start, end)


def segment_key(layout: Layout, segment: Segment) -> str:
    """The key of a complete segment."""
    return f"{layout.wal}{segment.timeline:08X}/{segment}"


def partial_key(layout: Layout, segment: Segment, length: int) -> str:
    """The key of the first `length` bytes of a segment."""
    return f"{layout.wal}{segment.timeline:08X}/{segment}.partial.{length}"


def history_key(layout: Layout, timeline: int) -> str:
    """The key of a timeline's history."""
    return f"{layout.wal}history/{timeline:08X}.history"


def mark_key(layout: Layout, mark: Mark) -> str:
    """The key of a mark, which has no content."""
    seal = f"-{mark.data_key}-{mark.seal}" if mark.seal else ""
    name = f"{int(mark.lsn):016X}-{time_name(mark.at)}{seal}"
    return f"{layout.wal}{mark.timeline:08X}/marks/{name}"


async def read_archive(
    store: DurableStore, layout: Layout, segment_bytes: int = SEGMENT_BYTES
) -> WalArchive:
    """The archive as the store lists it. A damaged history is an error only for who needs it."""
    keys: list[str] = []
    last_stored: dict[int, datetime] = {}
    async for each in store.list(layout.wal):
        keys.append(each.key)
        if found := _OF_TIMELINE.match(each.key.removeprefix(layout.wal)):
            timeline = int(found["timeline"], 16)
            stored_at = datetime.fromtimestamp(each.modified_at, UTC)
            last_stored[timeline] = max(stored_at, last_stored.get(timeline, stored_at))
    histories: dict[int, History] = {}
    damaged: dict[int, BackupDamaged] = {}
    for key in keys:
        found = _HISTORY.fullmatch(key.removeprefix(layout.wal))
        if found is None:
            continue
        timeline = int(found["timeline"], 16)
        try:
            histories[timeline] = _parse_history(
                key, timeline, await read_history(store, layout, timeline)
            )
        except BackupDamaged as error:
            damaged[timeline] = error
    archive = parse_archive(layout, keys, histories, segment_bytes)
    return replace(archive, damaged_histories=damaged, last_stored=last_stored)


async def read_history(store: DurableStore, layout: Layout, timeline: int) -> bytes:
    """The `.history` file of a timeline, as PostgreSQL wrote it. Raises `BackupDamaged`."""
    key = history_key(layout, timeline)
    try:
        stored = await read_whole(store, key)
    except ObjectMissing:
        raise BackupDamaged(key, Damage.MISSING, "it is not in the store") from None
    return b"".join(open_object(key, stored, _no_key(key)))


def parse_archive(
    layout: Layout,
    keys: Sequence[str],
    histories: Mapping[int, History],
    segment_bytes: int = SEGMENT_BYTES,
) -> WalArchive:
    """The archive of these keys. What is no name of the archive is left alone."""
    segments: dict[int, list[Segment]] = {}
    partials: dict[int, dict[Segment, int]] = {}
    marks: dict[int, list[Mark]] = {}
    for key in keys:
        folder, _, name = key.removeprefix(layout.wal).partition("/")
        if _SEGMENT.fullmatch(name):
            segment = Segment.parse(name, segment_bytes)
            segments.setdefault(segment.timeline, []).append(segment)
        elif found := _PARTIAL.fullmatch(name):
            segment = Segment.parse(found["segment"], segment_bytes)
            longest = partials.setdefault(segment.timeline, {})
            longest[segment] = max(longest.get(segment, 0), int(found["bytes"]))
        elif found := _MARK.fullmatch(name.removeprefix("marks/")):
            mark = Mark(
                int(folder, 16),
                Lsn(int(found["lsn"], 16)),
                parse_time(found["time"]),
                found["data_key"] or "",
                found["seal"] or "",
            )
            marks.setdefault(mark.timeline, []).append(mark)
    return WalArchive(
        layout,
        {
            timeline: TimelineWal(
                timeline,
                sorted(segments.get(timeline, ())),
                partials.get(timeline, {}),
                sorted(marks.get(timeline, ()), key=lambda mark: (mark.lsn, mark.at)),
            )
            for timeline in sorted({*segments, *partials, *marks})
        },
        histories,
    )


def _parse_history(key: str, timeline: int, content: bytes) -> History:
    try:
        return parse_history(timeline, content.decode())
    except ValueError as error:
        raise BackupDamaged(key, Damage.HASH, str(error)) from None


def _no_key(key: str) -> FindKey:
    def find(_id: bytes) -> DataKey:
        raise BackupDamaged(key, Damage.FOREIGN, "a history is never encrypted, and this is")

    return find


def _runs(segments: Sequence[Segment]) -> Iterator[tuple[Segment, Segment]]:
    """The first and the last of each run of segments that follow each other."""
    first = last = None
    for segment in segments:
        if last is not None and segment.number == last.number + 1:
            last = segment
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = segment
    if first is not None and last is not None:
        yield first, last
