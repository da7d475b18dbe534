"""Waits until the WAL that a backup needs is in the store: before, it is no backup."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.physical.backup_manifest import NeededWal
from dbopsd.backup.physical.errors import WalNotStored
from dbopsd.backup.repository import Repository
from dbopsd.backup.server import Server
from dbopsd.backup.wal.archive import WalArchive, read_archive
from dbopsd.backup.wal.slot import look, slot_name
from dbopsd.db.database import Database
from dbopsd.db.errors import DatabaseError

# How long the archive may stand still, and how long it may be past what is missing before that is
# taken for a gap: segments that a server pushes may come out of order.
STANDSTILL_S: Final = 300.0
_GAP_S: Final = 30.0
# How long a receiver may take to begin: of a new database, or with the server.
_BEGIN_S: Final = 60.0
_LOOK_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for WAL."""

    standstill_s: float = STANDSTILL_S
    gap_s: float = _GAP_S
    look_every_s: float = _LOOK_EVERY_S
    begin_s: float = _BEGIN_S


async def wait_until_kept(
    database: Database,
    repository: Repository,
    layout: Layout,
    server: Server,
    patience: Patience,
) -> None:
    """Return once the WAL from the server's position on is kept for the store, or stored.

    A backup that takes hours would be none in the end. Raises `WalNotStored`.
    """
    slot = slot_name(database.name)
    until = time.monotonic() + patience.begin_s
    while True:
        kept = await _is_reserved(database, slot)
        if not kept:
            archive = await read_archive(repository.store, layout, server.segment_bytes)
            newest = _newest(archive, server.timeline)
            kept = newest is not None and newest >= server.position
        if kept:
            return
        if time.monotonic() > until:
            position = server.lsn
            problem = f"nothing receives it yet: the replication slot '{slot}' keeps no WAL"
            raise WalNotStored(database.name, server.timeline, position, position, problem)
        await asyncio.sleep(patience.look_every_s)


async def wait_until_stored(
    repository: Repository,
    layout: Layout,
    needed: Sequence[NeededWal],
    segment_bytes: int,
    patience: Patience,
    progress: Callable[[int, int], None],
) -> None:
    """Return once all of `needed` is stored. `progress` takes how many bytes are, and of how many.

    Raises `WalNotStored` once the archive stands still, or is past WAL that it does not have.
    """
    total = sum(each.end - each.start for each in needed)
    moved_at = past_since = time.monotonic()
    seen: WalArchive | None = None
    while True:
        archive = await read_archive(repository.store, layout, segment_bytes)
        missing = [each for each in needed if not _covers(archive, each)]
        if not missing:
            return
        now = time.monotonic()
        progress(total - sum(each.end - _stored_to(archive, each) for each in missing), total)
        if seen is None or archive.timelines != seen.timelines:
            moved_at = now
        seen = archive
        if not all(_is_past(archive, each) for each in missing):
            past_since = now
        if now - past_since >= patience.gap_s or now - moved_at >= patience.standstill_s:
            raise _not_stored(repository, archive, missing[0], now - moved_at)
        await asyncio.sleep(patience.look_every_s)


async def _is_reserved(database: Database, slot: str) -> bool:
    """Whether the primary keeps WAL for the store; so is said where it cannot be asked."""
    try:
        async with database.session() as session:
            return (await look(session, slot)).reserved is not None
    except DatabaseError:
        return True


def _covers(archive: WalArchive, needed: NeededWal) -> bool:
    wal = archive.timelines.get(needed.timeline)
    return wal is not None and wal.covers(needed.start, needed.end)


def _stored_to(archive: WalArchive, needed: NeededWal) -> int:
    """Up to where the needed WAL is stored without a gap."""
    wal = archive.timelines.get(needed.timeline)
    ends = [each.end for each in wal.ranges() if each.start <= needed.start] if wal else []
    return min(max([needed.start, *ends]), needed.end)


def _newest(archive: WalArchive, timeline: int) -> Lsn | None:
    wal = archive.timelines.get(timeline)
    return max((each.end for each in wal.ranges()), default=None) if wal else None


def _is_past(archive: WalArchive, needed: NeededWal) -> bool:
    newest = _newest(archive, needed.timeline)
    return newest is not None and newest >= needed.end


def _not_stored(
    repository: Repository, archive: WalArchive, missing: NeededWal, stood_s: float
) -> WalNotStored:
    newest = _newest(archive, missing.timeline)
    if newest is None:
        problem = "the archive has none of that timeline"
    elif newest >= missing.end:
        problem = f"the archive is past it, at {newest}, and does not have it: it is a gap"
    else:
        problem = f"the archive stands at {newest} for {stood_s:.0f} s"
    return WalNotStored(
        repository.database, missing.timeline, str(missing.start), str(missing.end), problem
    )
