"""For how long the archive of dbopsd's backups stands still while there is WAL to store."""

from dbopsd.db.statement import load_sql
from dbopsd.health.check import MIB, Check, Measurement, Subject
from dbopsd.health.report import State, Thresholds

_SQL = load_sql(__package__, "wal_archive.sql").statement


async def _measure(subject: Subject) -> Measurement:
    slots = await subject.fetch_all(_SQL)
    if not slots:
        return Measurement(None, "no slot of dbopsd keeps WAL here")
    # The one that is furthest behind comes first.
    name, position, lag_bytes, lost, receivers = slots[0]
    if lost:
        return Measurement(
            None,
            f"slot '{name}' has lost WAL that was not archived: a full backup is needed",
            State.DEGRADED,
            "ARCHIVE_SLOT_LOST",
        )
    behind = f"the archive is {lag_bytes / MIB:.1f} MiB of WAL behind"
    if receivers == 0 and lag_bytes > 0:
        behind += ", and nothing receives WAL: `dbops workers list` shows whether a worker runs"
    return Measurement(_standing_s(subject, position, lag_bytes), behind, seen=position)


def _standing_s(subject: Subject, position: float, lag_bytes: float) -> float:
    """Since when the archive has not moved, though it could."""
    previous = subject.previous
    if lag_bytes <= 0 or previous is None or previous.measured_at is None:
        return 0.0
    if previous.value is None or previous.seen != position:
        return 0.0
    return previous.value + max(subject.now - previous.measured_at, 0.0)


CHECK = Check(
    name="wal_archive",
    unit="s",
    about="how long the WAL archive of dbopsd's backups stands still while WAL waits",
    reason="ARCHIVE_BEHIND",
    measure=_measure,
    thresholds=Thresholds(300, 1800),
    every_s=10,
)
