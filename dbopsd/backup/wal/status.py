"""How far the WAL archive is, by the server's slot and the newest marks of the store."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.model.reports import WalState, WalStatus
from dbopsd.backup.repository import Repository
from dbopsd.backup.store.errors import StoreError
from dbopsd.backup.wal.archive import Mark, TimelineWal, parse_archive, read_archive
from dbopsd.backup.wal.events import EventKind, name_of_event, read_stored_events
from dbopsd.backup.wal.holes import is_stored
from dbopsd.backup.wal.mark_seals import newest_genuine
from dbopsd.backup.wal.slot import Look, look, slot_name
from dbopsd.db.database import Database
from dbopsd.db.statement import load_sql

_ARCHIVER: Final = load_sql(__package__, "archiver.sql").statement
# The status shows an event that nobody may overlook for this long.
_TOLD_FOR: Final = timedelta(days=1)
_PROBLEMS: Final = (
    EventKind.GAP,
    EventKind.CONFLICT,
    EventKind.SLOT_LOST,
    EventKind.NEW_SYSTEM,
)


async def read_status(repository: Repository, database: Database) -> WalStatus:
    """How the archive of the database does now. Raises `DatabaseError`.

    A store that does not answer is a problem that the status tells.
    """
    config = repository.config
    if config.wal == "off":
        return WalStatus(WalState.OFF)
    slot = slot_name(database.name)
    async with database.session() as session:
        found = await look(session, slot)
        if config.wal == "archive_command":
            ((last_at, name, failing),) = await session.fetch_all(_ARCHIVER)
    layout = repository.layout(found.system_identifier)
    problem = ""
    marks: Sequence[Mark] = ()
    pushed: Lsn | None = None
    try:
        problem = await _problem(repository, layout, found.at)
        if config.wal == "stream" and found.reserved is None:
            without = await _without_slot(repository, layout, found, slot)
            return replace(without, problem=problem or without.problem)
        marks = await _marks(repository, layout, found)
        if config.wal == "archive_command":
            pushed = await pushed_end(repository, layout, found, name)
    except StoreError as error:
        problem = error.message
    if config.wal == "archive_command":
        return _pushed(found, marks, pushed, last_at, failing, problem)
    return _streamed(found, marks, slot, problem)


async def pushed_end(repository: Repository, layout: Layout, found: Look, name: str) -> Lsn | None:
    """Up to where the server has pushed its WAL, in order; None where that is not known.

    `name`: the file that it pushed last, which counts only if it is in the store.
    """
    try:
        segment = Segment.parse(name, found.segment_bytes)
    except ValueError:
        return None
    return segment.end if await is_stored(repository, layout, segment) else None


async def _without_slot(
    repository: Repository, layout: Layout, found: Look, slot: str
) -> WalStatus:
    """By what is stored: the slot was lost, or nobody has begun yet."""
    archive = await read_archive(repository.store, layout, found.segment_bytes)
    newest = archive.timelines[max(archive.timelines)] if archive.timelines else TimelineWal(0)
    ranges = newest.ranges()
    mark = await newest_genuine(repository.keys, layout, newest.marks)
    return WalStatus(
        WalState.SLOT_LOST if ranges else WalState.STOPPED,
        slot=slot,
        timeline=found.timeline,
        archived_lsn=str(ranges[-1].end) if ranges else "",
        archived_time=None if mark is None else mark.at,
        problem="the replication slot is not on the server, or has lost its WAL",
    )


def _streamed(found: Look, marks: Sequence[Mark], slot: str, problem: str) -> WalStatus:
    """By the slot, which stands where the archive does."""
    archived = Lsn(found.restart_lsn or 0)
    received = max(archived, Lsn(found.received_lsn or 0))
    lag_bytes = max(0, found.end - archived)
    receiving = found.receivers > 0
    if not receiving and not problem:
        problem = "nothing receives WAL: `dbops workers list` shows whether a worker runs"
    return WalStatus(
        WalState.STREAMING if receiving else WalState.STOPPED,
        slot=slot,
        timeline=found.timeline,
        received_lsn=str(received) if receiving else "",
        archived_lsn=str(archived),
        archived_time=marks[-1].at if marks else None,
        lag_bytes=lag_bytes,
        lag_seconds=_lag_s(found, marks, lag_bytes),
        spool_bytes=received - archived if receiving else None,
        problem=problem,
    )


def _pushed(
    found: Look,
    marks: Sequence[Mark],
    pushed: Lsn | None,
    last_at: datetime | None,
    failing: bool,
    problem: str,
) -> WalStatus:
    """By what is in the store of what the server has pushed, and the newest mark."""
    known = [*([] if pushed is None else [pushed]), *(each.lsn for each in marks[-1:])]
    archived = max(known, default=None)
    lag_bytes = None if archived is None else max(0, found.end - archived)
    if failing and not problem:
        problem = "archive_command fails: the server's log says why"
    return WalStatus(
        WalState.STOPPED if failing or last_at is None else WalState.ARCHIVING,
        timeline=found.timeline,
        archived_lsn="" if archived is None else str(archived),
        archived_time=last_at,
        lag_bytes=lag_bytes,
        lag_seconds=_lag_s(found, marks, lag_bytes),
        problem=problem,
    )


def _lag_s(found: Look, marks: Sequence[Mark], lag_bytes: int | None) -> float | None:
    """Since when WAL is not in the store: at most, as the newest mark is up to a minute old."""
    if lag_bytes == 0:
        return 0.0
    if not marks:
        return None
    return max(0.0, (found.at - marks[-1].at).total_seconds())


async def _marks(repository: Repository, layout: Layout, found: Look) -> Sequence[Mark]:
    """The newest mark of the server's timeline, if there is one."""
    prefix = f"{layout.wal}{found.timeline:08X}/marks/"
    keys = [each.key async for each in repository.store.list(prefix)]
    archive = parse_archive(layout, keys, {}, found.segment_bytes)
    wal = archive.timelines.get(found.timeline)
    newest = await newest_genuine(repository.keys, layout, () if wal is None else wal.marks)
    return () if newest is None else (newest,)


async def _problem(repository: Repository, layout: Layout, now: datetime) -> str:
    """The newest event of late that somebody has to know of."""
    stored = await read_stored_events(repository.store, layout)
    found = [(each.kind, each.at, each.cause) for each in stored.intact]
    for damaged in stored.damaged:
        # What happened and when is in its name.
        if (named := name_of_event(damaged.object)) is not None:
            cause = f"{named.kind.value}: its record '{damaged.object}' is damaged"
            found.append((named.kind, named.at, f"{cause} ({damaged.detail})"))
    late = [each for each in found if each[0] in _PROBLEMS and now - each[1] < _TOLD_FOR]
    if not late:
        return ""
    _, at, cause = max(late, key=lambda each: each[1])
    return f"{at:%Y-%m-%d %H:%M:%S} UTC: {cause}"
