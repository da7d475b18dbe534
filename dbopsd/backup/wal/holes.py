"""Holes in the archive that nobody has recorded: objects that are gone, or never came.

Retention removes WAL before what it keeps for the newest backup only. So what is missing after that
backup's start is lost, and somebody has to hear of it.
"""

from collections.abc import Sequence
from typing import Final

from dbopsd.backup.catalog.catalog import is_physical
from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.repository import Repository
from dbopsd.backup.wal.archive import WalArchive, segment_key
from dbopsd.backup.wal.events import EventKind, write_event
from dbopsd.backup.wal.resume import Leg

_CAUSE: Final = (
    "it was stored and is in the store no longer: objects were removed, or another store was in "
    "its place for a while"
)


async def record_holes(
    repository: Repository, layout: Layout, archive: WalArchive, legs: Sequence[Leg], until: Lsn
) -> int:
    """Record as gaps what is missing on the way from the newest backup to `until`; how many."""
    since = await _newest_start(repository, layout)
    found = [] if since is None else holes(archive, legs, since, until)
    for timeline, start, end in found:
        await _record(repository, layout, timeline, start, end)
    return len(found)


def holes(
    archive: WalArchive, legs: Sequence[Leg], since: Lsn, until: Lsn
) -> list[tuple[int, Lsn, Lsn]]:
    """What is missing on the way from `since` to `until`, each with the timeline it is on."""
    stored = sorted(
        (each.start, each.end if leg.end is None else min(each.end, leg.end))
        for leg in legs
        if leg.timeline in archive.timelines
        # The first segment of a timeline has the WAL of the one before from its start on.
        for each in archive.timelines[leg.timeline].ranges()
    )
    found, position = [], since
    for start, end in [*stored, (until, until)]:
        if start > position and position < until:
            missing_to = min(start, until)
            timeline = next(leg.timeline for leg in legs if leg.has(position))
            found.append((timeline, Lsn(position), Lsn(missing_to)))
        position = max(position, end)
    return found


async def record_vanished(
    repository: Repository, layout: Layout, archive: WalArchive, vanished: Segment, stored: Lsn
) -> Lsn:
    """Record as a gap that `vanished` and perhaps more is gone; where WAL is needed from then on.

    `stored`: up to where WAL was stored since. Retention may have removed what no backup needs.
    """
    since = await _newest_start(repository, layout)
    if since is not None and since >= vanished.end:
        return since
    wal = archive.timelines.get(vanished.timeline)
    ranges = wal.ranges() if wal is not None else []
    # The segment that is written to is stored anew from its start on.
    begun = Segment.at(vanished.timeline, stored, vanished.size_bytes).start
    end = next((each.start for each in ranges if each.start < stored <= each.end), begun)
    start = max((each.end for each in ranges if each.end < end), default=vanished.start)
    await _record(repository, layout, vanished.timeline, start, Lsn(end))
    return Lsn(end)


async def is_stored(repository: Repository, layout: Layout, segment: Segment) -> bool:
    """Whether the complete segment is in the store. It is not read."""
    return await repository.store.info(segment_key(layout, segment)) is not None


async def _newest_start(repository: Repository, layout: Layout) -> Lsn | None:
    """Where the newest backup begins that needs WAL of the archive."""
    catalog = await repository.catalog(layout.system_identifier)
    starts = [
        each.record.start_lsn
        for each in catalog.backups
        if each.record is not None and is_physical(each.record) and not each.record.wal_included
    ]
    return max(starts, default=None)


async def _record(
    repository: Repository, layout: Layout, timeline: int, start: Lsn, end: Lsn
) -> None:
    await write_event(
        repository.store,
        layout,
        EventKind.GAP,
        timeline=timeline,
        start=start,
        end=end,
        cause=_CAUSE,
    )
