"""How a backup goes: noted, then its commit record, then its objects, then the notes about it.

From the moment that its commit record is gone it is no backup, whatever is left of it. The notes go
last: they say to whoever finds the rest that it may go at once.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from dbopsd.backup.catalog.catalog import Backup
from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.notes import (
    Note,
    NoteKind,
    delete_notes,
    expiry_of,
    read_notes,
    write_note,
)
from dbopsd.backup.leases import delete_dead_leases, leases_of
from dbopsd.backup.repository import Repository
from dbopsd.backup.store.base import ObjectInfo
from dbopsd.backup.store.durable_store import PROBES
from dbopsd.backup.store.errors import StoreFull

ORPHAN_AGE: Final = timedelta(days=1)
"""What no commit record names is swept once its newest object is older than this."""

_DELETED_AT_ONCE: Final = 8
_DATA_KEY: Final = re.compile(r"[0-9a-f]{32}")

_log = logging.getLogger(__name__)


async def mark_deleting(
    repository: Repository, layout: Layout, backup: Backup, reason: str
) -> Note | None:
    """Note that a backup is about to go: from now on nobody takes a lease on it.

    None where the store is full: then nobody can take a lease either.
    """
    fields = {
        "reason": reason,
        "grace_s": 0,
        "deleting": True,
        "data_key": "" if backup.record is None else backup.record.data_key,
    }
    return await note_if_room(repository, layout, backup.id, NoteKind.EXPIRED, fields)


async def note_if_room(
    repository: Repository, layout: Layout, id_: str, kind: NoteKind, fields: Mapping[str, object]
) -> Note | None:
    """Write a note. None where the store is full, which is no reason not to make room."""
    try:
        return await write_note(repository.store, layout, id_, kind, fields)
    except StoreFull as error:
        _log.warning("backup '%s' gets no note '%s': %s", id_, kind.value, error)
        return None


@dataclass(frozen=True)
class NamedDataKeys:
    """Which data keys the backups and the days' WAL of a database name, of all its clusters."""

    names: Mapping[str, set[str]]
    """By data key, the keys of the objects that name it."""
    unread: set[str]
    """The damaged commit records: what they name is not known."""

    def drop(self, key: str) -> None:
        """Take note that an object is gone."""
        for objects in self.names.values():
            objects.discard(key)
        self.unread.discard(key)


async def read_named_data_keys(repository: Repository) -> NamedDataKeys:
    """Read it from the store, which takes every commit record: once for all that is removed."""
    names: dict[str, set[str]] = {}
    unread: set[str] = set()
    for system in await repository.systems():
        catalog = await repository.catalog(system)
        for each in catalog.backups:
            commit = catalog.layout.commit(each.id)
            if each.record is None:
                unread.add(commit)
            else:
                names.setdefault(each.record.data_key, set()).add(commit)
        async for day in repository.store.list(f"{catalog.layout.wal}days/"):
            names.setdefault(day.key.rpartition("-")[2], set()).add(day.key)
    return NamedDataKeys(names, unread)


async def remove_backup(
    repository: Repository, layout: Layout, id_: str, data_key: str, named: NamedDataKeys
) -> int:
    """Remove a backup and the notes about it; how many objects.

    `data_key`: its own, to forget unless something else names it, whatever a note says. Where that
    cannot be told, because a commit record is damaged, its notes stay: with them, a later run does.
    """
    store, commit = repository.store, layout.commit(id_)
    await store.delete(commit)
    objects = [each.key async for each in store.list(layout.backup(id_))]
    await delete_objects(repository, objects)
    named.drop(commit)
    if _DATA_KEY.fullmatch(data_key) and not named.names.get(data_key):
        if named.unread:
            return len(objects)
        await repository.keys.forget(bytes.fromhex(data_key))
    await delete_notes(store, layout, id_)
    return len(objects)


async def delete_objects(
    repository: Repository,
    keys: Sequence[str],
    progress: Callable[[int], None] = lambda _deleted: None,
) -> None:
    """Delete objects, some at a time, in this order."""
    for start in range(0, len(keys), _DELETED_AT_ONCE):
        some = keys[start : start + _DELETED_AT_ONCE]
        done = await asyncio.gather(
            *(repository.store.delete(key) for key in some), return_exceptions=True
        )
        for failed in done:
            if isinstance(failed, BaseException):
                raise failed
        progress(start + len(some))


@dataclass
class _Orphan:
    """What is left of a backup that has no commit record."""

    objects: list[ObjectInfo] = field(default_factory=list)
    notes: Mapping[NoteKind, Note] = field(default_factory=dict)

    def may_go(self, now: datetime) -> bool:
        expiry = expiry_of(self.notes)
        if expiry is not None and expiry.fields.get("deleting"):
            return True
        dates = [datetime.fromtimestamp(each.modified_at, UTC) for each in self.objects]
        dates += [note.at for note in self.notes.values()]
        return max(dates) + ORPHAN_AGE < now

    @property
    def data_key(self) -> str:
        expiry = expiry_of(self.notes)
        return "" if expiry is None else str(expiry.fields.get("data_key", ""))


async def find_orphans(
    repository: Repository, layout: Layout, known: Iterable[str], now: datetime
) -> dict[str, str]:
    """What is left of backups that are not there and may be swept: ids, and their data keys.

    `known`: backups that have a commit record.
    """
    store = repository.store
    found: dict[str, _Orphan] = {}
    async for each in store.list(layout.backups):
        id_ = each.key.removeprefix(layout.backups).split("/")[0]
        found.setdefault(id_, _Orphan()).objects.append(each)
    for id_, notes in (await read_notes(store, layout)).items():
        found.setdefault(id_, _Orphan()).notes = notes
    # After the objects were listed: who makes a backup took a lease before its first one.
    leased = {id_ for lease in await leases_of(store, layout) for id_ in lease.backups}
    for id_ in (*known, *leased):
        found.pop(id_, None)
    swept = {id_: each.data_key for id_, each in found.items() if each.may_go(now)}
    # It may have been committed since `known` was read.
    return {
        id_: data_key
        for id_, data_key in swept.items()
        if await store.info(layout.commit(id_)) is None
    }


async def sweep_leavings(repository: Repository, layout: Layout, now: datetime) -> None:
    """Delete what killed processes left that were no backups: leases, and probes of the store."""
    await delete_dead_leases(repository.store, layout, clock=lambda: now)
    async for each in repository.store.list(PROBES):
        if datetime.fromtimestamp(each.modified_at, UTC) + ORPHAN_AGE < now:
            await repository.store.delete(each.key)
