"""Deleting a backup on request, as an operation."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from dbopsd.backup.catalog.catalog import Backup, Catalog, is_physical
from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.errors import BackupNotFound
from dbopsd.backup.catalog.notes import NoteKind, expiry_of, read_notes
from dbopsd.backup.leases import CLOCK_MARGIN, leases_of
from dbopsd.backup.model.description import backup_name
from dbopsd.backup.model.reports import DeleteReport
from dbopsd.backup.model.requests import DeleteBackupRequest
from dbopsd.backup.repository import Repository, repository_of
from dbopsd.backup.retention.errors import (
    BackupHasChildren,
    BackupHeld,
    BackupInUse,
    BackupIsNewest,
    BackupKept,
)
from dbopsd.backup.retention.genuine import judge_backups
from dbopsd.backup.retention.policy import good_backups
from dbopsd.backup.retention.removal import (
    mark_deleting,
    note_if_room,
    read_named_data_keys,
    remove_backup,
)
from dbopsd.operations.kind import Run


async def delete_backup(run: Run, request: DeleteBackupRequest) -> DeleteReport:
    """Delete a backup at once, without a grace, and with `with_children` what rests on it.

    Raises `BackupNotFound`, and a `BackupKept` where it is held, in use, rested upon, or the newest
    good physical backup of the database: that one goes only when there is a newer one. A dump, a
    damaged backup and those of a former cluster may always go. The WAL stays until retention finds
    that nobody needs it.
    """
    async with repository_of(run) as repository:
        deletion = _Deletion(run, repository, request)
        catalog = await deletion.find()
        if catalog is None:
            return await deletion.finish_earlier()
        doomed = await deletion.judge(catalog)
        if not request.dry_run:
            await deletion.delete(catalog, doomed)
        names = tuple(backup_name(repository.database, each.id) for each in doomed)
        return DeleteReport(names, request.dry_run)


class _Deletion:
    def __init__(self, run: Run, repository: Repository, request: DeleteBackupRequest) -> None:
        self._run = run
        self._repository = repository
        self._id = request.backup_id
        self._with_children = request.with_children
        self._dry_run = request.dry_run

    async def find(self) -> Catalog | None:
        """The catalog that has the backup, of whatever cluster."""
        for system in await self._repository.systems():
            catalog = await self._repository.catalog(system)
            if any(each.id == self._id for each in catalog.backups):
                return catalog
        return None

    async def finish_earlier(self) -> DeleteReport:
        """Remove what is left of a deletion that was interrupted."""
        for system in await self._repository.systems():
            layout = self._repository.layout(system)
            notes = (await read_notes(self._repository.store, layout, self._id)).get(self._id, {})
            expiry = expiry_of(notes)
            if expiry is not None and expiry.fields.get("deleting"):
                if not self._dry_run:
                    data_key = str(expiry.fields.get("data_key", ""))
                    named = await read_named_data_keys(self._repository)
                    await remove_backup(self._repository, layout, self._id, data_key, named)
                names = (backup_name(self._repository.database, self._id),)
                return DeleteReport(names, self._dry_run)
        raise BackupNotFound(self._repository.database, self._id)

    async def judge(self, catalog: Catalog) -> list[Backup]:
        """What is to be deleted, children first. Raises a `BackupKept`."""
        children = catalog.children(self._id)
        if children and not self._with_children:
            raise BackupHasChildren(self._id, tuple(each.id for each in children))
        doomed = [*children, catalog.get(self._id)]
        now = datetime.now(UTC)
        leases = await leases_of(self._repository.store, catalog.layout)
        for each in doomed:
            if each.held_until is not None and each.held_until > now:
                raise BackupHeld(each.id, each.held_until)
            for lease in leases:
                if each.id in lease.backups:
                    raise BackupInUse(each.id, lease.holder, lease.expires + CLOCK_MARGIN)
        newest = await self._newest()
        if newest in {each.id for each in doomed}:
            raise BackupIsNewest(newest)
        return doomed

    async def _newest(self) -> str:
        """The newest good physical backup of all clusters; empty: there is none.

        Where no key is here that tells which are real, the newest of those that may be.
        """
        real: list[CommitRecord] = []
        unjudged: list[CommitRecord] = []
        for system in await self._repository.systems():
            backups = (await self._repository.catalog(system)).backups
            judged = await judge_backups(self._repository, backups)
            real += _physical(good_backups(judged.backups))
            unjudged += _physical(
                each.record
                for each in backups
                if each.record is not None and each.id in judged.unjudged
            )
        return max(real or unjudged, key=lambda each: each.stop_time).id if real or unjudged else ""

    async def delete(self, catalog: Catalog, doomed: Sequence[Backup]) -> None:
        """Note that they go, look again, and delete them."""
        reason = f"deleted by {self._run.requester}"
        for backup in doomed:
            await mark_deleting(self._repository, catalog.layout, backup, reason)
        try:
            # Whoever held, leased or extended one before the note is seen now.
            again = await self._repository.catalog(catalog.layout.system_identifier)
            await self.judge(again)
        except BackupKept:
            for backup in doomed:
                fields = {"reason": "its deletion was refused"}
                await note_if_room(
                    self._repository, catalog.layout, backup.id, NoteKind.KEPT, fields
                )
            raise
        named = await read_named_data_keys(self._repository)
        for number, backup in enumerate(doomed):
            self._run.progress("deleting", number, len(doomed), "{backup}")
            data_key = "" if backup.record is None else backup.record.data_key
            await remove_backup(self._repository, catalog.layout, backup.id, data_key, named)


def _physical(records: Iterable[CommitRecord]) -> list[CommitRecord]:
    return [each for each in records if is_physical(each)]
