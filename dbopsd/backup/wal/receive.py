"""The duty to receive the WAL of a database and to archive it.

Three tasks work side by side: one receives into the spool, one ships from the spool to the store,
and one looks at the server, moves the slot after the store, and writes marks. All that they write
to the store is created once and the same whoever writes it, so that two holders of the duty, one of
which was taken for dead, do no harm to each other.
"""

import asyncio
import contextlib
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from dbopsd.backup.catalog.kind import BackupKind, BackupState
from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.model.requests import CreateBackupRequest
from dbopsd.backup.repository import Repository, open_repository
from dbopsd.backup.server import Server, read_server
from dbopsd.backup.store.errors import StoreError
from dbopsd.backup.wal.archive import TimelineWal, WalArchive, read_archive, segment_key
from dbopsd.backup.wal.day_keys import DayKeys
from dbopsd.backup.wal.errors import WalConflict
from dbopsd.backup.wal.events import EventKind, WalEvent, read_events, write_event
from dbopsd.backup.wal.first_use import prepare_store
from dbopsd.backup.wal.holes import is_stored, record_holes, record_vanished
from dbopsd.backup.wal.mark_seals import with_genuine_marks
from dbopsd.backup.wal.marks import Marks
from dbopsd.backup.wal.receiver import Receiver
from dbopsd.backup.wal.resume import Leg, leads_on
from dbopsd.backup.wal.shipper import Progress, Shipper
from dbopsd.backup.wal.slot import Look, advance_slot, create_slot, look, slot_name
from dbopsd.backup.wal.spool import left_spools, open_spool, spool_folder
from dbopsd.backup.wal.status import pushed_end
from dbopsd.db.database import Database
from dbopsd.db.errors import DatabaseError
from dbopsd.db.statement import load_sql
from dbopsd.operations.duty import DutyRun
from dbopsd.operations.errors import ControlStoreUnavailable, OperationInTheWay
from dbopsd.operations.gather_or_cancel import gather_or_cancel

_log = logging.getLogger(__name__)

_ARCHIVER: Final = load_sql(__package__, "archiver.sql").statement
_LOOK_EVERY_S: Final = 1.0
_LOOK_AT_REST_S: Final = 5.0
# A slot that nobody has touched for `idle_replication_slot_timeout` (18) is invalidated.
_TOUCH_EVERY_S: Final = 60.0
_MARK_EVERY_S: Final = 5.0
_ASK_EVERY_S: Final = 60.0
# What is tried again, as it passes by itself.
_PASSING: Final = (DatabaseError, StoreError, ControlStoreUnavailable, OperationInTheWay)
_BEGINS_ANEW: Final = (EventKind.GAP, EventKind.NEW_SYSTEM)


class ClusterChanged(Exception):
    """The server is another cluster than the one that WAL is received of."""


async def receive_wal(run: DutyRun) -> None:
    """Receive and archive the WAL of the duty's database, until it is cancelled.

    Where the server pushes its WAL by `archive_command`, only write marks of how far that is.
    Raises what has to be seen to by somebody: the errors of keys, `WalConflict`, `WalUnusable`,
    `BackupDamaged`, `StoreUnsuitable`, `StoreEmpty`; and, at its beginning, `DatabaseError` and
    `StoreError`.
    """
    database = run.database
    if database is None:
        raise ValueError("the duty to receive WAL is one of a database")
    folder = spool_folder(run.state_dir, database.name)
    async with open_repository(database.name, database.config.backup, run.state_dir) as repository:
        await prepare_store(repository, database, run.state_dir)
        await _ship_leftovers(repository, folder)
        while True:
            cluster = _Cluster(run, database, repository, await read_server(database))
            with contextlib.suppress(ClusterChanged):
                if repository.config.wal == "archive_command":
                    await cluster.follow_archiver()
                await cluster.receive(folder)
            _log.warning("database %s is another cluster than before", database.name)


async def _ship_leftovers(repository: Repository, folder: Path) -> None:
    """Ship what an earlier process has received, whether the server is there or not."""
    for system_identifier, segment_bytes in await asyncio.to_thread(left_spools, folder):
        layout = repository.layout(system_identifier)
        progress = Progress()
        progress.take(await read_archive(repository.store, layout, segment_bytes))
        with open_spool(folder, system_identifier, segment_bytes) as spool:
            shipper = Shipper(repository, layout, spool, progress, received=_unknown, flush_s=1.0)
            await shipper.ship(everything=True)


async def _unknown() -> Lsn | None:
    return None


class _Cluster:
    """What is needed to receive the WAL of one cluster."""

    def __init__(
        self, run: DutyRun, database: Database, repository: Repository, server: Server
    ) -> None:
        self._run = run
        self._database = database
        self._repository = repository
        self._server = server
        self._layout = repository.layout(server.system_identifier)
        self._slot = slot_name(database.name)
        self._day_keys = DayKeys(repository, self._layout)
        self._progress = Progress()
        self._marks: Marks | None = None
        self._marked_timeline = 0
        self._touched_at = self._marked_at = 0.0
        # Up to where the store had everything at the last look.
        self._checked: Lsn | None = None
        self._slot_events: list[str] = []
        self._system_recorded = False
        # Events that a full backup has come after.
        self._closed: set[WalEvent] = set()

    async def receive(self, folder: Path) -> None:
        """Receive for ever. Raises `ClusterChanged`."""
        server, config = self._server, self._repository.config
        await self._greet()
        with open_spool(folder, server.system_identifier, server.segment_bytes) as spool:
            shipper = Shipper(
                self._repository,
                self._layout,
                spool,
                self._progress,
                received=self._received,
                flush_s=config.wal_flush_s,
            )
            receiver = Receiver(
                self._run,
                self._database,
                self._archive,
                self._record_holes,
                self._is_stored,
                spool,
                self._progress,
                shipper,
                name=self._slot,
                major=server.major,
                look=self._look,
                most_spool_bytes=config.max_slot_wal,
            )
            await gather_or_cancel([receiver.run(), shipper.run(), self._watch()])

    async def follow_archiver(self) -> None:
        """Write marks for what the server has pushed, for ever. Raises `ClusterChanged`."""
        self._progress.legs = [Leg(self._server.timeline, Lsn(0), None)]
        said, asked_at = "", -_ASK_EVERY_S
        while True:
            try:
                now = asyncio.get_running_loop().time()
                if now - asked_at >= _ASK_EVERY_S:
                    await self._record_new_system()
                    await self._ask_full()
                    asked_at = now
                found = await self._look()
                async with self._database.session() as session:
                    ((_, name, _),) = await session.fetch_all(_ARCHIVER)
                self._progress.legs = [Leg(found.timeline, Lsn(0), None)]
                pushed = await pushed_end(self._repository, self._layout, found, name)
                if pushed is not None:
                    self._progress.stored = pushed
                await self._mark(found)
                said = ""
            except _PASSING as error:
                if error.message != said:
                    said = error.message
                    _log.warning("WAL archive of %s: %s", self._database.name, error)
            await asyncio.sleep(_LOOK_AT_REST_S)

    async def _greet(self) -> None:
        """Make sure of the slot, and say so where the archive is not the first of its database."""
        await self._record_new_system()
        self._progress.take(await self._archive())
        await self._keep_slot(await self._look())

    async def _record_new_system(self) -> None:
        """Record it where the database was another cluster before, and this one has no backup.

        Looked at once: the commit records of every backup are read for it.
        """
        if self._system_recorded:
            return
        await self._record_if_new()
        self._system_recorded = True

    async def _record_if_new(self) -> None:
        own = self._server.system_identifier
        others = [each for each in await self._repository.systems() if each != own]
        if not others or await self._has_backup(own):
            return
        events = await read_events(self._repository.store, self._layout)
        if any(each.kind is EventKind.NEW_SYSTEM for each in events):
            return
        cause = f"the database was cluster {', '.join(others)} before: take a full backup"
        await self._record(EventKind.NEW_SYSTEM, self._server.position, cause)

    async def _has_backup(self, system_identifier: str) -> bool:
        """Whether there is a backup of a cluster, be it damaged, that is no forged one."""
        for each in (await self._repository.catalog(system_identifier)).backups:
            if each.record is None or await self._repository.is_genuine(each.record):
                return True
        return False

    async def _watch(self) -> None:
        """Look at the server, move the slot after the store, and write marks, for ever."""
        said, moved = "", self._progress.moved
        full_at, gaps = 0.0, 0
        while True:
            moved.clear()
            try:
                found = await self._look()
                await self._check(found)
                await self._keep_slot(found)
                await self._mark(found)
                now = asyncio.get_running_loop().time()
                if now >= full_at or gaps != self._progress.gaps:
                    full_at, gaps = now + _ASK_EVERY_S, self._progress.gaps
                    await self._ask_full()
            except _PASSING as error:
                if error.message != said:
                    said = error.message
                    _log.warning("WAL archive of %s: %s", self._database.name, error)
                await asyncio.sleep(_LOOK_EVERY_S)
                continue
            said = ""
            if self._progress.stored >= found.end:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(moved.wait(), _LOOK_AT_REST_S)
            else:
                await asyncio.sleep(_LOOK_EVERY_S)

    async def _ask_full(self) -> None:
        """Ask for a full backup where the archive begins anew, until there is one."""
        for event in await read_events(self._repository.store, self._layout):
            if event.kind not in _BEGINS_ANEW or event in self._closed:
                continue
            if await self._has_full(since=event.end):
                self._closed.add(event)
                continue
            # One that fails is asked for again, an hour later.
            hours = (datetime.now(UTC) - event.at) // timedelta(hours=1)
            request_id = f"{event.kind.value}-{event.timeline}-{int(event.end):X}-{hours}"
            request = CreateBackupRequest(label=f"after {event.kind.value} of {event.at:%Y-%m-%d}")
            await self._run.start("create-backup", request, request_id=request_id)
            return

    async def _has_full(self, since: Lsn) -> bool:
        """Whether there is a full backup that began at `since` or later, and is no forged one."""
        catalog = await self._repository.catalog(self._layout.system_identifier)
        for each in reversed(catalog.backups):
            record = each.record
            if record is None or each.state is BackupState.BROKEN or record.start_lsn < since:
                continue
            if record.kind is BackupKind.FULL and await self._repository.is_genuine(record):
                return True
        return False

    async def _check(self, found: Look) -> None:
        """Raise `WalConflict` where the server has gone back behind what is stored of its WAL."""
        stored = self._progress.stored
        if self._progress.timeline == found.timeline and found.end < stored:
            cause = f"the server's WAL ends at {found.end}, and is stored up to {stored}"
            await self._record(EventKind.CONFLICT, stored, cause)
            segment = Segment.at(found.timeline, stored, found.segment_bytes)
            raise WalConflict(self._database.name, segment_key(self._layout, segment))

    async def _keep_slot(self, found: Look) -> None:
        """Have the slot keep what is not stored yet, and nothing else."""
        slot, progress = self._slot, self._progress
        now = asyncio.get_running_loop().time()
        if found.reserved is None:
            self._run.check()
            async with self._database.session() as session:
                await create_slot(session, slot)
            if progress.timelines:
                what = "had lost its WAL" if found.slot_exists else "was not there"
                self._slot_events.append(f"slot '{slot}' {what} on the server: it was created anew")
        elif found.restart_lsn is not None and progress.timeline == found.timeline:
            moved = progress.stored > found.restart_lsn
            if moved or now - self._touched_at > _TOUCH_EVERY_S:
                await self._check_store()
                lsn = max(progress.stored, Lsn(found.restart_lsn))
                async with self._database.session() as session:
                    await advance_slot(session, slot, lsn)
                self._touched_at = now
        while self._slot_events:
            await self._record(EventKind.SLOT_LOST, found.end, self._slot_events[0])
            self._slot_events.pop(0)

    async def _check_store(self) -> None:
        """Look whether what was stored before is there, before the server forgets what follows.

        A store that is gone may have been begun anew in the same place, or come back without what
        was stored meanwhile.
        """
        await self._repository.store.require_same()
        progress = self._progress
        stored = progress.stored
        vanished = await self._vanished(stored)
        if vanished is None:
            self._checked = stored
            return
        _log.warning("segment %s of %s is in the store no longer", vanished, self._database.name)
        archive = await self._archive()
        progress.first = await record_vanished(
            self._repository, self._layout, archive, vanished, stored
        )
        self._checked = progress.first
        progress.partials.clear()
        progress.take(archive)
        progress.gaps += 1

    async def _vanished(self, stored: Lsn) -> Segment | None:
        """The first segment that is gone of those stored since the last look, or just before it.

        What is put back to an older copy loses what was stored last: each one since is looked for.
        """
        progress, size_bytes = self._progress, self._server.segment_bytes
        last = Segment.at(progress.timeline, stored, size_bytes).number - 1
        known = last if self._checked is None else self._checked // size_bytes - 1
        for number in range(min(known, last), last + 1):
            segment = Segment(progress.timeline, number, size_bytes)
            wanted = segment.start >= progress.first and leads_on(progress.legs, segment)
            if wanted and not await self._is_stored(segment):
                return segment
        return None

    async def _record_holes(self, archive: WalArchive) -> int:
        progress = self._progress
        return await record_holes(
            self._repository, self._layout, archive, progress.legs, progress.stored
        )

    async def _is_stored(self, segment: Segment) -> bool:
        return await is_stored(self._repository, self._layout, segment)

    async def _mark(self, found: Look) -> None:
        if found.timeline != self._marked_timeline:
            repository = self._repository
            # What somebody else wrote is no reason to write less, or to delete ours.
            archive, _ = await with_genuine_marks(repository.keys, await self._archive())
            stored = archive.timelines.get(found.timeline, TimelineWal(found.timeline))
            self._marks = Marks(repository.store, self._layout, stored, self._day_keys.of_today)
            self._marked_timeline = found.timeline
        now = asyncio.get_running_loop().time()
        if self._marks is not None:
            self._marks.looked(found)
            if self._progress.timeline == found.timeline and now - self._marked_at > _MARK_EVERY_S:
                await self._marks.write(self._progress.stored)
                self._marked_at = now

    async def _look(self) -> Look:
        async with self._database.session() as session:
            found = await look(session, self._slot)
        if found.system_identifier != self._server.system_identifier:
            raise ClusterChanged
        return found

    async def _received(self) -> Lsn | None:
        try:
            found = await self._look()
        except DatabaseError:
            return None
        return None if found.received_lsn is None else Lsn(found.received_lsn)

    async def _archive(self) -> WalArchive:
        server = self._server
        return await read_archive(self._repository.store, self._layout, server.segment_bytes)

    async def _record(self, kind: EventKind, lsn: Lsn, cause: str) -> None:
        _log.warning("WAL archive of %s: %s", self._database.name, cause)
        await write_event(
            self._repository.store,
            self._layout,
            kind,
            timeline=self._progress.timeline or self._server.timeline,
            start=lsn,
            end=lsn,
            cause=cause,
        )
