"""The work of `CreateBackup`: takes a backup, commits it, and says what it is."""

from dataclasses import replace

from dbopsd.backup.catalog.catalog import Backup
from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.kind import BackupKind, BackupState
from dbopsd.backup.catalog.notes import NoteKind, write_note
from dbopsd.backup.logical.create_logical import create_logical
from dbopsd.backup.model.description import describe
from dbopsd.backup.model.reports import BackupDescription
from dbopsd.backup.model.requests import CreateBackupRequest
from dbopsd.backup.physical.errors import IncrementalUnsupported
from dbopsd.backup.physical.physical_backup import take_physical_backup
from dbopsd.backup.repository import Repository, repository_of
from dbopsd.backup.server import read_server
from dbopsd.operations.kind import Run


async def create_backup(run: Run, request: CreateBackupRequest) -> BackupDescription:
    """Take a backup. What an attempt before this one left is an orphan, which retention removes."""
    async with repository_of(run) as repository:
        if request.kind is BackupKind.LOGICAL:
            record = await create_logical(run, repository, request)
            return await _described(run, repository, request, record)
        try:
            record = await take_physical_backup(run, repository, request)
        except IncrementalUnsupported as error:
            if not request.if_supported:
                raise
            newest = await _newest_full(run, repository)
            if newest is not None:
                return replace(describe(run.database.name, newest), fallback=error.message)
            full = replace(request, kind=BackupKind.FULL, if_supported=False)
            record = await take_physical_backup(run, repository, full)
        return await _described(run, repository, request, record)


async def _newest_full(run: Run, repository: Repository) -> Backup | None:
    """The newest backup that the server's WAL goes on from."""
    server = await read_server(run.database)
    catalog = await repository.catalog(server.system_identifier)
    return next(
        (
            each
            for each in reversed(catalog.backups)
            if each.state is BackupState.COMPLETE
            and each.record is not None
            and each.record.kind is BackupKind.FULL
        ),
        None,
    )


async def _described(
    run: Run, repository: Repository, request: CreateBackupRequest, record: CommitRecord
) -> BackupDescription:
    notes = {}
    if request.hold_until is not None:
        notes[NoteKind.HOLD] = await write_note(
            repository.store,
            repository.layout(record.system_identifier),
            record.id,
            NoteKind.HOLD,
            {"until": request.hold_until.isoformat()},
        )
    return describe(run.database.name, Backup(record.id, record, notes))
