"""The replication slot that keeps WAL on the server until the store has it.

Nobody streams from the slot. A slot that `pg_receivewal` streams from moves as soon as WAL is on
the worker's disk, and with that disk it would be lost. So `pg_receivewal` streams without one, and
the slot is advanced by SQL, to where everything before is stored and was read back.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.wal.wal_pages import end_of_records
from dbopsd.db.errors import StatementFailed
from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql

_LOOK: Final = load_sql(__package__, "look.sql").statement
_CREATE: Final = load_sql(__package__, "create_slot.sql").statement
_ADVANCE: Final = load_sql(__package__, "advance_slot.sql").statement
_DROP: Final = load_sql(__package__, "drop_slot.sql").statement
_EXISTS: Final = "42710"
_PREFIX: Final = "dbopsd_"
_MOST_NAME_BYTES: Final = 63


@dataclass(frozen=True, slots=True)
class Look:
    """The server's WAL at one moment, and the slot."""

    system_identifier: str
    at: datetime
    """By the server's clock, before everything else was read."""
    timeline: int
    insert_lsn: int
    segment_bytes: int
    block_bytes: int
    slot_exists: bool
    restart_lsn: int | None
    slot_lost: bool
    receivers: int
    """How many receivers of ours the server sends to."""
    received_lsn: int | None
    """Up to where the receiver has WAL on its disk, at least."""

    @property
    def end(self) -> Lsn:
        """Up to where there is WAL. Commits that returned before `at` are before it."""
        return end_of_records(self.insert_lsn, self.segment_bytes, self.block_bytes)

    @property
    def reserved(self) -> Segment | None:
        """The first segment that the slot keeps, on the current timeline; None: it keeps none."""
        if not self.slot_exists or self.slot_lost or self.restart_lsn is None:
            return None
        return Segment.at(self.timeline, self.restart_lsn, self.segment_bytes)


def slot_name(database: str) -> str:
    """The name of a database's slot, and of the program that receives its WAL."""
    name = _PREFIX + database.replace("-", "_")
    if len(name) <= _MOST_NAME_BYTES:
        return name
    digest = hashlib.sha256(database.encode()).hexdigest()[:8]
    return f"{name[: _MOST_NAME_BYTES - 9]}_{digest}"


async def look(session: Session, slot: str) -> Look:
    """Ask the server that takes writes. Raises `DatabaseError`; a standby has no such position."""
    (found,) = await session.fetch_all_as(Look, _LOOK, {"slot": slot})
    return found


async def create_slot(session: Session, slot: str) -> None:
    """Create the slot, so that it keeps WAL from the server's last checkpoint on.

    One of the same name that has lost its WAL, or keeps none, is dropped before. One that keeps WAL
    stays: another receiver has created it meanwhile. Raises `DatabaseError` where somebody streams
    from one that keeps none.
    """
    await session.execute(_DROP, {"slot": slot})
    try:
        await session.execute(_CREATE, {"slot": slot})
    except StatementFailed as error:
        if error.sqlstate != _EXISTS or (await look(session, slot)).reserved is None:
            raise


async def advance_slot(session: Session, slot: str, lsn: Lsn) -> None:
    """Let the server remove WAL before `lsn`, which is not before the slot's own position."""
    await session.execute(_ADVANCE, {"slot": slot, "lsn": str(lsn)})
