"""Where a target is in the WAL, and on which timeline: over records that a scan would find."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.model.requests import RecoveryTarget
from dbopsd.backup.restore.errors import TargetAmbiguous, TargetUnreachable, WalGapInTheWay
from dbopsd.backup.restore.reachable import Hole, Reachable
from dbopsd.backup.restore.target_search import Found, Stop, TargetSearch
from dbopsd.backup.restore.wal_scan import SegmentFile, WalRecord, WalScan
from dbopsd.backup.wal.archive import WalArchive
from dbopsd.backup.wal.timelines import Branch, History
from tests.support.recorded_wal import archive, at, backup, lsn, wal

_SECOND = History(2, (Branch(1, lsn(4.5)),))


@dataclass
class _Scan:
    """A scan over records by the timeline that has their file."""

    records: dict[int, list[WalRecord]] = field(default_factory=dict)

    async def forward(
        self, files: Sequence[SegmentFile], _timeline: int, wanted: Callable[[WalRecord], bool]
    ) -> WalRecord | None:
        return next((each for each in self._in(files) if each.time and wanted(each)), None)

    async def backward(
        self,
        files: Sequence[SegmentFile],
        _timeline: int,
        wanted: Callable[[WalRecord], bool],
        *,
        points: bool = False,
    ) -> WalRecord | None:
        found = [each for each in reversed(self._in(files)) if (each.point is not None) == points]
        return next((each for each in found if wanted(each)), None)

    async def first_record(
        self, files: Sequence[SegmentFile], _timeline: int, position: Lsn
    ) -> WalRecord | None:
        return next((each for each in self._in(files) if each.lsn >= position), None)

    def _in(self, files: Sequence[SegmentFile]) -> list[WalRecord]:
        return [
            record
            for segment, _ in files
            for record in self.records.get(segment.timeline, [])
            if segment.start <= record.lsn < segment.end
        ]


def _commit(position: float, *, minute: float | None = None, xid: int = 0) -> WalRecord:
    return WalRecord(lsn(position), 34, xid, True, at(position if minute is None else minute))


async def _find(
    target: RecoveryTarget,
    stored: WalArchive,
    records: dict[int, list[WalRecord]],
    backups: Sequence[CommitRecord] = (backup(2.1, 2.5),),
) -> Found:
    scan = cast("WalScan", _Scan(records))
    return await TargetSearch("main", Reachable(backups, stored), scan, target).find()


_ONE = archive(wal(1, range(2, 8), marks=[3, 4, 5, 6, 7.5]))
_COMMITS = {1: [_commit(position, xid=int(position * 10)) for position in (2.8, 3.5, 4.5, 5.5)]}


async def test_a_time_stops_before_the_first_later_commit() -> None:
    found = await _find(RecoveryTarget(time=at(4)), _ONE, _COMMITS)
    assert found.stop == Stop(_COMMITS[1][2], inclusive=False)
    exact = await _find(RecoveryTarget(time=at(4.5)), _ONE, _COMMITS)
    assert exact.stop.record == _COMMITS[1][3]
    exclusive = await _find(RecoveryTarget(time=at(4.5), exclusive=True), _ONE, _COMMITS)
    assert exclusive.stop.record == _COMMITS[1][2]


async def test_marks_that_do_not_count_are_told_where_a_time_is_not_found() -> None:
    scan = cast("WalScan", _Scan())
    stored = Reachable([backup(2.1, 2.5)], archive(wal(1, range(2, 8))))
    for target, told in ((RecoveryTarget(time=at(5)), True), (RecoveryTarget(xid="7"), False)):
        search = TargetSearch("main", stored, scan, target, "2 of 2 marks have no seal")
        with pytest.raises(TargetUnreachable) as raised:
            await search.find()
        assert ("2 of 2 marks have no seal" in raised.value.message) is told


async def test_the_newest_backup_that_ended_before_is_taken() -> None:
    backups = [backup(2.1, 2.5), backup(3.6, 3.9), backup(4.1, 4.8)]
    found = await _find(RecoveryTarget(time=at(4.2)), _ONE, _COMMITS, backups)
    assert found.reach.backup is backups[1]
    found = await _find(RecoveryTarget(lsn=str(lsn(4.8))), _ONE, _COMMITS, backups)
    assert found.reach.backup is backups[2]
    found = await _find(RecoveryTarget(xid="35"), _ONE, _COMMITS, backups)
    assert found.reach.backup is backups[0]


async def test_a_backup_that_ended_later_by_the_servers_clock_is_not_taken() -> None:
    # The commit after the time is within the second backup: it cannot stop there.
    backups = [backup(2.1, 2.5), backup(3.6, 3.9)]
    commits = {1: [_commit(3.8, minute=4.5)]}
    found = await _find(RecoveryTarget(time=at(4)), _ONE, commits, backups)
    assert found.reach.backup is backups[0]


async def test_a_time_that_no_mark_covers_is_proved_by_a_commit_after_it() -> None:
    stored = archive(wal(1, range(2, 8)))
    found = await _find(RecoveryTarget(time=at(4)), stored, _COMMITS)
    assert found.stop.record == _COMMITS[1][2]
    with pytest.raises(TargetUnreachable):
        await _find(RecoveryTarget(time=at(5.6)), stored, _COMMITS)


@pytest.mark.parametrize(
    "target",
    [
        RecoveryTarget(time=at(5.5)),
        RecoveryTarget(lsn=str(lsn(5.5))),
        RecoveryTarget(xid="7"),
        RecoveryTarget(name="both"),
    ],
    ids=["time", "lsn", "xid", "name"],
)
async def test_what_two_timelines_have_is_refused_unless_one_is_chosen(
    target: RecoveryTarget,
) -> None:
    stored = archive(
        wal(1, range(2, 7), marks=[3, 4.4, 6.5]),
        wal(2, range(4, 7), marks=[6.5]),
        histories=[_SECOND],
    )
    records = {
        timeline: [
            _commit(5.4, xid=7),
            WalRecord(lsn(5.45), 100, point="both"),
            _commit(5.6 + timeline / 10, xid=8),
        ]
        for timeline in (1, 2)
    }
    with pytest.raises(TargetAmbiguous) as raised:
        await _find(target, stored, records)
    assert raised.value.timelines == "1,2"
    for timeline, chosen in (("1", 1), ("current", 1), ("2", 2), ("latest", 2)):
        fields: dict[str, Any] = {**target.__dict__, "timeline": timeline}
        assert (await _find(RecoveryTarget(**fields), stored, records)).reach.timeline == chosen


async def test_what_is_before_the_branch_is_one_moment() -> None:
    stored = archive(
        wal(1, range(2, 5), marks=[3, 4.4]), wal(2, range(4, 7), marks=[6]), histories=[_SECOND]
    )
    records = {1: [_commit(3.5, xid=7), _commit(4.2, xid=8)], 2: [_commit(5.5, xid=9)]}
    for timeline in ("", "2"):
        target = RecoveryTarget(xid="7", timeline=timeline)
        assert (await _find(target, stored, records)).stop.record == records[1][0]
        early = RecoveryTarget(lsn=str(lsn(3.4)), timeline=timeline)
        assert (await _find(early, stored, records)).reach.timeline == 1
        newest = RecoveryTarget(timeline=timeline)
        assert (await _find(newest, stored, records)).reach.timeline == 2


async def test_the_latest_moment_is_not_the_one_before_a_gap() -> None:
    stored = archive(wal(1, [2, 3]), wal(2, [5, 6]), histories=[_SECOND])
    with pytest.raises(WalGapInTheWay) as raised:
        await _find(RecoveryTarget(latest=True), stored, {})
    assert (raised.value.timeline, raised.value.start) == (2, str(lsn(4)))
    assert Reachable([backup(2.1, 2.5)], stored).holes() == [Hole(2, lsn(4), lsn(5))]


async def test_a_later_window_is_the_nearest_moment_after_a_gap() -> None:
    stored = archive(wal(1, [2, 3, 5, 6, 7], marks=[3.5, 7.5]))
    backups = [backup(2.1, 2.5), backup(6.1, 6.5)]
    with pytest.raises(TargetUnreachable) as raised:
        await _find(RecoveryTarget(lsn=str(lsn(5.5))), stored, {}, backups)
    assert (raised.value.before, raised.value.after) == (str(lsn(4)), str(lsn(6.5)))


@pytest.mark.parametrize(
    ("stop", "reached", "missed"),
    [
        (Stop(WalRecord(lsn(5), 34)), lsn(5) + 40, False),
        (Stop(WalRecord(lsn(5), 34)), lsn(5), True),
        (Stop(WalRecord(lsn(5), 34)), lsn(5.1), True),
        (Stop(WalRecord(lsn(5), 34), inclusive=False), lsn(5), False),
        (Stop(WalRecord(lsn(5), 34), inclusive=False), lsn(4.9), True),
        (Stop(WalRecord(lsn(5), 34), inclusive=False), lsn(5) + 40, True),
        (Stop(immediate=True), lsn(2.5), False),
        (Stop(immediate=True), lsn(2.4), True),
    ],
)
def test_a_recovery_that_ended_elsewhere_is_told(stop: Stop, reached: int, *, missed: bool) -> None:
    assert bool(stop.missed_by(Lsn(reached), lsn(2.5))) is missed
