"""Applies the rules of retention to the backups of one cluster.

It looks, notes what is no longer wanted, and looks again before anything goes: what was held,
leased, or rested upon since then stays. Whatever is interrupted is finished by the next run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from dbopsd.backup.catalog.catalog import Backup
from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.notes import Note, NoteKind, expiry_of
from dbopsd.backup.leases import Lease, leases_of
from dbopsd.backup.model.description import backup_name
from dbopsd.backup.model.reports import ExpiredBackup, KeptBackup, RetentionReport
from dbopsd.backup.repository import Repository
from dbopsd.backup.retention.genuine import judge_backups
from dbopsd.backup.retention.policy import Decision, decide, good_backups
from dbopsd.backup.retention.removal import (
    delete_objects,
    find_orphans,
    mark_deleting,
    note_if_room,
    read_named_data_keys,
    remove_backup,
    sweep_leavings,
)
from dbopsd.backup.retention.wal_needs import wal_needs
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.wal.archive import WalArchive, read_archive
from dbopsd.backup.wal.mark_seals import with_genuine_marks
from dbopsd.config.backup import span_s
from dbopsd.operations.kind import Run

_TAKEN_BACK: Final = "a rule of retention, a hold or a reader wants it"


@dataclass(frozen=True)
class _View:
    """A cluster's backups at one moment, and what is to become of them."""

    backups: Sequence[Backup]
    """One of which an object is missing has a problem that says so."""
    archive: WalArchive
    decision: Decision
    expiries: Mapping[str, Note]

    def expire_time(self, id_: str, grace_s: float) -> datetime | None:
        """When an unwanted backup goes; None where no note says that it is to go."""
        note = self.expiries.get(id_)
        if note is None:
            return None
        return note.at + timedelta(seconds=float(note.fields.get("grace_s", grace_s)))


@dataclass(frozen=True)
class Retention:
    """The rules of a database's configuration, for one cluster of it."""

    run: Run
    repository: Repository
    layout: Layout
    clock: Callable[[], datetime]

    async def apply(self, *, dry_run: bool) -> RetentionReport:
        """Do what the rules say, or, with `dry_run`, say what would be done."""
        self.run.progress("reading the catalog")
        view = await self._look()
        if dry_run:
            view = self._as_if_noted(view)
            return await self._report(view, self._due(view), dry_run=True)
        view = await self._note_changes(view)
        due = self._due(view)
        if due:
            for backup in due:
                expiry = view.expiries.get(backup.id)
                if expiry is None or not expiry.fields.get("deleting"):
                    reason = view.decision.unwanted[backup.id]
                    await mark_deleting(self.repository, self.layout, backup, reason)
            again = await self._look()
            await self._take_back(again)
            due = [each for each in due if each.id in again.decision.unwanted]
            await self._remove(due)
            view = again
        return await self._report(view, due, dry_run=False)

    async def _look(self) -> _View:
        store, layout = self.repository.store, self.layout
        catalog = await self.repository.catalog(layout.system_identifier)
        # Listed after the catalog was read: a backup that is committed meanwhile lacks nothing.
        sizes = {each.key: each.size_bytes async for each in store.list(layout.backups)}
        judged = await judge_backups(self.repository, catalog.backups)
        backups = [_with_missing(each, sizes) for each in judged.backups]
        stored = await _read_archive(store, layout, backups)
        # A forged mark would say that a timeline has nothing that is as new as is wanted.
        archive, _ = await with_genuine_marks(self.repository.keys, stored)
        leases = await leases_of(store, layout, clock=self.clock)
        rules = self.repository.config.retention
        decision = decide(backups, rules, archive, leases, self.clock(), judged.unjudged)
        expiries = {
            each.id: note for each in backups if (note := expiry_of(each.notes)) is not None
        }
        return _View(backups, archive, decision, expiries)

    def _as_if_noted(self, view: _View) -> _View:
        grace_s = span_s(self.repository.config.retention.grace)
        now = self.clock()
        noted = {
            id_: Note(id_, NoteKind.EXPIRED, now, {"grace_s": grace_s})
            for id_ in view.decision.unwanted
        }
        return replace(view, expiries={**noted, **view.expiries})

    async def _note_changes(self, view: _View) -> _View:
        """Note what is newly unwanted, and what is wanted again."""
        await self._take_back(view)
        grace_s = span_s(self.repository.config.retention.grace)
        expiries = {
            id_: note for id_, note in view.expiries.items() if id_ in view.decision.unwanted
        }
        for id_, reason in view.decision.unwanted.items():
            if id_ not in expiries:
                fields = {"reason": reason, "grace_s": grace_s}
                note = await note_if_room(
                    self.repository, self.layout, id_, NoteKind.EXPIRED, fields
                )
                if note is not None:
                    expiries[id_] = note
        return replace(view, expiries=expiries)

    async def _take_back(self, view: _View) -> None:
        for id_ in view.expiries:
            if id_ in view.decision.kept:
                fields = {"reason": _TAKEN_BACK}
                await note_if_room(self.repository, self.layout, id_, NoteKind.KEPT, fields)

    def _due(self, view: _View) -> list[Backup]:
        """The unwanted backups whose grace, and whose children's, is over: children first."""
        now = self.clock()
        grace_s = span_s(self.repository.config.retention.grace)
        due: dict[str, Backup] = {}
        blocked: set[str] = set()
        for backup in reversed(view.backups):
            expires = view.expire_time(backup.id, grace_s)
            over = expires is not None and expires <= now
            if backup.id in view.decision.unwanted and over and backup.id not in blocked:
                due[backup.id] = backup
            elif backup.record is not None:
                blocked.add(backup.record.parent)
        return list(due.values())

    async def _remove(self, due: Sequence[Backup]) -> None:
        if not due:
            return
        named = await read_named_data_keys(self.repository)
        for number, backup in enumerate(due):
            self.run.progress("deleting backups", number, len(due), "{backup}")
            data_key = "" if backup.record is None else backup.record.data_key
            await remove_backup(self.repository, self.layout, backup.id, data_key, named)

    async def _sweep(self, orphans: Mapping[str, str]) -> int:
        """Remove what is left of backups, ids with their data keys; how many objects."""
        if not orphans:
            return 0
        # Read after the notes that say what is to be forgotten.
        named = await read_named_data_keys(self.repository)
        objects = 0
        for id_, data_key in orphans.items():
            objects += await remove_backup(self.repository, self.layout, id_, data_key, named)
        return objects

    async def _report(
        self, view: _View, due: Sequence[Backup], *, dry_run: bool
    ) -> RetentionReport:
        """Do what comes last, WAL and what was left behind; the report."""
        gone = {each.id for each in due}
        left = [each for each in view.backups if each.id not in gone]
        wal = await self._unneeded_wal(left, view)
        orphans = await find_orphans(
            self.repository, self.layout, [each.id for each in view.backups], self.clock()
        )
        objects = 0
        if dry_run:
            for id_ in orphans:
                folder = self.layout.backup(id_)
                objects += len([each async for each in self.repository.store.list(folder)])
        else:
            await delete_objects(
                self.repository,
                wal,
                lambda deleted: self.run.progress("deleting WAL", deleted, len(wal), "{object}"),
            )
            objects = await self._sweep(orphans)
            await sweep_leavings(self.repository, self.layout, self.clock())
        grace_s = span_s(self.repository.config.retention.grace)
        database = self.layout.database
        expired = tuple(
            ExpiredBackup(
                backup_name(database, id_), reason, view.expire_time(id_, grace_s), id_ in gone
            )
            for id_, reason in view.decision.unwanted.items()
        )
        kept = tuple(
            KeptBackup(backup_name(database, id_), reasons)
            for id_, reasons in view.decision.kept.items()
        )
        segments = sum("/marks/" not in key for key in wal)
        return RetentionReport(expired, kept, segments, objects, dry_run)

    async def _unneeded_wal(self, backups: Sequence[Backup], view: _View) -> list[str]:
        store, layout = self.repository.store, self.layout
        keys = [each.key async for each in store.list(layout.wal)]
        leases: list[Lease] = await leases_of(store, layout, clock=self.clock)
        needs = wal_needs(backups, view.decision, view.archive, leases)
        return [] if needs is None else needs.unneeded(layout, keys)


def _with_missing(backup: Backup, sizes: Mapping[str, int]) -> Backup:
    """The backup, with a problem if the store does not list what its record does."""
    if backup.record is None or backup.problem:
        return backup
    for each in backup.record.objects:
        if sizes.get(each.path) != each.stored_bytes:
            return replace(backup, problem=f"{each.path} is missing or has another size")
    return backup


async def _read_archive(
    store: DurableStore, layout: Layout, backups: Sequence[Backup]
) -> WalArchive:
    good = good_backups(backups)
    if good:
        return await read_archive(store, layout, good[-1].segment_bytes)
    return await read_archive(store, layout)
