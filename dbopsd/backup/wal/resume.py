"""Where to go on receiving: after what is stored, on the way that the server's WAL has taken."""

from collections.abc import Sequence
from dataclasses import dataclass

from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.wal.archive import WalArchive
from dbopsd.backup.wal.timelines import History


@dataclass(frozen=True, slots=True)
class Leg:
    """A part of the server's way. `end` is where it went on to the next timeline, if it did."""

    timeline: int
    start: Lsn
    end: Lsn | None

    def has(self, lsn: Lsn) -> bool:
        """Whether the WAL that follows `lsn` is on it."""
        return self.start <= lsn and (self.end is None or lsn < self.end)


def legs_of(history: History) -> list[Leg]:
    """The way to the timeline of `history`, from the beginning."""
    legs, start = [], Lsn(0)
    for branch in history.branches:
        legs.append(Leg(branch.timeline, start, branch.end))
        start = branch.end
    return [*legs, Leg(history.timeline, start, None)]


def leads_on(legs: Sequence[Leg], segment: Segment) -> bool:
    """Whether a server that went this way can send WAL from the start of `segment` on."""
    return any(
        leg.timeline == segment.timeline
        and (leg.end is None or segment.start < leg.end)
        and segment.end > leg.start
        for leg in legs
    )


def segment_on(legs: Sequence[Leg], lsn: Lsn, size_bytes: int) -> Segment:
    """The segment that has what follows `lsn` on the server's way."""
    leg = next(leg for leg in legs if leg.has(lsn))
    return Segment.at(leg.timeline, lsn, size_bytes)


def next_position(archive: WalArchive, legs: Sequence[Leg], reserved: Segment | None) -> Lsn | None:
    """Up to where everything is stored that belongs to the server's way, rounded to a segment.

    Where the slot, whose first segment is `reserved`, keeps WAL before a place that was stored
    later, it is the first that is missing. None: nothing is stored of this way.
    """
    size_bytes = next(
        (
            segment.size_bytes
            for wal in archive.timelines.values()
            for segment in (*wal.segments, *wal.partials)
        ),
        None,
    )
    if size_bytes is None:
        return None
    end = _last_stored(archive, legs)
    if end is None or reserved is None or reserved.start >= end:
        return end
    position = reserved.start
    while position < end:
        segment = segment_on(legs, position, size_bytes)
        wal = archive.timelines.get(segment.timeline)
        if wal is None or segment not in wal.segments:
            # The segment in which the way left a timeline is whole on the next one only.
            leg = next(leg for leg in legs if leg.has(position))
            if leg.end is None or leg.end > segment.end:
                break
            position = leg.end
            continue
        position = segment.end
    return min(position, end)


def _last_stored(archive: WalArchive, legs: Sequence[Leg]) -> Lsn | None:
    for leg in reversed(legs):
        wal = archive.timelines.get(leg.timeline)
        if wal is None:
            continue
        ends = [each.end for each in wal.segments if each.end > leg.start]
        # A segment that is begun is received anew, from its start on.
        ends += [max(each.start, leg.start) for each in wal.partials if each.end > leg.start]
        if ends:
            return max(ends) if leg.end is None else min(max(ends), leg.end)
    return None
