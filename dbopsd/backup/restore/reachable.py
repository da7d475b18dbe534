"""Which moments backups and the WAL archive lead to.

Recovery reads WAL from a backup's start on, without a gap, first on the backup's timeline and then
on those that branched off. The file of the segment in which a timeline begins has the WAL before
that too: of the older timeline, PostgreSQL needs what is before that segment only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.lsn import SEGMENT_BYTES, Lsn, Segment
from dbopsd.backup.wal.archive import Mark, WalArchive, WalRange
from dbopsd.backup.wal.timelines import History


@dataclass(frozen=True, slots=True)
class Reach:
    """What can be recovered to on `timeline` from `backup` on: from `start` to `end`.

    `start` is where the backup becomes consistent, or, on a later timeline than its own, where that
    one begins. Every commit before `end_time` is before `end`.
    """

    backup: CommitRecord
    timeline: int
    start: Lsn
    end: Lsn
    start_time: datetime
    end_time: datetime

    @property
    def inherited(self) -> bool:
        """Whether `start` is on an older timeline, too."""
        return self.timeline != self.backup.timeline

    def has_lsn(self, lsn: Lsn) -> bool:
        """Whether recovery can end at a position, which no older timeline has too."""
        return self.start <= lsn <= self.end and not (self.inherited and lsn == self.start)

    def has_time(self, time: datetime) -> bool:
        """Whether all that was committed by a time is known, and the backup is older."""
        return self.start_time <= time <= self.end_time


@dataclass(frozen=True, slots=True)
class Hole:
    """WAL that is missing between WAL that is stored."""

    timeline: int
    start: Lsn
    end: Lsn


class Reachable:
    """The reaches of `backups` by an archive. A timeline whose history is damaged has none.

    `marks`: what is known besides the archive's own.
    """

    def __init__(
        self, backups: Iterable[CommitRecord], archive: WalArchive, marks: Sequence[Mark] = ()
    ) -> None:
        self._more_marks = marks
        self.backups = tuple(backups)
        self._archive = archive
        self._ranges = {number: each.ranges() for number, each in archive.timelines.items()}
        known = {*archive.timelines, *archive.histories, *(each.timeline for each in self.backups)}
        self._histories = {
            timeline: archive.histories.get(timeline, History(timeline))
            for timeline in sorted(known)
            # A backup's own timeline can be reached without knowing where it came from.
            if timeline not in archive.damaged_histories
            or any(each.timeline == timeline for each in self.backups)
        }
        self.reaches = [
            reach
            for backup in self.backups
            for timeline in self._histories
            if (reach := self._reach(backup, timeline)) is not None
        ]

    def way(self, timeline: int) -> list[tuple[int, Lsn | None]]:
        """A timeline and its ancestors, the newest first, each with where it was left."""
        history = self._histories.get(timeline, History(timeline))
        above: list[tuple[int, Lsn | None]] = [
            (branch.timeline, branch.end) for branch in reversed(history.branches)
        ]
        return [(timeline, None), *above]

    def latest_timeline(self) -> int:
        """The newest timeline that has WAL and descends from a backup, be there a hole before it.

        That of the newest backup where no WAL is stored.
        """
        found = [
            timeline
            for timeline, ranges in self._ranges.items()
            if ranges and any(self._way_from(each, timeline) for each in self.backups)
        ]
        return max([*found, *(each.timeline for each in self.backups)])

    def holes(self) -> list[Hole]:
        """Every hole: between ranges, and where a timeline went on from another one."""
        found = {
            Hole(timeline, before.end, after.start)
            for timeline, ranges in self._ranges.items()
            for before, after in pairwise(ranges)
        }
        for timeline, history in self._histories.items():
            ranges = self._ranges.get(timeline)
            if not history.branches or not ranges:
                continue
            branch = history.branches[-1]
            needed = self._segment_start(timeline, branch.end)
            above = self._ranges.get(branch.timeline, [])
            # What follows on the older timeline is another story, and no hole of this one.
            before = [each for each in above if each.start < needed]
            if not before:
                continue  # all that led there was removed
            if before[-1].end < needed:
                last = before[-1].end
                found = {
                    each for each in found if (each.timeline, each.start) != (branch.timeline, last)
                }
                found.add(Hole(branch.timeline, last, needed))
            if ranges[0].start > needed:
                found.add(Hole(timeline, needed, ranges[0].start))
        return sorted(found, key=lambda each: (each.timeline, each.start))

    def last_stored(self, timeline: int) -> Lsn:
        """The end of what is stored of a timeline, be there a hole before it."""
        return max((each.end for each in self._ranges.get(timeline, ())), default=Lsn(0))

    def first_missing(self, backup: CommitRecord, timeline: int) -> Hole:
        """The first WAL that is missing on the way from a backup to the end of a timeline."""
        way = self._way_from(backup, timeline) or [(backup.timeline, backup.start_lsn, None)]
        for index, (number, begin, left_at) in enumerate(way):
            start = begin if index == 0 else self._segment_start(number, begin)
            ranges = self._ranges.get(number, [])
            within = next((each for each in ranges if each.start <= start < each.end), None)
            stored = start if within is None else within.end
            if left_at is None or stored < self._segment_start(timeline, left_at):
                break
        following = [each.start for each in ranges if each.start > stored]
        wanted = self._segment_start(timeline, left_at) if left_at else backup.stop_lsn
        return Hole(number, stored, min(following, default=max(wanted, stored)))

    def segments(
        self, backup: CommitRecord, timeline: int, end: Lsn
    ) -> list[tuple[Segment, int | None]]:
        """The WAL files from the backup's start to `end` on `timeline`, in order.

        Each with the length that is stored of it, None where it is complete. To be asked within a
        reach only.
        """
        if backup.wal_included:
            return []
        found: list[tuple[Segment, int | None]] = []
        size = backup.segment_bytes
        for number, start, left_at in self._way_from(backup, timeline):
            last_byte = max(end - 1, start) if left_at is None else left_at - left_at % size - 1
            wal = self._archive.timelines.get(number)
            complete = set(wal.segments if wal else ())
            for segment_number in range(start // size, last_byte // size + 1):
                segment = Segment(number, segment_number, size)
                partial = wal.partials.get(segment) if wal else None
                found.append((segment, None if segment in complete else partial))
        return found

    def marks(self, backup: CommitRecord, timeline: int) -> list[Mark]:
        """The marks on the way from a backup to the end of a timeline, in order."""
        stored = self._archive.timelines
        return [
            mark
            for number, start, left_at in self._way_from(backup, timeline)
            for mark in (
                *(stored[number].marks if number in stored else ()),
                *(each for each in self._more_marks if each.timeline == number),
            )
            if start <= mark.lsn and (left_at is None or mark.lsn <= left_at)
        ]

    def _way_from(self, backup: CommitRecord, timeline: int) -> list[tuple[int, Lsn, Lsn | None]]:
        """Timelines with start and end; empty where the timeline does not descend from there."""
        history = self._histories.get(timeline)
        way = history.way_from(backup.timeline, backup.start_lsn) if history else []
        if len(way) > 1 and (way[0][2] or 0) < backup.stop_lsn:
            return []
        return way

    def _reach(self, backup: CommitRecord, timeline: int) -> Reach | None:
        if backup.wal_included:
            return self._point(backup) if timeline == backup.timeline else None
        way = self._way_from(backup, timeline)
        if not way:
            return None
        size = backup.segment_bytes
        needed = [way[0][1], *(Lsn(start - start % size) for _, start, _ in way[1:])]
        for (number, _, left_at), begin in zip(way, needed, strict=True):
            if left_at is None:
                continue
            until = Lsn(left_at - left_at % size)
            if begin < until and not self._range(number, begin, until):
                return None
        last = self._range(timeline, needed[-1], Lsn(needed[-1] + 1))
        start = backup.stop_lsn if len(way) == 1 else way[-1][1]
        if last is None or last.end < start:
            return None
        marks = [each for each in self.marks(backup, timeline) if each.lsn <= last.end]
        before = [each.at for each in marks if each.timeline != timeline]
        start_time = max([backup.stop_time, *before])
        end_time = max([start_time, *(each.at for each in marks)])
        return Reach(backup, timeline, start, last.end, start_time, end_time)

    def _point(self, backup: CommitRecord) -> Reach:
        stop = backup.stop_lsn
        return Reach(backup, backup.timeline, stop, stop, backup.stop_time, backup.stop_time)

    def _range(self, timeline: int, start: Lsn, end: Lsn) -> WalRange | None:
        for each in self._ranges.get(timeline, ()):
            if each.start <= start and end <= each.end:
                return each
        return None

    def _segment_start(self, timeline: int, lsn: Lsn) -> Lsn:
        """Where the segment begins that a position of a stored timeline is in."""
        wal = self._archive.timelines.get(timeline)
        known = [*wal.segments[:1], *wal.partials] if wal else []
        size = known[0].size_bytes if known else SEGMENT_BYTES
        return Lsn(lsn - lsn % size)


def newest(reaches: Sequence[Reach]) -> Reach:
    """The reach of the newest backup."""
    return max(reaches, key=lambda each: (each.backup.stop_lsn, each.backup.start_time))
