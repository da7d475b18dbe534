"""A backup as the contract describes it."""

from datetime import UTC, datetime, timedelta

from dbopsd.backup.catalog.catalog import Backup
from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.kind import BackupState
from dbopsd.backup.catalog.notes import Note, NoteKind
from dbopsd.backup.model.reports import BackupDescription, BackupObject


def backup_name(database: str, id_: str) -> str:
    """The resource name of a backup."""
    return f"databases/{database}/backups/{id_}"


def describe(database: str, backup: Backup, *, objects: bool = True) -> BackupDescription:
    """The backup, with its objects if those are wanted."""
    name, notes, record = backup_name(database, backup.id), backup.notes, backup.record
    if record is None:
        return BackupDescription(name, backup.state, problem=backup.problem)
    expired = notes.get(NoteKind.EXPIRED) if backup.state is BackupState.EXPIRED else None
    drilled, label = notes.get(NoteKind.DRILLED), notes.get(NoteKind.LABEL)
    counts = record.row_counts.tables if record.row_counts else ()
    return BackupDescription(
        name=name,
        state=backup.state,
        kind=record.kind,
        problem=backup.problem,
        parent=backup_name(database, record.parent) if record.parent else "",
        system_identifier=record.system_identifier,
        server_version=record.server_version,
        timeline=record.timeline,
        start_lsn=str(record.start_lsn),
        stop_lsn=str(record.stop_lsn),
        start_time=record.start_time,
        stop_time=record.stop_time,
        size_bytes=record.size_bytes,
        stored_bytes=record.stored_bytes,
        objects=_objects(record) if objects else (),
        codec=record.codec,
        key_id=record.key_id,
        label=record.label if label is None else str(label.fields["label"]),
        fallback=record.fallback,
        held_until=_still(backup.held_until),
        expire_time=_expire_time(expired),
        expire_reason=str(expired.fields.get("reason", "")) if expired else "",
        last_verified=_at(notes.get(NoteKind.VERIFIED)),
        last_drill=_at(drilled),
        last_drill_ok=None if drilled is None else bool(drilled.fields.get("ok")),
        source=record.source,
        dbname=record.dbname,
        tables=record.tables,
        schema_only=record.schema_only,
        tables_counted=len(counts),
        rows_counted=sum(each.rows for each in counts),
    )


def _objects(record: CommitRecord) -> tuple[BackupObject, ...]:
    return tuple(BackupObject(each.path, each.stored_bytes, each.sha256) for each in record.objects)


def _still(until: datetime | None) -> datetime | None:
    return until if until is not None and until > datetime.now(UTC) else None


def _at(note: Note | None) -> datetime | None:
    return note.at if note else None


def _expire_time(expired: Note | None) -> datetime | None:
    if expired is None:
        return None
    return expired.at + timedelta(seconds=float(expired.fields.get("grace_s", 0.0)))
