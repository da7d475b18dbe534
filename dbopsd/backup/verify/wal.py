"""The WAL archive: every segment is opened, and what is missing between them is found."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.codec.errors import BackupDamaged, Damage, KeyMissing
from dbopsd.backup.model.reports import Problem, WalGap
from dbopsd.backup.parts import read_object
from dbopsd.backup.repository import Repository
from dbopsd.backup.verify.objects import Done, problem_of
from dbopsd.backup.wal.archive import TimelineWal, WalArchive, partial_key, segment_key
from dbopsd.backup.wal.events import EventKind, WalEvent
from dbopsd.backup.wal.stored_wal import read_segment
from dbopsd.backup.wal.timelines import branches_after
from dbopsd.operations.gather_or_cancel import gather_or_cancel

_READ_AT_ONCE: Final = 2


@dataclass(frozen=True, slots=True)
class WalFile:
    """A segment in the archive, or the beginning of one. `length`: how much WAL it has."""

    key: str
    segment: Segment
    length: int
    stored_bytes: int


def wal_files(archive: WalArchive, sizes: Mapping[str, int]) -> list[WalFile]:
    """Every complete segment, and of each other one the longest beginning; `sizes` by keys."""
    found: list[WalFile] = []
    for wal in archive.timelines.values():
        complete = set(wal.segments)
        for segment in wal.segments:
            key = segment_key(archive.layout, segment)
            found.append(WalFile(key, segment, segment.size_bytes, sizes.get(key, 0)))
        for segment, length in sorted(wal.partials.items()):
            if segment not in complete:
                key = partial_key(archive.layout, segment, length)
                found.append(WalFile(key, segment, length, sizes.get(key, 0)))
    return found


def needed_segments(record: CommitRecord) -> Iterator[Segment]:
    """The segments of the archive that make a physical backup consistent: from start to stop."""
    if record.wal_included:
        return
    first = Segment.at(record.timeline, record.start_lsn, record.segment_bytes)
    last = Segment.at(
        record.timeline, max(record.stop_lsn - 1, record.start_lsn), record.segment_bytes
    )
    for number in range(first.number, last.number + 1):
        yield Segment(record.timeline, number, record.segment_bytes)


async def verify_wal_files(
    repository: Repository, layout: Layout, files: Iterable[WalFile], done: Done
) -> dict[Segment, Problem]:
    """What is wrong with these files, by their segments; two are read at once.

    Raises `KeyMissing`, `KeyWrong` and what the store does.
    """
    found: dict[Segment, Problem] = {}
    waiting = iter(files)

    async def work() -> None:
        for file in waiting:
            problem = await _problem(repository, layout, file)
            if problem is not None:
                found[file.segment] = problem
            done(file.stored_bytes)

    await gather_or_cancel(work() for _ in range(_READ_AT_ONCE))
    return dict(sorted(found.items()))


async def _problem(repository: Repository, layout: Layout, file: WalFile) -> Problem | None:
    length = 0
    try:
        if file.length < file.segment.size_bytes:
            # Gone meanwhile where more of the segment was stored, which is read in its place.
            await read_segment(repository, layout, file.segment, file.length)
            return None
        async for content in read_object(
            repository.store,
            repository.keys,
            file.key,
            most_plain_bytes=file.segment.size_bytes,
        ):
            length += len(content)
    except BackupDamaged as error:
        return problem_of(error)
    except KeyMissing as error:
        if error.keys:
            raise
        # Nobody has wrapped it: the id of the data key is a damaged one.
        return Problem(file.key, Damage.HASH.value, "its header names a data key that is not here")
    if length != file.length:
        detail = f"it holds {length} bytes of WAL, and its name says {file.length}"
        return Problem(file.key, Damage.FOREIGN.value, detail)
    return None


def missing_wal(
    archive: WalArchive, records: Sequence[CommitRecord], events: Sequence[WalEvent]
) -> list[WalGap]:
    """The WAL that is not there between what is, from the oldest of these backups on.

    `records`: the physical ones. What retention removed between two of them is no gap: it begins
    where the WAL of one ends, and ends where that of another begins. `events` tell since when and
    why, and of gaps after which no WAL was stored yet.
    """
    found: list[WalGap] = []
    for wal in archive.timelines.values():
        here = [each for each in records if each.timeline == wal.timeline]
        needed = [segments for each in here if (segments := [*needed_segments(each)])]
        starts = {segments[0].start for segments in needed}
        ends = {segments[-1].end for segments in needed}
        holes = {*_holes(archive, wal), *_recorded(wal, events)}
        for start, end in sorted(holes):
            thinned = end in starts and start in ends
            if thinned or (starts and end <= min(starts)):
                continue
            cause = next((each for each in events if _is_of(each, wal.timeline, start, end)), None)
            found.append(
                WalGap(
                    wal.timeline,
                    str(start),
                    str(end),
                    None if cause is None else cause.at,
                    "" if cause is None else cause.cause,
                )
            )
    return found


def _holes(archive: WalArchive, wal: TimelineWal) -> Iterator[tuple[Lsn, Lsn]]:
    """Start and end of what is missing of a timeline, to where the next one left it."""
    ranges = wal.ranges()
    for before, after in pairwise(ranges):
        yield before.end, after.start
    if not wal.segments:
        return
    for timeline, branch in branches_after(archive.histories, wal.timeline, ranges[0].start):
        # The segment that has the branch is the next timeline's own, from its beginning on.
        wanted = Segment.at(wal.timeline, branch, wal.segments[0].size_bytes).start
        if timeline in archive.timelines and ranges[-1].end < wanted:
            yield ranges[-1].end, wanted


def _recorded(wal: TimelineWal, events: Sequence[WalEvent]) -> Iterator[tuple[Lsn, Lsn]]:
    """The recorded gaps at the end of what is stored."""
    ranges = wal.ranges()
    for each in events:
        is_gap = each.kind is EventKind.GAP and each.timeline == wal.timeline
        if is_gap and ranges and ranges[-1].end <= each.start < each.end:
            yield each.start, each.end


def _is_of(event: WalEvent, timeline: int, start: Lsn, end: Lsn) -> bool:
    """Whether an event is about this gap, or a part of it."""
    return (
        event.kind is EventKind.GAP
        and event.timeline == timeline
        and event.start < end
        and start < event.end
    )
