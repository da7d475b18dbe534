"""Waits until what the server has committed by now is in the archive.

WAL comes to the store some seconds after it was written. Who restores right after a commit expects
it: as long as the server lives and its WAL is streamed, it is worth a wait.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.repository import Repository
from dbopsd.backup.wal.archive import Mark, read_archive
from dbopsd.backup.wal.slot import Look, look, slot_name
from dbopsd.db.database import Database
from dbopsd.db.errors import DatabaseError
from dbopsd.operations.kind import Run

_APPLICATION: Final = "dbopsd-restore"
_ANSWER_S: Final = 5.0
_PATIENCE_S: Final = 20.0
_POLL_S: Final = 0.25
# A commit takes its time a little before its record is in the WAL.
_AFTER: Final = timedelta(seconds=0.5)


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far the archive is: a mark for now, or, of a server that answers, what it lacks."""

    mark: Mark | None = None
    behind: str = ""


async def caught_up(
    run: Run, repository: Repository, *, time_wanted: datetime | None = None, lsn: Lsn | None = None
) -> Freshness:
    """Return once the archive has all that was committed by now, or will not have it soon.

    At once where the server does not answer, streams no WAL, or has not come to the time or the
    position that is wanted.
    """
    config = repository.config
    if config.wal == "off":
        return Freshness()
    began = await _look(run.database)
    if began is None or (time_wanted is not None and began.at < time_wanted):
        return Freshness()
    await asyncio.sleep(_AFTER.total_seconds())
    now = await _look(run.database)
    if now is None or (lsn is not None and now.end < lsn):
        return Freshness()
    streamed = now.reserved is not None or now.receivers > 0
    layout = repository.layout(now.system_identifier)
    until = time.monotonic()
    if config.wal == "stream" and streamed:
        until += config.wal_flush_s + _PATIENCE_S
    run.progress("archive")
    while True:
        archive = await read_archive(repository.store, layout, now.segment_bytes)
        if now.timeline in archive.timelines:
            ranges = archive.timelines[now.timeline].ranges()
            if any(each.start < now.end <= each.end for each in ranges):
                return Freshness(Mark(now.timeline, now.end, began.at))
        if time.monotonic() >= until:
            break
        await asyncio.sleep(_POLL_S)
    behind = f"the server has written until {now.end}, and not all of that is in the archive"
    return Freshness(None, behind)


async def ask_system(database: Database) -> str:
    """The system identifier of the server that takes writes; empty where none answers."""
    found = await _look(database)
    return "" if found is None else found.system_identifier


async def _look(database: Database) -> Look | None:
    """What the server that takes writes says; None if none answers."""
    try:
        async with (
            asyncio.timeout(2 * _ANSWER_S),
            database.dedicated_session(
                "primary", application_name=_APPLICATION, query_timeout_s=_ANSWER_S
            ) as session,
        ):
            return await look(session, slot_name(database.name))
    except (DatabaseError, TimeoutError):
        return None
