"""The backups of the database and its drills, as they were last read from the store."""

from collections.abc import Iterable
from typing import Final

from dbopsd.metrics.errors import SourceNotApplicable
from dbopsd.metrics.model import Metric, MetricType
from dbopsd.metrics.source import Source, Subject, Value


def _gauge(name: str, unit: str, help_text: str, *labels: str) -> Metric:
    return Metric(name, MetricType.GAUGE, unit, help_text, labels)


_SUCCESS: Final = _gauge(
    "dbops_backup_last_success_timestamp_seconds",
    "s",
    "When the newest good backup of the kind ended, in seconds since 1970. A full one that was "
    "made in place of an incremental one counts as both.",
    "kind",
)
_INTERVAL: Final = _gauge(
    "dbops_backup_interval_seconds",
    "s",
    "Longest time between two backups of the kind by the schedules, or two thirds of "
    "backup.max_age where it is set.",
    "kind",
)
_ATTEMPT: Final = _gauge(
    "dbops_backup_last_attempt_success",
    "1",
    "1 if the last attempt at a backup succeeded, 0 if it failed.",
)
_DURATION: Final = _gauge(
    "dbops_backup_last_duration_seconds",
    "s",
    "How long the newest good backup of the kind took.",
    "kind",
)
_SIZE: Final = _gauge(
    "dbops_backup_last_size_bytes",
    "By",
    "Size of the newest good backup of the kind before compression.",
    "kind",
)
_STORED: Final = _gauge(
    "dbops_backup_last_stored_bytes",
    "By",
    "Size of the newest good backup of the kind in the store.",
    "kind",
)
_RATIO: Final = _gauge(
    "dbops_backup_last_compression_ratio",
    "1",
    "Size of the newest good backup of the kind before compression, divided by that in the store.",
    "kind",
)
_BACKUPS: Final = _gauge(
    "dbops_backups",
    "{backup}",
    "Backups of the kind in the store, expired ones too. Dumps without rows are of the kind "
    "schema-only, and of no other.",
    "kind",
)
_ALL_STORED: Final = _gauge(
    "dbops_backup_stored_bytes",
    "By",
    "Size of all backups of the kind in the store, without the WAL archive.",
    "kind",
)
_BROKEN: Final = _gauge("dbops_backups_broken", "{backup}", "Backups that are known to be damaged.")
_READ: Final = _gauge(
    "dbops_backup_store_read_success",
    "1",
    "1 if the list of backups could be read from the store the last time, 0 if not.",
)
_READ_AT: Final = _gauge(
    "dbops_backup_store_read_timestamp_seconds",
    "s",
    "When the list of backups was last read from the store, in seconds since 1970.",
)
_DRILL_AT: Final = _gauge(
    "dbops_drill_last_timestamp_seconds", "s", "When the last drill ended, in seconds since 1970."
)
_DRILL_OK: Final = _gauge(
    "dbops_drill_last_success", "1", "1 if the last drill passed every check, 0 if not."
)
_DRILL_INTERVAL: Final = _gauge(
    "dbops_drill_interval_seconds",
    "s",
    "Longest time between two drills by the schedules, or two thirds of backup.drill_max_age "
    "where it is set.",
)
_RECOVERY: Final = _gauge(
    "dbops_drill_last_recovery_seconds",
    "s",
    "How long the last drill took from its start until the restored server took writes.",
)
_RECOVERY_POINT: Final = _gauge(
    "dbops_drill_last_recovery_point_seconds",
    "s",
    "How much newest work a disaster at the time of the last drill would have lost.",
)
_WAL_EVENT: Final = _gauge(
    "dbops_wal_archive_event_timestamp_seconds",
    "s",
    "When the WAL archive last recorded an event of the kind (gap, conflict, slot-lost, timeline, "
    "new-system), in seconds since 1970.",
    "kind",
)


def _measure(subject: Subject) -> Iterable[Value]:
    found = subject.backups
    if found is None:
        if subject.database.config.backup is None:
            raise SourceNotApplicable("the database has no [databases.NAME.backup]")
        return
    for kind, last in found.newest.items():
        yield _SUCCESS, (kind,), last.ended_at
        yield _DURATION, (kind,), last.duration_s
        yield _SIZE, (kind,), float(last.size_bytes)
        yield _STORED, (kind,), float(last.stored_bytes)
        yield _RATIO, (kind,), last.size_bytes / last.stored_bytes if last.stored_bytes else None
    for kind, interval_s in found.intervals_s.items():
        yield _INTERVAL, (kind,), interval_s
    for kind, (count, stored_bytes) in found.stored.items():
        yield _BACKUPS, (kind,), float(count)
        yield _ALL_STORED, (kind,), float(stored_bytes)
    for kind, at in found.wal_events.items():
        yield _WAL_EVENT, (kind,), at
    yield _ATTEMPT, (), None if found.attempt_ok is None else float(found.attempt_ok)
    yield _BROKEN, (), float(len(found.broken))
    yield _READ, (), float(not found.problem)
    yield _READ_AT, (), found.read_at
    yield _DRILL_INTERVAL, (), found.drill_interval_s
    if found.drill is not None:
        yield _DRILL_AT, (), found.drill.at
        yield _DRILL_OK, (), float(found.drill.ok)
        yield _RECOVERY, (), found.drill.recovery_s
        yield _RECOVERY_POINT, (), found.drill.recovery_point_s


SOURCE = Source(
    "backups",
    "The backups of the database and its drills.",
    (
        *(_SUCCESS, _INTERVAL, _ATTEMPT, _DURATION, _SIZE, _STORED, _RATIO),
        *(_BACKUPS, _ALL_STORED, _BROKEN, _READ, _READ_AT),
        *(_DRILL_AT, _DRILL_OK, _DRILL_INTERVAL, _RECOVERY, _RECOVERY_POINT, _WAL_EVENT),
    ),
    _measure,
    every_s=5.0,
)
