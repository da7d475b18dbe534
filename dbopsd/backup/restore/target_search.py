"""Finds where in the WAL a recovery target is, and on which timeline.

A time, an xid and a name are looked up in the WAL itself. The result is one record at which, or
before which, recovery is to stop: PostgreSQL gets its position, and stops nowhere else.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.model.requests import RecoveryTarget
from dbopsd.backup.restore.errors import TargetAmbiguous, TargetUnreachable, WalGapInTheWay
from dbopsd.backup.restore.reachable import Hole, Reach, Reachable, newest
from dbopsd.backup.restore.wal_scan import WalRecord, WalScan

_XIDS: Final = 2**32
# A record begins behind the header of the page, where the one before it ends at a page's end.
_PAGE_HEADER_BYTES: Final = 40


@dataclass(frozen=True, slots=True)
class Stop:
    """Where recovery is to end: at `record`, or just before it if it is not `inclusive`.

    Without a record: once the backup is consistent (`immediate`), or at the end of the WAL, whose
    last record is known once the WAL is fetched.
    """

    record: WalRecord | None = None
    inclusive: bool = True
    immediate: bool = False

    def missed_by(self, reached: Lsn, consistent: Lsn) -> str:
        """Why a recovery that ended at `reached` ended elsewhere; empty if it is where it should.

        `consistent`: where the backup becomes so.
        """
        if reached + _PAGE_HEADER_BYTES < consistent:
            return f"it ended at {reached}, before the backup was consistent at {consistent}"
        if self.record is None:
            return ""
        if self.inclusive:
            first, last = Lsn(self.record.lsn + 1), self.record.latest_end
        else:
            first, last = Lsn(self.record.lsn - _PAGE_HEADER_BYTES), self.record.lsn
        if first <= reached <= last:
            return ""
        return f"it ended at {reached}, and not between {first} and {last}"


@dataclass(frozen=True, slots=True)
class Found:
    """A target, found: what leads there, where recovery stops, and up to where it needs WAL."""

    reach: Reach
    stop: Stop
    wal_end: Lsn
    notes: tuple[str, ...] = ()


class TargetSearch:
    """The search for one target."""

    def __init__(
        self,
        database: str,
        reachable: Reachable,
        scan: WalScan,
        target: RecoveryTarget,
        unsealed: str = "",
    ) -> None:
        """`unsealed`: what to tell of marks without which a time may not be found."""
        self._database = database
        self._reachable = reachable
        self._scan = scan
        self._target = target
        self._unsealed = unsealed
        self._way = self._chosen_way()

    async def find(self) -> Found:
        """Raise `TargetUnreachable`, `TargetAmbiguous` or `WalGapInTheWay`, or what a scan does."""
        target = self._target
        if target.immediate:
            return self._find_immediate()
        if target.time:
            return await self._find_time(target.time)
        if target.lsn:
            return await self._find_lsn(Lsn.parse(target.lsn))
        if target.xid:
            xid = int(target.xid) % _XIDS
            return await self._find_record(
                lambda each: each.time is not None and each.xid == xid,
                "no transaction of this id has ended in the WAL that can be reached",
            )
        if target.name:
            return await self._find_record(
                lambda each: each.point == target.name,
                "no restore point of this name is in the WAL that can be reached",
                points=True,
            )
        return self._find_latest()

    def _find_latest(self) -> Found:
        timeline = self._way[0][0] if self._way else self._reachable.latest_timeline()
        found = [each for each in self._reachable.reaches if each.timeline == timeline]
        end = max((each.end for each in found), default=Lsn(0))
        if not found or end < self._reachable.last_stored(timeline):
            raise self._gap(timeline, found)
        return self._to_the_end(newest([each for each in found if each.end == end]))

    def _find_immediate(self) -> Found:
        wanted = {timeline for timeline, _ in self._way}
        backups = [
            each for each in self._reachable.backups if not wanted or each.timeline in wanted
        ]
        if not backups:
            raise self._unreachable("no backup is on this timeline", [], [])
        backup = max(backups, key=lambda each: (each.timeline, each.stop_lsn))
        for each in self._reachable.reaches:
            if each.backup is backup and not each.inherited:
                return Found(each, Stop(immediate=True), backup.stop_lsn)
        raise self._gap(backup.timeline, [])

    async def _find_lsn(self, lsn: Lsn) -> Found:
        candidates = self._candidates(lambda each: each.has_lsn(lsn), at=lsn)
        if not candidates:
            reaches = self._reaches_of_interest()
            before = [each for each in reaches if each.end < lsn]
            after = [each for each in reaches if each.start > lsn]
            timeline = self._way[0][0] if self._way else self._reachable.latest_timeline()
            if not after and lsn <= self._reachable.last_stored(timeline):
                raise self._gap(timeline, before)
            raise self._unreachable("no backup and its WAL lead there", before, after)
        reach = newest([each for each in candidates if each.backup.stop_lsn <= lsn])
        files = [
            each
            for each in self._reachable.segments(reach.backup, reach.timeline, reach.end)
            if each[0].end > lsn
        ]
        record = await self._scan.first_record(files, reach.timeline, lsn)
        if record is None:
            return self._to_the_end(reach, f"Nothing was written at or after {lsn}")
        return self._at(reach, record, inclusive=not self._target.exclusive)

    async def _find_time(self, time: datetime) -> Found:
        candidates = self._candidates(lambda each: each.has_time(time))
        if not candidates:
            candidates = await self._proved_by_commits(time)
        left = list(candidates)
        while left:
            reach = newest(left)
            record = await self._first_end_after(reach, time)
            if record is None:
                why = f"No transaction ended after {described(self._target)}"
                return self._to_the_end(reach, why)
            if record.lsn >= reach.backup.stop_lsn:
                return self._at(reach, record, inclusive=False)
            # By the server's clock the backup ended later than by the one of who made it.
            left = [each for each in left if each.backup.stop_lsn <= record.lsn]
        after = [each for each in candidates if each.start_time <= time]
        raise self._unreachable("no backup ended before it", [], after)

    async def _first_end_after(self, reach: Reach, time: datetime) -> WalRecord | None:
        """The first transaction on the way that ended later than is wanted."""
        # A mark is set a moment before its position is read: the one before it is surely older.
        marks = self._reachable.marks(reach.backup, reach.timeline)
        older = [each.lsn for each in marks if each.at <= time][:-1]
        start = max([reach.backup.start_lsn, *older[-1:]])
        files = [
            each
            for each in self._reachable.segments(reach.backup, reach.timeline, reach.end)
            if each[0].end > start
        ]
        exclusive = self._target.exclusive
        return await self._scan.forward(
            files,
            reach.timeline,
            lambda each: (
                each.time is not None and (each.time >= time if exclusive else each.time > time)
            ),
        )

    async def _proved_by_commits(self, time: datetime) -> list[Reach]:
        """The reaches that have a commit after a time, where no mark says that they do.

        Raises `TargetUnreachable` or `WalGapInTheWay` if there is none.
        """
        reaches = self._reaches_of_interest()
        before = [each for each in reaches if each.end_time < time]
        after = [each for each in reaches if each.start_time > time]
        timeline = self._way[0][0] if self._way else self._reachable.latest_timeline()
        last = [each for each in before if each.timeline == timeline]
        if after or not last:
            raise self._unreachable("no backup and its WAL lead there", before, after)
        end = max(each.end for each in last)
        last = [each for each in last if each.end == end]
        if end < self._reachable.last_stored(timeline):
            raise self._gap(timeline, last)
        reach = newest(last)
        files = self._reachable.segments(reach.backup, timeline, end)
        found = await self._scan.backward(
            files, timeline, lambda each: each.time is not None and each.time >= time
        )
        if found is None:
            raise self._unreachable("the archive knows of nothing so late yet", before, [])
        return last

    async def _find_record(
        self, wanted: Callable[[WalRecord], bool], problem: str, *, points: bool = False
    ) -> Found:
        """The newest record that is wanted, of all timelines, or on the way to the chosen one.

        `points`: it is a restore point, and not the end of a transaction.
        """
        found: list[tuple[int, WalRecord]] = []
        passed: list[int] = []
        timelines = sorted({each.timeline for each in self._reachable.reaches}, reverse=True)
        left_ats = dict(self._way)
        for timeline in timelines:
            if self._way and timeline not in left_ats:
                continue
            # Up to where newer timelines left it, it is theirs as well, and was looked through.
            shared = [
                left_at
                for newer in passed
                for number, left_at in self._reachable.way(newer)
                if number == timeline and left_at is not None
            ]
            since = max(shared, default=Lsn(0)) if found else Lsn(0)
            record = await self._search_timeline(
                timeline, wanted, since, left_ats.get(timeline), points=points
            )
            passed.append(timeline)
            if record is not None:
                found.append((timeline, record))
                if self._way:
                    break
        if not found:
            raise self._unreachable(problem, self._reaches_of_interest(), [])
        self._refuse_ambiguous([timeline for timeline, _ in found])
        timeline, record = found[0]
        leading = [
            each
            for each in self._reachable.reaches
            if each.timeline == timeline and each.backup.stop_lsn <= record.lsn < each.end
        ]
        return self._at(newest(leading), record, inclusive=not self._target.exclusive)

    async def _search_timeline(
        self,
        timeline: int,
        wanted: Callable[[WalRecord], bool],
        since: Lsn,
        until: Lsn | None,
        *,
        points: bool,
    ) -> WalRecord | None:
        """The newest record on a timeline's own part from `since` on, and before `until`."""
        reaches = [each for each in self._reachable.reaches if each.timeline == timeline]
        for end in sorted({each.end for each in reaches}, reverse=True):
            first = min((each for each in reaches if each.end == end), key=lambda each: each.start)
            start = max(first.start, since)
            files = [
                each
                for each in self._reachable.segments(first.backup, timeline, end)
                if each[0].timeline == timeline and each[0].end > start
            ]
            record = await self._scan.backward(
                files,
                timeline,
                lambda each, start=start: (  # type: ignore[misc]  # mypy knows no default of a lambda
                    each.lsn >= start and (until is None or each.lsn < until) and wanted(each)
                ),
                points=points,
            )
            if record is not None:
                return record
        return None

    def _at(self, reach: Reach, record: WalRecord, *, inclusive: bool) -> Found:
        return Found(reach, Stop(record, inclusive), min(record.latest_end, reach.end))

    def _to_the_end(self, reach: Reach, why: str = "") -> Found:
        notes = (f"{why}: recovery goes to the end of the WAL, {reach.end}.",) if why else ()
        # With its own WAL only, the end is where it is consistent.
        return Found(reach, Stop(immediate=reach.backup.wal_included), reach.end, notes)

    def _chosen_way(self) -> list[tuple[int, Lsn | None]]:
        """The chosen timeline and its ancestors; empty where none was chosen."""
        chosen = self._target.timeline
        if not chosen:
            return []
        if chosen == "latest":
            return self._reachable.way(self._reachable.latest_timeline())
        if chosen == "current":
            backup = max(self._reachable.backups, key=lambda each: (each.timeline, each.stop_lsn))
            return self._reachable.way(backup.timeline)
        return self._reachable.way(int(chosen))

    def _candidates(self, has: Callable[[Reach], bool], at: Lsn | None = None) -> Sequence[Reach]:
        """The reaches that have the moment, all on one timeline. Raises `TargetAmbiguous`."""
        found = [each for each in self._reachable.reaches if has(each)]
        if not self._way:
            self._refuse_ambiguous({each.timeline for each in found})
            return found
        for timeline, left_at in self._way:
            own = [
                each
                for each in found
                if each.timeline == timeline and (at is None or left_at is None or at <= left_at)
            ]
            if own:
                return own
        return []

    def _reaches_of_interest(self) -> list[Reach]:
        timelines = {timeline for timeline, _ in self._way}
        return [
            each for each in self._reachable.reaches if not timelines or each.timeline in timelines
        ]

    def _refuse_ambiguous(self, timelines: Iterable[int]) -> None:
        distinct = sorted(set(timelines))
        if len(distinct) > 1:
            numbers = " and ".join(map(str, distinct))
            raise TargetAmbiguous(
                self._database,
                described(self._target),
                f"timelines {numbers} both have it, with different data",
                ",".join(map(str, distinct)),
            )

    def _unreachable(
        self, problem: str, before: Sequence[Reach], after: Sequence[Reach]
    ) -> TargetUnreachable:
        if self._target.time and self._unsealed:
            problem = f"{problem}, and {self._unsealed}"
        return TargetUnreachable(
            self._database, described(self._target), problem, *self._nearest(before, after)
        )

    def _gap(self, timeline: int, before: Sequence[Reach]) -> WalGapInTheWay:
        """The error for WAL that is missing after the reaches, or on the way to a timeline."""
        hole = self._hole(timeline, before)
        return WalGapInTheWay(
            self._database,
            described(self._target),
            hole.timeline,
            str(hole.start),
            str(hole.end),
            *self._nearest(before or self._reaches_of_interest(), []),
        )

    def _hole(self, timeline: int, before: Sequence[Reach]) -> Hole:
        end = max((each.end for each in before if each.timeline == timeline), default=None)
        for hole in self._reachable.holes():
            if hole.timeline == timeline and hole.start == end:
                return hole
        backup = max(self._reachable.backups, key=lambda each: each.stop_lsn)
        return self._reachable.first_missing(backup, timeline)

    def _nearest(self, before: Sequence[Reach], after: Sequence[Reach]) -> tuple[str, str]:
        """The nearest moments, as positions if the target is one, else as times."""
        if self._target.lsn:
            last = max((each.end for each in before), default=None)
            first = min((each.start for each in after), default=None)
            return str(last or ""), str(first or "")
        latest = max((each.end_time for each in before), default=None)
        earliest = min((each.start_time for each in after), default=None)
        return written(latest), written(earliest)


def described(target: RecoveryTarget) -> str:
    """A target in words."""
    before = "just before " if target.exclusive else ""
    if target.immediate:
        return "the end of the backup"
    if target.time:
        return f"{before}the time {written(target.time)}"
    if target.lsn:
        return f"{before}the LSN {target.lsn}"
    if target.xid:
        return f"{before}the transaction {target.xid}"
    if target.name:
        return f"the restore point '{target.name}'"
    return "the latest moment"


def written(time: datetime | None) -> str:
    """A time as RFC 3339 in UTC, with microseconds; empty for none."""
    return "" if time is None else f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
