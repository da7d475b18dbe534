"""How the backups of a database do, read from its store: for health and metrics."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from dbopsd.backup.catalog.catalog import Backup, is_physical
from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.kind import BackupKind, BackupState
from dbopsd.backup.catalog.notes import NoteKind
from dbopsd.backup.repository import Repository, open_repository
from dbopsd.backup.wal.events import list_events
from dbopsd.config.backup import DatabaseBackupConfig, span_s
from dbopsd.health.backup_overview import (
    OVERDUE_FACTOR,
    SCHEMA_ONLY,
    BackupOverview,
    LastBackup,
    LastDrill,
)


async def read_overview(
    database: str,
    config: DatabaseBackupConfig,
    intervals_s: Mapping[str, float],
    drill_interval_s: float | None,
    state_dir: Path | None = None,
) -> BackupOverview:
    """Read it from the store. Intervals are those of the schedules; the configuration wins.

    Raises `KeyUnreadable` and what the store does.
    """
    read_at = datetime.now(UTC).timestamp()
    backups: list[Backup] = []
    events: dict[str, float] = {}
    newest: dict[str, LastBackup] = {}
    async with open_repository(database, config, state_dir) as repository:
        for system in await repository.systems():
            backups += (await repository.catalog(system)).backups
            for event in await list_events(repository.store, repository.layout(system)):
                at = event.at.timestamp()
                events[event.kind.value] = max(at, events.get(event.kind.value, at))
        good = [each.record for each in backups if each.record is not None and _is_good(each)]
        good.sort(key=lambda each: each.stop_time)
        for kind, records in _by_kind(good).items():
            last_record = await _first_genuine(repository, reversed(records))
            if last_record is not None:
                newest[kind] = _last_backup(last_record)
        oldest = await _first_genuine(repository, filter(is_physical, good))
    if config.max_age is not None:
        last = max(newest, key=lambda kind: newest[kind].ended_at, default=None)
        limit_s = span_s(config.max_age) / OVERDUE_FACTOR
        intervals_s = {} if last is None else {last: limit_s}
    if config.drill_max_age is not None:
        drill_interval_s = span_s(config.drill_max_age) / OVERDUE_FACTOR
    return BackupOverview(
        read_at,
        newest=newest,
        stored=_stored(backups),
        broken=tuple(each.id for each in backups if each.state is BackupState.BROKEN),
        oldest_at=None if oldest is None else oldest.stop_time.timestamp(),
        intervals_s=intervals_s,
        drill=_last_drill(backups),
        drill_interval_s=drill_interval_s,
        wal_events=events,
    )


def _is_good(backup: Backup) -> bool:
    """Whether data can be had back from it, as far as is known."""
    holds_rows = backup.record is not None and not backup.record.schema_only
    return holds_rows and backup.state is not BackupState.BROKEN


def _by_kind(records: Iterable[CommitRecord]) -> dict[str, list[CommitRecord]]:
    """The records of each kind, in their order."""
    found: dict[str, list[CommitRecord]] = {}
    for record in records:
        found.setdefault(record.kind.value.lower(), []).append(record)
        if record.fallback:
            found.setdefault(BackupKind.INCREMENTAL.value.lower(), []).append(record)
    return found


async def _first_genuine(
    repository: Repository, records: Iterable[CommitRecord]
) -> CommitRecord | None:
    """The first that somebody with its key has written: proving each would read all of them."""
    for record in records:
        if await repository.is_genuine(record):
            return record
    return None


def _last_backup(record: CommitRecord) -> LastBackup:
    return LastBackup(
        record.stop_time.timestamp(),
        (record.stop_time - record.start_time).total_seconds(),
        record.size_bytes,
        record.stored_bytes,
    )


def _stored(backups: Sequence[Backup]) -> dict[str, tuple[int, int]]:
    """How many there are of each kind, and their size; 0 where there is none."""
    counted = {kind.value.lower(): (0, 0) for kind in BackupKind} | {SCHEMA_ONLY: (0, 0)}
    for each in backups:
        if each.record is not None:
            kind = SCHEMA_ONLY if each.record.schema_only else each.record.kind.value.lower()
            count, size = counted[kind]
            counted[kind] = (count + 1, size + each.record.stored_bytes)
    return counted


def _last_drill(backups: Sequence[Backup]) -> LastDrill | None:
    notes = [note for each in backups if (note := each.notes.get(NoteKind.DRILLED)) is not None]
    if not notes:
        return None
    note = max(notes, key=lambda each: each.at)
    report = note.fields.get("report", {})
    return LastDrill(
        note.at.timestamp(),
        bool(note.fields["ok"]),
        tuple(each["name"] for each in report.get("checks", ()) if not each["ok"]),
        float(report.get("recovery_seconds", 0.0)),
        float(report.get("recovery_point_seconds", 0.0)),
    )
