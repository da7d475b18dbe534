"""Which moments are reachable: pure reckoning over backups, ranges of WAL and timelines."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import SEGMENT_BYTES, Lsn, Segment
from dbopsd.backup.restore.reachable import Hole, Reach, Reachable
from dbopsd.backup.wal.archive import Mark, TimelineWal, WalArchive
from dbopsd.backup.wal.timelines import Branch, History

_BEGAN = datetime(2026, 11, 30, tzinfo=UTC)


def _at(minute: float) -> datetime:
    return _BEGAN + timedelta(minutes=minute)


def _lsn(segments: float) -> Lsn:
    return Lsn(int(segments * SEGMENT_BYTES))


def _backup(
    start: float, stop: float, *, timeline: int = 1, wal_included: bool = False
) -> CommitRecord:
    """A backup; a minute passes in each segment."""
    return CommitRecord(
        id=f"full-{start}",
        database="main",
        kind=BackupKind.FULL,
        system_identifier="1",
        server_version="18.6",
        timeline=timeline,
        start_lsn=_lsn(start),
        stop_lsn=_lsn(stop),
        start_time=_at(start),
        stop_time=_at(stop),
        codec="none",
        made_by="0",
        source="primary",
        streams=(),
        wal_included=wal_included,
    )


def _wal(
    timeline: int, numbers: Iterable[int], *, partial: float = 0, marks: Iterable[float] = ()
) -> TimelineWal:
    whole = [Segment(timeline, number) for number in numbers]
    partials = {}
    if partial:
        segment = Segment.at(timeline, _lsn(partial))
        partials[segment] = int(_lsn(partial) - segment.start)
    return TimelineWal(
        timeline, whole, partials, [Mark(timeline, _lsn(each), _at(each)) for each in marks]
    )


def _archive(*wal: TimelineWal, histories: Iterable[History] = ()) -> WalArchive:
    return WalArchive(
        Layout("main", "1"),
        {each.timeline: each for each in wal},
        {each.timeline: each for each in histories},
    )


def _one(reachable: Reachable, timeline: int = 1) -> Reach:
    (found,) = [each for each in reachable.reaches if each.timeline == timeline]
    return found


def test_a_backup_leads_from_its_stop_to_the_end_of_its_wal() -> None:
    archive = _archive(_wal(1, range(2, 6), partial=6.5, marks=[3, 6.2]))
    reach = _one(Reachable([_backup(2.1, 2.5)], archive))
    assert (reach.start, reach.end) == (_lsn(2.5), _lsn(6.5))
    assert (reach.start_time, reach.end_time) == (_at(2.5), _at(6.2))


def test_wal_after_a_gap_is_not_reached() -> None:
    archive = _archive(_wal(1, [2, 3, 5, 6], marks=[3, 6]))
    reachable = Reachable([_backup(2.1, 2.5)], archive)
    assert _one(reachable).end == _lsn(4)
    assert reachable.holes() == [Hole(1, _lsn(4), _lsn(5))]
    assert reachable.last_stored(1) == _lsn(7)


@pytest.mark.parametrize("missing", [2, 3])
def test_a_backup_without_all_wal_between_start_and_stop_leads_nowhere(missing: int) -> None:
    numbers = [each for each in range(2, 6) if each != missing]
    reachable = Reachable([_backup(2.1, 3.5)], _archive(_wal(1, numbers)))
    assert reachable.reaches == []
    hole = reachable.first_missing(_backup(2.1, 3.5), 1)
    assert hole.end == _lsn(missing + 1)


def test_a_backup_with_its_own_wal_is_one_point() -> None:
    reach = _one(Reachable([_backup(2.1, 2.5, wal_included=True)], _archive()))
    assert reach.start == reach.end == _lsn(2.5)
    assert reach.has_time(_at(2.5))
    assert not reach.has_time(_at(2.6))


_SECOND = History(2, (Branch(1, _lsn(4.5)),))


def test_a_later_timeline_is_reached_through_the_one_it_branched_off() -> None:
    # The segment of the branch is complete on the newer timeline only.
    archive = _archive(
        _wal(1, [2, 3], partial=4.5, marks=[3, 4.4]),
        _wal(2, [4, 5], marks=[5.5]),
        histories=[_SECOND],
    )
    reachable = Reachable([_backup(2.1, 2.5)], archive)
    reach = _one(reachable, timeline=2)
    assert (reach.start, reach.end) == (_lsn(4.5), _lsn(6))
    # From what is the last known of the older timeline.
    assert (reach.start_time, reach.end_time) == (_at(4.4), _at(5.5))
    assert not reach.has_lsn(_lsn(4.5))
    assert _one(reachable).end == _lsn(4.5)
    files = [str(each) for each, _ in reachable.segments(reach.backup, 2, _lsn(5.5))]
    assert files == [str(Segment(1, 2)), str(Segment(1, 3)), str(Segment(2, 4)), str(Segment(2, 5))]


def test_wal_missing_before_a_branch_is_a_hole_and_not_the_end() -> None:
    archive = _archive(_wal(1, [2]), _wal(2, [4, 5]), histories=[_SECOND])
    reachable = Reachable([_backup(2.1, 2.5)], archive)
    assert [each.timeline for each in reachable.reaches] == [1]
    assert reachable.latest_timeline() == 2
    assert reachable.holes() == [Hole(1, _lsn(3), _lsn(4))]
    assert reachable.first_missing(_backup(2.1, 2.5), 2) == Hole(1, _lsn(3), _lsn(4))


def test_what_the_older_timeline_wrote_after_the_branch_is_of_that_one_alone() -> None:
    archive = _archive(
        _wal(1, [2, 3, 4, 5], marks=[4.4, 5.9]), _wal(2, [4, 5]), histories=[_SECOND]
    )
    reachable = Reachable([_backup(2.1, 2.5)], archive)
    older, newer = _one(reachable), _one(reachable, timeline=2)
    assert older.has_lsn(_lsn(5.5))
    assert newer.has_lsn(_lsn(5.5))
    assert older.end_time == _at(5.9)
    assert newer.start_time == _at(4.4)
    assert reachable.holes() == []


def test_a_backup_made_after_the_branch_does_not_lead_to_the_newer_timeline() -> None:
    archive = _archive(_wal(1, [2, 3, 4, 5]), _wal(2, [4, 5]), histories=[_SECOND])
    reachable = Reachable([_backup(4.6, 4.8)], archive)
    assert [each.timeline for each in reachable.reaches] == [1]
    # Nor does one that was running when the standby took over.
    assert Reachable([_backup(4.2, 4.8)], archive).reaches[0].timeline == 1
    assert len(Reachable([_backup(4.2, 4.8)], archive).reaches) == 1


def test_a_backup_knows_its_own_timeline_without_a_history() -> None:
    archive = _archive(_wal(3, [6, 7]))
    reach = _one(Reachable([_backup(6.1, 6.5, timeline=3)], archive), timeline=3)
    assert reach.end == _lsn(8)
