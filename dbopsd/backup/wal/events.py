"""What happened to the WAL archive that nobody may overlook: an object for each event."""

import logging
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from dbopsd.backup.catalog.layout import Layout, parse_time, time_name
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.codec.sealed_json import open_json, seal_json
from dbopsd.backup.codec.whole_object import read_whole
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import ObjectMissing

_log = logging.getLogger(__name__)


class EventKind(Enum):
    """What happened."""

    GAP = "gap"
    """WAL from `start` to `end` is not in the archive, and the server has it no longer."""
    SLOT_LOST = "slot-lost"
    """The replication slot was dropped, or had lost WAL; another one was created."""
    TIMELINE = "timeline"
    """The server went on, at `start`, on timeline `timeline`."""
    CONFLICT = "conflict"
    """The server's WAL from `start` to `end` is other WAL than what is stored under its name."""
    NEW_SYSTEM = "new-system"
    """The database is another cluster than before: its archive begins here."""


@dataclass(frozen=True, slots=True)
class WalEvent:
    """An event of the archive. `end` is `start` where it is about one position."""

    kind: EventKind
    at: datetime
    timeline: int
    start: Lsn
    end: Lsn
    cause: str


def events_folder(layout: Layout) -> str:
    """The folder of the events."""
    return f"{layout.wal}events/"


async def write_event(
    store: DurableStore,
    layout: Layout,
    kind: EventKind,
    *,
    timeline: int,
    start: Lsn,
    end: Lsn,
    cause: str,
) -> WalEvent:
    """Record an event, dated now, unless there is one of the same kind at the same place."""
    event = WalEvent(kind, datetime.now(UTC), timeline, start, end, cause)
    for known in await read_events(store, layout):
        if _what(known) == _what(event):
            return known
    fields = {
        "timeline": timeline,
        "start": str(start),
        "end": str(end),
        "cause": cause,
    }
    name = f"{time_name(event.at)}-{kind.value}-{secrets.token_hex(3)}.json"
    key = events_folder(layout) + name
    await store.create(key, seal_json(key, fields))
    return event


def _what(event: WalEvent) -> tuple[EventKind, int, Lsn, Lsn]:
    return event.kind, event.timeline, event.start, event.end


@dataclass(frozen=True, slots=True)
class NamedEvent:
    """What the name of an event's object says, whether or not the object can be read."""

    kind: EventKind
    at: datetime


@dataclass(frozen=True, slots=True)
class StoredEvents:
    """The events of an archive, the oldest first, and those that cannot be read."""

    intact: list[WalEvent]
    damaged: list[BackupDamaged]


async def list_events(store: DurableStore, layout: Layout) -> list[NamedEvent]:
    """What the names of the events say, the oldest first. Nothing is read."""
    keys = sorted([each.key async for each in store.list(events_folder(layout))])
    return [named for key in keys if (named := name_of_event(key)) is not None]


async def read_stored_events(store: DurableStore, layout: Layout) -> StoredEvents:
    """Every event. One that cannot be read hides no other."""
    keys = sorted([each.key async for each in store.list(events_folder(layout))])
    found = StoredEvents([], [])
    for key in keys:
        try:
            found.intact.append(_parse(key, await read_whole(store, key)))
        except ObjectMissing:
            continue  # deleted since it was listed
        except BackupDamaged as damaged:
            found.damaged.append(damaged)
    return found


async def read_events(store: DurableStore, layout: Layout) -> list[WalEvent]:
    """Every event that can be read, the oldest first; the log tells of others."""
    found = await read_stored_events(store, layout)
    for damaged in found.damaged:
        _log.warning("an event of the WAL archive is left out: %s", damaged)
    return found.intact


def name_of_event(key: str) -> NamedEvent | None:
    """What the name of an event's object says; None: it is none of an event."""
    time, _, rest = key.rpartition("/")[2].partition("-")
    try:
        return NamedEvent(EventKind(rest.rpartition("-")[0]), parse_time(time))
    except ValueError:
        return None


def _parse(key: str, content: bytes) -> WalEvent:
    fields = open_json(key, content)
    named = name_of_event(key)
    try:
        if named is None:
            raise ValueError(key)
        return WalEvent(
            named.kind,
            named.at,
            int(fields["timeline"]),
            Lsn.parse(fields["start"]),
            Lsn.parse(fields["end"]),
            str(fields["cause"]),
        )
    except (ValueError, KeyError, TypeError):
        raise BackupDamaged(key, Damage.HASH, "it is no event of the WAL archive") from None
