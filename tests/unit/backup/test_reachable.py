"""Which moments are reachable: pure reckoning over backups, ranges of WAL and timelines."""

import pytest

from dbopsd.backup.catalog.lsn import Segment
from dbopsd.backup.restore.reachable import Hole, Reach, Reachable
from dbopsd.backup.wal.timelines import Branch, History
from tests.support.recorded_wal import archive, at, backup, lsn, wal


def _one(reachable: Reachable, timeline: int = 1) -> Reach:
    (found,) = [each for each in reachable.reaches if each.timeline == timeline]
    return found


def test_a_backup_leads_from_its_stop_to_the_end_of_its_wal() -> None:
    stored = archive(wal(1, range(2, 6), partial=6.5, marks=[3, 6.2]))
    reach = _one(Reachable([backup(2.1, 2.5)], stored))
    assert (reach.start, reach.end) == (lsn(2.5), lsn(6.5))
    assert (reach.start_time, reach.end_time) == (at(2.5), at(6.2))


def test_wal_after_a_gap_is_not_reached() -> None:
    stored = archive(wal(1, [2, 3, 5, 6], marks=[3, 6]))
    reachable = Reachable([backup(2.1, 2.5)], stored)
    assert _one(reachable).end == lsn(4)
    assert reachable.holes() == [Hole(1, lsn(4), lsn(5))]
    assert reachable.last_stored(1) == lsn(7)


@pytest.mark.parametrize("missing", [2, 3])
def test_a_backup_without_all_wal_between_start_and_stop_leads_nowhere(missing: int) -> None:
    numbers = [each for each in range(2, 6) if each != missing]
    reachable = Reachable([backup(2.1, 3.5)], archive(wal(1, numbers)))
    assert reachable.reaches == []
    hole = reachable.first_missing(backup(2.1, 3.5), 1)
    assert hole.end == lsn(missing + 1)


def test_a_backup_with_its_own_wal_is_one_point() -> None:
    reach = _one(Reachable([backup(2.1, 2.5, wal_included=True)], archive()))
    assert reach.start == reach.end == lsn(2.5)
    assert reach.has_time(at(2.5))
    assert not reach.has_time(at(2.6))


_SECOND = History(2, (Branch(1, lsn(4.5)),))


def test_a_later_timeline_is_reached_through_the_one_it_branched_off() -> None:
    # The segment of the branch is complete on the newer timeline only.
    stored = archive(
        wal(1, [2, 3], partial=4.5, marks=[3, 4.4]),
        wal(2, [4, 5], marks=[5.5]),
        histories=[_SECOND],
    )
    reachable = Reachable([backup(2.1, 2.5)], stored)
    reach = _one(reachable, timeline=2)
    assert (reach.start, reach.end) == (lsn(4.5), lsn(6))
    # From what is the last known of the older timeline.
    assert (reach.start_time, reach.end_time) == (at(4.4), at(5.5))
    assert not reach.has_lsn(lsn(4.5))
    assert _one(reachable).end == lsn(4.5)
    files = [str(each) for each, _ in reachable.segments(reach.backup, 2, lsn(5.5))]
    assert files == [str(Segment(1, 2)), str(Segment(1, 3)), str(Segment(2, 4)), str(Segment(2, 5))]


def test_wal_missing_before_a_branch_is_a_hole_and_not_the_end() -> None:
    stored = archive(wal(1, [2]), wal(2, [4, 5]), histories=[_SECOND])
    reachable = Reachable([backup(2.1, 2.5)], stored)
    assert [each.timeline for each in reachable.reaches] == [1]
    assert reachable.latest_timeline() == 2
    assert reachable.holes() == [Hole(1, lsn(3), lsn(4))]
    assert reachable.first_missing(backup(2.1, 2.5), 2) == Hole(1, lsn(3), lsn(4))


def test_what_the_older_timeline_wrote_after_the_branch_is_of_that_one_alone() -> None:
    stored = archive(wal(1, [2, 3, 4, 5], marks=[4.4, 5.9]), wal(2, [4, 5]), histories=[_SECOND])
    reachable = Reachable([backup(2.1, 2.5)], stored)
    older, newer = _one(reachable), _one(reachable, timeline=2)
    assert older.has_lsn(lsn(5.5))
    assert newer.has_lsn(lsn(5.5))
    assert older.end_time == at(5.9)
    assert newer.start_time == at(4.4)
    assert reachable.holes() == []


def test_a_backup_made_after_the_branch_does_not_lead_to_the_newer_timeline() -> None:
    stored = archive(wal(1, [2, 3, 4, 5]), wal(2, [4, 5]), histories=[_SECOND])
    reachable = Reachable([backup(4.6, 4.8)], stored)
    assert [each.timeline for each in reachable.reaches] == [1]
    # Nor does one that was running when the standby took over.
    assert Reachable([backup(4.2, 4.8)], stored).reaches[0].timeline == 1
    assert len(Reachable([backup(4.2, 4.8)], stored).reaches) == 1


def test_a_backup_knows_its_own_timeline_without_a_history() -> None:
    stored = archive(wal(3, [6, 7]))
    reach = _one(Reachable([backup(6.1, 6.5, timeline=3)], stored), timeline=3)
    assert reach.end == lsn(8)
