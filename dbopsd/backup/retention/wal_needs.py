"""Which WAL of the archive is needed, and which keys are of WAL that is not.

Every backup that is there keeps the WAL from its start to its end, without which it is no backup.
From the oldest backup on that is kept for more than itself, all WAL is kept. So it is from a backup
on that has expired and is still there, if its WAL has no gap yet: a rule that was set too short by
mistake can be mended within the grace.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dbopsd.backup.catalog.catalog import Backup
from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.leases import Lease
from dbopsd.backup.retention.policy import Decision, good_backups
from dbopsd.backup.retention.recovery_bases import continues_to, newest_timeline
from dbopsd.backup.wal.archive import WalArchive

_SEGMENT: Final = re.compile(r"[0-9A-F]{8}/(?P<name>[0-9A-F]{24})(?:\.partial\.\d{1,10})?")
_MARK: Final = re.compile(
    r"(?P<timeline>[0-9A-F]{8})/marks/(?P<lsn>[0-9A-F]{16})-\d{16}(?:-[0-9a-f]{32}){0,2}"
)


@dataclass(frozen=True)
class WalNeeds:
    """The WAL that must stay: of any timeline what is at `since` or later, and all `spans`."""

    since: Lsn
    segment_bytes: int
    spans: Sequence[tuple[Lsn, Lsn]] = ()
    of_timeline: Mapping[int, Lsn] = field(default_factory=dict)
    """Of these, what is at this position or later, in place of `since`."""

    def wants(self, segment: Segment) -> bool:
        """Whether any of a segment is needed."""
        since = self.of_timeline.get(segment.timeline, self.since)
        return segment.end > since or any(
            start < segment.end and segment.start <= end for start, end in self.spans
        )

    def unneeded(self, layout: Layout, keys: Iterable[str]) -> list[str]:
        """The keys of segments and marks that are not needed, the oldest first.

        Histories and events are small and stay, and so does what is no name of the archive.
        """
        found = []
        for key in keys:
            name = key.removeprefix(layout.wal)
            if segment := _SEGMENT.fullmatch(name):
                wanted = self.wants(Segment.parse(segment["name"], self.segment_bytes))
            elif mark := _MARK.fullmatch(name):
                since = self.of_timeline.get(int(mark["timeline"], 16), self.since)
                wanted = int(mark["lsn"], 16) > since
            else:
                continue
            if not wanted:
                found.append(key)
        return sorted(found)


def wal_needs(
    backups: Sequence[Backup], decision: Decision, archive: WalArchive, leases: Iterable[Lease]
) -> WalNeeds | None:
    """What `backups`, which are there, need. None: no good physical one is there, keep all WAL."""
    records = [
        each.record
        for each in backups
        if each.record is not None and each.record.kind is not BackupKind.LOGICAL
    ]
    good = {record.id for record in good_backups(backups)}
    continuous = [record for record in records if record.id in decision.continuous]
    trusted = [record for record in continuous if record.id in good]
    if not trusted:
        return None
    oldest = min(record.start_lsn for record in continuous)
    expired = [record for record in records if record.id in decision.unwanted]
    continuous += [record for record in expired if continues_to(archive, record, oldest)]
    leased = [lease.wal_from for lease in leases if lease.wal_from is not None]
    since = Lsn(min([*leased, *(record.start_lsn for record in continuous)]))
    # A timeline may begin at an older position than a backup of another one. On the newest, a
    # backup may be under way that needs it.
    newest = newest_timeline(records, archive)
    on_newest = any(record.timeline == newest for record in continuous)
    return WalNeeds(
        since,
        trusted[0].segment_bytes,
        [(record.start_lsn, _end_of(record)) for record in records],
        {newest: since if on_newest else Lsn(0)},
    )


def _end_of(record: CommitRecord) -> Lsn:
    """Up to where a backup's own WAL reaches: its rows were counted after its end."""
    if record.row_counts is None:
        return record.stop_lsn
    return max(record.stop_lsn, record.row_counts.lsn)
