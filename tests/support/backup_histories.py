"""Histories of clusters for tests of retention: backups, WAL and timelines, in no store."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from dbopsd.backup.catalog.catalog import Backup
from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.catalog.layout import Layout, new_backup_id
from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.wal.archive import Mark, WalArchive, mark_key, parse_archive, segment_key
from dbopsd.backup.wal.timelines import Branch, History

LAYOUT = Layout("main", "7500000000000000001")
SEGMENT_BYTES = 2**20
START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def record(
    kind: BackupKind,
    stop_time: datetime,
    *,
    start: int = 0,
    stop: int = SEGMENT_BYTES,
    timeline: int = 1,
    parent: str = "",
    dbname: str = "",
    tables: tuple[str, ...] = (),
    schema_only: bool = False,
) -> CommitRecord:
    """The record of a backup that took an hour, and has no objects."""
    return CommitRecord(
        id=new_backup_id(kind.value, stop_time),
        database=LAYOUT.database,
        kind=kind,
        system_identifier=LAYOUT.system_identifier,
        server_version="18.6",
        timeline=timeline,
        start_lsn=Lsn(start),
        stop_lsn=Lsn(stop),
        start_time=stop_time - HOUR,
        stop_time=stop_time,
        codec="none",
        made_by="test",
        source="primary",
        streams=(),
        parent=parent,
        segment_bytes=SEGMENT_BYTES,
        dbname=dbname,
        tables=tables,
        schema_only=schema_only,
    )


@dataclass(frozen=True)
class Moment:
    """A commit: where it is in the WAL, and when it was."""

    timeline: int
    lsn: int
    at: datetime


@dataclass
class ClusterHistory:
    """A cluster that writes one segment of WAL an hour, and stores it with a mark."""

    now: datetime = START
    timeline: int = 1
    lsn: int = SEGMENT_BYTES
    backups: list[Backup] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    wal: set[str] = field(default_factory=set)
    histories: dict[int, History] = field(default_factory=dict)

    @property
    def archive(self) -> WalArchive:
        return parse_archive(LAYOUT, sorted(self.wal), self.histories, SEGMENT_BYTES)

    def run(self, hours: int = 1, *, stored: bool = True) -> None:
        for _ in range(hours):
            segment = Segment.at(self.timeline, self.lsn, SEGMENT_BYTES)
            self.now += HOUR
            self.moments.append(Moment(self.timeline, self.lsn + SEGMENT_BYTES // 2, self.now))
            self.lsn = segment.end
            if stored:
                self.wal.add(segment_key(LAYOUT, segment))
                self.wal.add(mark_key(LAYOUT, Mark(self.timeline, Lsn(self.lsn), self.now)))

    def take(self, kind: BackupKind, parent: str = "") -> Backup:
        """A backup that takes an hour, of which the WAL is stored."""
        start = self.lsn
        self.run()
        made = record(
            kind,
            self.now,
            start=start + 40,
            stop=self.lsn - 40,
            timeline=self.timeline,
            parent=parent,
            dbname="shop" if kind is BackupKind.LOGICAL else "",
        )
        self.backups.append(Backup(made.id, made))
        return self.backups[-1]

    def switch(self, back: int = 0) -> None:
        """Begin a new timeline here, or, as after a restore, so many segments further back."""
        way = [*self.histories.get(self.timeline, History(1)).branches]
        end = max(self.lsn - back * SEGMENT_BYTES, SEGMENT_BYTES)
        while way and way[-1].end > end:
            self.timeline = way.pop().timeline
        new = max([1, *self.histories]) + 1
        self.histories[new] = History(new, (*way, Branch(self.timeline, Lsn(end))))
        self.timeline, self.lsn = new, end

    def break_(self, backup: Backup) -> None:
        """Find damage in a backup."""
        self.backups = [
            replace(each, problem="verification found damage") if each.id == backup.id else each
            for each in self.backups
        ]

    def reachable(self) -> Iterator[Moment]:
        """The moments that can be restored to with the backups and the WAL that are there."""
        whole = {each.id: each.record for each in self.backups if not each.problem and each.record}
        bases = []
        for each in whole.values():
            below = each
            while below is not None and below.parent:
                below = whole.get(below.parent)
            if below is not None and each.kind is not BackupKind.LOGICAL:
                bases.append(each)
        for moment in self.moments:
            if any(self._leads_to(base, moment) for base in bases):
                yield moment

    def _leads_to(self, base: CommitRecord, moment: Moment) -> bool:
        """Walk back from the moment, segment by segment, to the backup's start."""
        timeline, lsn = moment.timeline, moment.lsn
        branches = list(self.histories.get(timeline, History(timeline)).branches)
        passed_end = False
        while True:
            if timeline == base.timeline and lsn >= base.stop_lsn:
                passed_end = True
            if segment_key(LAYOUT, Segment.at(timeline, lsn, SEGMENT_BYTES)) not in self.wal:
                return False
            begin = Segment.at(timeline, lsn, SEGMENT_BYTES).start
            if timeline == base.timeline and begin <= base.start_lsn <= lsn:
                return passed_end
            if branches and begin <= branches[-1].end:
                branch = branches.pop()
                timeline, lsn = branch.timeline, branch.end - 1
            else:
                lsn = begin - 1
            if lsn < 0:
                return False
