"""The backups in a store, as listing it finds them."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from dbopsd.backup.catalog.commit import CommitRecord, read_commit
from dbopsd.backup.catalog.errors import BackupNotFound
from dbopsd.backup.catalog.kind import BackupKind, BackupState
from dbopsd.backup.catalog.layout import COMMIT, Layout, is_backup_id
from dbopsd.backup.catalog.notes import Note, NoteKind, expiry_of, read_notes
from dbopsd.backup.codec.errors import NOT_ENCRYPTED, BackupDamaged
from dbopsd.backup.codec.whole_object import MOST_RECORD_BYTES, read_whole
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import ObjectMissing
from dbopsd.operations.gather_or_cancel import gather_or_cancel

_READ_AT_ONCE: Final = 8


@dataclass(frozen=True)
class Backup:
    """A backup and what became of it. `record` is None where the commit record is damaged."""

    id: str
    record: CommitRecord | None
    notes: dict[NoteKind, Note] = field(default_factory=dict)
    problem: str = ""
    """Why it is BROKEN."""

    @property
    def state(self) -> BackupState:
        if self.problem:
            return BackupState.BROKEN
        return BackupState.COMPLETE if expiry_of(self.notes) is None else BackupState.EXPIRED

    @property
    def held_until(self) -> datetime | None:
        """Until when it is held, if it was ever."""
        hold = self.notes.get(NoteKind.HOLD)
        return None if hold is None else datetime.fromisoformat(hold.fields["until"])


@dataclass(frozen=True)
class Catalog:
    """The backups of one cluster, the oldest first, and what was left by unfinished ones."""

    layout: Layout
    backups: Sequence[Backup]
    uncommitted: Sequence[str] = ()
    """Ids of folders without a commit record."""

    def get(self, id_: str) -> Backup:
        """The backup. Raises `BackupNotFound`."""
        for each in self.backups:
            if each.id == id_:
                return each
        raise BackupNotFound(self.layout.database, id_)

    def chain(self, backup: Backup) -> list[CommitRecord]:
        """The full backup that it rests on, the incremental ones between, and itself, in order.

        Raises `BackupNotFound` where one is missing.
        """
        chain: list[CommitRecord] = []
        following: Backup | None = backup
        while following is not None:
            record = following.record
            if record is None or record in chain:
                raise BackupNotFound(self.layout.database, following.id)
            chain.append(record)
            following = self.get(record.parent) if record.parent else None
        return chain[::-1]

    def children(self, id_: str) -> list[Backup]:
        """Every backup that rests on this one, directly or not, each before those it rests on."""
        direct = [
            each for each in self.backups if each.record is not None and each.record.parent == id_
        ]
        return [below for each in direct for below in (*self.children(each.id), each)]


async def read_catalog(
    store: DurableStore, layout: Layout, *, only_encrypted: bool = False
) -> Catalog:
    """List the store. A damaged commit record makes a BROKEN backup, not an error.

    So does one of a backup that is not encrypted, with `only_encrypted`.
    """
    committed: set[str] = set()
    folders: set[str] = set()
    async for each in store.list(layout.backups):
        id_, _, rest = each.key.removeprefix(layout.backups).partition("/")
        if is_backup_id(id_):
            folders.add(id_)
            if rest == COMMIT:
                committed.add(id_)
    notes = await read_notes(store, layout)
    limit = asyncio.Semaphore(_READ_AT_ONCE)

    async def read(id_: str) -> Backup | None:
        async with limit:
            found = await _read(store, layout, id_, notes.get(id_, {}))
        if only_encrypted and found and found.record and not found.record.data_key:
            return replace(found, problem=NOT_ENCRYPTED)
        return found

    found = await gather_or_cancel(read(id_) for id_ in sorted(committed))
    backups = [each for each in found if each is not None]
    backups.sort(key=lambda each: (_began(each), each.id))
    return Catalog(layout, _with_parents(_parents_first(backups)), sorted(folders - committed))


async def list_systems(store: DurableStore, database: str) -> list[str]:
    """The system identifiers of every cluster that has something in the store."""
    return [each for each in await store.folders(f"{database}/") if each.isdigit()]


async def _read(
    store: DurableStore, layout: Layout, id_: str, notes: dict[NoteKind, Note]
) -> Backup | None:
    key = layout.commit(id_)
    try:
        record = read_commit(key, await read_whole(store, key, MOST_RECORD_BYTES))
    except ObjectMissing:
        return None  # deleted since it was listed
    except BackupDamaged as error:
        return Backup(id_, None, notes, f"{error.object}: {error.detail}")
    verified = notes.get(NoteKind.VERIFIED)
    problem = ""
    if verified is not None and not verified.fields["ok"]:
        problem = f"verification found damage at {verified.at:%Y-%m-%d %H:%M} UTC"
    return Backup(id_, record, notes, problem)


def _parents_first(backups: Sequence[Backup]) -> list[Backup]:
    """The backups in the order they have, but none before what it rests on: clocks go back."""
    known = {each.id: each for each in backups}
    ordered: dict[str, Backup] = {}
    for each in backups:
        way: dict[str, Backup] = {}
        following: Backup | None = each
        while following is not None and following.id not in {**ordered, **way}:
            way[following.id] = following
            parent = following.record.parent if following.record is not None else ""
            following = known.get(parent)
        ordered.update(reversed(way.items()))
    return list(ordered.values())


def _with_parents(backups: Iterable[Backup]) -> list[Backup]:
    """The backups, an incremental one BROKEN where what it rests on is not there or BROKEN.

    In any order: a clock that was set back dates a backup before its parent.
    """
    known = {each.id: each for each in backups}

    def problem_of(backup: Backup, above: tuple[str, ...] = ()) -> str:
        parent = backup.record.parent if backup.record is not None else ""
        if backup.problem or not parent:
            return backup.problem
        below = known.get(parent)
        if below is None or parent in above:
            return f"its parent {parent} is missing"
        if problem_of(below, (*above, backup.id)):
            return f"its parent {parent} is damaged"
        return ""

    return [replace(each, problem=problem_of(each)) for each in known.values()]


def _began(backup: Backup) -> str:
    """Its start, or the time in its id where the record is damaged, as text that sorts."""
    if backup.record is not None:
        return f"{backup.record.start_time:%Y%m%dt%H%M%S%f}"
    return "".join(part for part in backup.id.split("-") if part[:1].isdigit())


def is_physical(record: CommitRecord) -> bool:
    """Whether a cluster can be restored from it."""
    return record.kind is not BackupKind.LOGICAL
