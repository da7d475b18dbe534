"""What the quick methods about backups answer, read from the store."""

from datetime import UTC, datetime

from dbopsd.backup.catalog.catalog import Backup, Catalog
from dbopsd.backup.catalog.errors import BackupNotFound
from dbopsd.backup.catalog.kind import BackupKind, BackupState
from dbopsd.backup.catalog.notes import NoteKind, expiry_of, write_note
from dbopsd.backup.leases import BackupBeingDeleted
from dbopsd.backup.model.description import describe
from dbopsd.backup.model.reports import BackupDescription
from dbopsd.backup.repository import Repository


async def describe_backup(repository: Repository, id_: str) -> BackupDescription:
    """One backup, with its objects. Raises `BackupNotFound`."""
    _, backup = await _find(repository, id_)
    return describe(repository.database, backup)


async def list_backups(
    repository: Repository, *, kind: BackupKind | None = None, expired: bool = False
) -> list[BackupDescription]:
    """The backups of every cluster that the database was, the oldest first, without objects.

    `kind`: of this one only. `expired`: those too that retention is about to remove.
    """
    found: list[Backup] = []
    for system in await repository.systems():
        found.extend((await repository.catalog(system)).backups)
    wanted = [
        each
        for each in found
        if (expired or each.state is not BackupState.EXPIRED)
        and (kind is None or (each.record is not None and each.record.kind is kind))
    ]
    described = [describe(repository.database, each, objects=False) for each in wanted]
    return sorted(described, key=lambda each: (_began(each), each.name))


async def hold_backup(
    repository: Repository, id_: str, until: datetime | None
) -> BackupDescription:
    """Keep a backup until then, whatever retention wants; None releases it.

    Raises `BackupNotFound`, and `BackupBeingDeleted` where it is too late for that.
    """
    moment = until or datetime.now(UTC)
    held = await _note(repository, id_, NoteKind.HOLD, {"until": moment.isoformat()})
    if until is None:
        return held
    # Who removes a backup says so, and then looks whether it is held: one of us sees the other.
    catalog, backup = await _find(repository, id_)
    expiry = expiry_of(backup.notes)
    if expiry is None:
        return held
    if expiry.fields.get("deleting"):
        raise BackupBeingDeleted(repository.database, id_)
    await write_note(repository.store, catalog.layout, id_, NoteKind.KEPT, {"reason": "held"})
    return await describe_backup(repository, id_)


async def label_backup(repository: Repository, id_: str, label: str) -> BackupDescription:
    """Give a backup another label."""
    return await _note(repository, id_, NoteKind.LABEL, {"label": label})


async def _note(
    repository: Repository, id_: str, kind: NoteKind, fields: dict[str, str]
) -> BackupDescription:
    catalog, _ = await _find(repository, id_)
    await write_note(repository.store, catalog.layout, id_, kind, fields)
    return await describe_backup(repository, id_)


async def _find(repository: Repository, id_: str) -> tuple[Catalog, Backup]:
    for system in await repository.systems():
        catalog = await repository.catalog(system)
        for each in catalog.backups:
            if each.id == id_:
                return catalog, each
    raise BackupNotFound(repository.database, id_)


def _began(backup: BackupDescription) -> datetime:
    return backup.start_time or datetime.min.replace(tzinfo=UTC)
