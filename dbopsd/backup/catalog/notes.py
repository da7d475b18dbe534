"""What became of a backup after it was made: small objects beside it, each created once.

A backup never changes. That it is held, was verified or is about to go is a note; of each kind the
newest counts. Notes are ordered by their name, which begins with their time in microseconds.
"""

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import ObjectMissing

_READ_AT_ONCE: Final = 8


class NoteKind(Enum):
    """What a note says."""

    HOLD = "hold"
    """Not to be removed before `until`; a time in the past releases it."""
    VERIFIED = "verified"
    """`ok`, and the problems if there were any."""
    DRILLED = "drilled"
    """`ok`, and the whole report."""
    EXPIRED = "expired"
    """Retention is about to remove it: `reason`, and `grace_s` until then."""
    KEPT = "kept"
    """It is not to expire after all."""


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
    """Write a note, dated now."""
    at = datetime.now(UTC)
    name = f"{int(at.timestamp() * 1e6):016}-{kind.value}-{secrets.token_hex(3)}.json"
    content = json.dumps({"format": 1, **fields}, indent=1, sort_keys=True).encode() + b"\n"
    await store.create(f"{layout.notes(backup)}{name}", content)
    return Note(backup, kind, at, fields)


async def read_notes(
    store: DurableStore, layout: Layout, backup: str = ""
) -> dict[str, dict[NoteKind, Note]]:
    """The newest note of each kind about each backup, or about one. Raises `BackupDamaged`."""
    newest: dict[tuple[str, NoteKind], str] = {}
    async for each in store.list(layout.notes(backup)):
        about, _, name = each.key.removeprefix(layout.notes()).partition("/")
        kind = NoteKind(name.split("-")[1])
        newest[about, kind] = max(newest.get((about, kind), ""), each.key)
    limit = asyncio.Semaphore(_READ_AT_ONCE)

    async def read(about: str, kind: NoteKind, key: str) -> Note | None:
        async with limit:
            return await _read(store, about, kind, key)

    found: dict[str, dict[NoteKind, Note]] = {}
    for note in await asyncio.gather(
        *(read(about, kind, key) for (about, kind), key in newest.items())
    ):
        if note is not None:
            found.setdefault(note.backup, {})[note.kind] = note
    return found


async def delete_notes(store: DurableStore, layout: Layout, backup: str) -> None:
    """Delete every note about a backup."""
    keys: Sequence[str] = [each.key async for each in store.list(layout.notes(backup))]
    for key in keys:
        await store.delete(key)


async def _read(store: DurableStore, about: str, kind: NoteKind, key: str) -> Note | None:
    try:
        content = await store.read(key)
    except ObjectMissing:
        return None  # deleted since it was listed
    try:
        fields = json.loads(content)
        at = datetime.fromtimestamp(int(key.rpartition("/")[2].split("-")[0]) / 1e6, UTC)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise BackupDamaged(key, Damage.HASH, "it is no note") from None
    return Note(about, kind, at, fields)
