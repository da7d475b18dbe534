"""What became of a backup after it was made: small objects beside it, each created once.

A backup never changes. That it is held, was verified or is about to go is a note; of each kind the
newest counts. Notes are ordered by their names, which begin with their times in microseconds.
"""

import asyncio
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final

from dbopsd.backup.catalog.layout import Layout, parse_time, time_name
from dbopsd.backup.codec.errors import BackupDamaged
from dbopsd.backup.codec.sealed_json import open_json, seal_json
from dbopsd.backup.codec.whole_object import read_whole
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import ObjectMissing
from dbopsd.operations.gather_or_cancel import gather_or_cancel

_READ_AT_ONCE: Final = 8
_NAME: Final = re.compile(r"(?P<time>\d{16})-(?P<kind>[a-z]+)-[0-9a-f]+\.json")
_ONE_MICROSECOND: Final = timedelta(microseconds=1)
_FOR_EVER: Final = datetime.max.replace(tzinfo=UTC)


class NoteKind(Enum):
    """What a note says."""

    HOLD = "hold"
    """Not to be removed before `until`; a time in the past releases it."""
    VERIFIED = "verified"
    """`ok`, and the problems if there were any."""
    DRILLED = "drilled"
    """`ok`, and the whole report."""
    EXPIRED = "expired"
    """It is about to be removed: `reason`, `grace_s` until then, and whether that has begun
    (`deleting`)."""
    KEPT = "kept"
    """It is not to expire after all."""
    LABEL = "label"
    """Its `label` is another now than that of its commit record."""


_KINDS: Final = frozenset(kind.value for kind in NoteKind)
# What to go by where the newest note of a kind is damaged: nothing is removed because of it.
# Of other kinds, it is as if there were none.
_INSTEAD: Final[Mapping[NoteKind, Mapping[str, Any]]] = {
    NoteKind.HOLD: {"until": _FOR_EVER.isoformat()},
    NoteKind.KEPT: {},
}


@dataclass(frozen=True, slots=True)
class Note:
    """A note about a backup, and when it was written."""

    backup: str
    kind: NoteKind
    at: datetime
    fields: Mapping[str, Any]


async def write_note(
    store: DurableStore, layout: Layout, backup: str, kind: NoteKind, fields: Mapping[str, Any]
) -> Note:
    """Write a note, dated now, or just after the newest one where the clock was set back."""
    at = datetime.now(UTC)
    async for each in store.list(layout.notes(backup)):
        named = _NAME.fullmatch(each.key.rpartition("/")[2])
        if named is not None:
            at = max(at, parse_time(named["time"]) + _ONE_MICROSECOND)
    key = f"{layout.notes(backup)}{time_name(at)}-{kind.value}-{secrets.token_hex(3)}.json"
    await store.create(key, seal_json(key, fields))
    return Note(backup, kind, at, fields)


async def read_notes(
    store: DurableStore, layout: Layout, backup: str = ""
) -> dict[str, dict[NoteKind, Note]]:
    """The newest note of each kind about each backup, or about one.

    A damaged one stops nobody from restoring: it counts as what keeps the backup, or not at all.
    """
    newest: dict[tuple[str, NoteKind], str] = {}
    async for each in store.list(layout.notes(backup)):
        about, _, name = each.key.removeprefix(layout.notes()).partition("/")
        named = _NAME.fullmatch(name)
        if named is None or named["kind"] not in _KINDS:
            continue  # a newer version's, or somebody else's
        kind = NoteKind(named["kind"])
        newest[about, kind] = max(newest.get((about, kind), ""), each.key)
    limit = asyncio.Semaphore(_READ_AT_ONCE)

    async def read(about: str, kind: NoteKind, key: str) -> Note | None:
        async with limit:
            return await _read(store, about, kind, key)

    found: dict[str, dict[NoteKind, Note]] = {}
    for note in await gather_or_cancel(
        read(about, kind, key) for (about, kind), key in newest.items()
    ):
        if note is not None:
            found.setdefault(note.backup, {})[note.kind] = note
    return found


async def check_notes(store: DurableStore, layout: Layout, backup: str) -> list[BackupDamaged]:
    """What is wrong with the notes about a backup."""
    problems = []
    async for each in store.list(layout.notes(backup)):
        if _NAME.fullmatch(each.key.rpartition("/")[2]):
            try:
                open_json(each.key, await read_whole(store, each.key))
            except BackupDamaged as damaged:
                problems.append(damaged)
            except ObjectMissing:
                continue  # deleted since it was listed
    return problems


def expiry_of(notes: Mapping[NoteKind, Note]) -> Note | None:
    """The note that says that a backup is to be removed, unless a later one keeps it."""
    expired, kept = notes.get(NoteKind.EXPIRED), notes.get(NoteKind.KEPT)
    return expired if expired is not None and (kept is None or kept.at < expired.at) else None


async def delete_notes(store: DurableStore, layout: Layout, backup: str) -> None:
    """Delete every note about a backup."""
    keys: Sequence[str] = [each.key async for each in store.list(layout.notes(backup))]
    for key in keys:
        await store.delete(key)


async def _read(store: DurableStore, about: str, kind: NoteKind, key: str) -> Note | None:
    at = parse_time(key.rpartition("/")[2].partition("-")[0])
    try:
        return Note(about, kind, at, open_json(key, await read_whole(store, key)))
    except ObjectMissing:
        return None  # deleted since it was listed
    except BackupDamaged:
        instead = _INSTEAD.get(kind)
        return None if instead is None else Note(about, kind, at, instead)
