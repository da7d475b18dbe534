"""Backups and archives of WAL that exist as records only: a minute passes in each segment."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import SEGMENT_BYTES, Lsn, Segment
from dbopsd.backup.wal.archive import Mark, TimelineWal, WalArchive
from dbopsd.backup.wal.timelines import History

_BEGAN = datetime(2026, 11, 30, tzinfo=UTC)


def at(minute: float) -> datetime:
    return _BEGAN + timedelta(minutes=minute)


def lsn(segments: float) -> Lsn:
    return Lsn(int(segments * SEGMENT_BYTES))


def backup(
    start: float, stop: float, *, timeline: int = 1, wal_included: bool = False
) -> CommitRecord:
    """A backup that leads to what its WAL has."""
    return CommitRecord(
        id=f"full-{start}",
        database="main",
        kind=BackupKind.FULL,
        system_identifier="1",
        server_version="18.6",
        timeline=timeline,
        start_lsn=lsn(start),
        stop_lsn=lsn(stop),
        start_time=at(start),
        stop_time=at(stop),
        codec="none",
        made_by="0",
        source="primary",
        streams=(),
        wal_included=wal_included,
    )


def wal(
    timeline: int, numbers: Iterable[int], *, partial: float = 0, marks: Iterable[float] = ()
) -> TimelineWal:
    whole = [Segment(timeline, number) for number in numbers]
    partials = {}
    if partial:
        segment = Segment.at(timeline, lsn(partial))
        partials[segment] = int(lsn(partial) - segment.start)
    return TimelineWal(
        timeline, whole, partials, [Mark(timeline, lsn(each), at(each)) for each in marks]
    )


def archive(*stored: TimelineWal, histories: Iterable[History] = ()) -> WalArchive:
    return WalArchive(
        Layout("main", "1"),
        {each.timeline: each for each in stored},
        {each.timeline: each for each in histories},
    )
