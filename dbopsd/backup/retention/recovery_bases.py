"""From which backups on WAL must be kept, so that every moment since some time stays reachable.

Timelines are what makes this more than "the newest backup before": after a failover or a restore, a
moment is reached from a backup on its own timeline, or on one that its timeline left later.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.wal.archive import WalArchive
from dbopsd.backup.wal.timelines import History

# So much may the store's clock be behind the server's.
_CLOCKS_DIFFER: Final = timedelta(hours=1)


def recovery_bases(
    physical: Sequence[CommitRecord], archive: WalArchive, since: datetime
) -> list[CommitRecord]:
    """Of each timeline that has moments since then, the newest backup before.

    `physical`: good backups, ordered by their end. Those of after `since` are not among the result.
    """
    before = [record for record in physical if record.stop_time < since]
    found = {}
    for timeline in _timelines_since(physical, archive, since):
        if unknown_ancestors(archive, timeline):
            # It may have left any of the timelines before it.
            ancestors = {record.timeline for record in before if record.timeline <= timeline}
            fitting = [
                [record for record in before if record.timeline == each] for each in ancestors
            ]
        else:
            fitting = [[record for record in before if _leads_to(archive, record, timeline)]]
        found.update({some[-1].id: some[-1] for some in fitting if some})
    return list(found.values())


def newest_timeline(physical: Iterable[CommitRecord], archive: WalArchive) -> int:
    """The timeline that the cluster is on now, as far as is known."""
    return max([1, *archive.timelines, *(record.timeline for record in physical)])


def unknown_ancestors(archive: WalArchive, timeline: int) -> bool:
    """Whether it cannot be told which timelines this one comes from."""
    return timeline > 1 and timeline not in archive.histories


def continues_to(archive: WalArchive, record: CommitRecord, until: Lsn) -> bool:
    """Whether WAL is stored without a gap from the backup's start to `until`, on some way."""
    own = History(record.timeline)
    for history in (own, *archive.histories.values()):
        way = history.way_from(record.timeline, record.start_lsn)
        if way and all(
            start >= until
            or archive.covers(timeline, start, until if end is None else min(end, until))
            for timeline, start, end in way
        ):
            return True
    return False


def _leads_to(archive: WalArchive, record: CommitRecord, timeline: int) -> bool:
    if record.timeline == timeline:
        return True
    return bool(archive.history(timeline).way_from(record.timeline, record.stop_lsn))


def _timelines_since(
    physical: Sequence[CommitRecord], archive: WalArchive, since: datetime
) -> set[int]:
    """The timelines that may have moments since then."""
    newest = newest_timeline(physical, archive)
    found = {newest, *(record.timeline for record in physical if record.stop_time >= since)}
    for timeline, wal in archive.timelines.items():
        latest = max((mark.at for mark in wal.marks), default=None)
        if latest is None and timeline in archive.last_stored:
            # Without a mark nobody knows the times of its commits, but that they were stored later.
            latest = archive.last_stored[timeline] + _CLOCKS_DIFFER
        if latest is None or latest >= since:
            found.add(timeline)
    return found
