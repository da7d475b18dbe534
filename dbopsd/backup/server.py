"""What a server says about itself, on which backups of it depend."""

from dataclasses import dataclass
from typing import Final

from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.db.database import Database
from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql

_SERVER: Final = load_sql(__package__, "server.sql").statement


@dataclass(frozen=True, slots=True)
class Server:
    """A server of a cluster, at one moment."""

    system_identifier: str
    version: str
    """Such as `18.6`, with what the packager added to it."""
    major: int
    in_recovery: bool
    timeline: int
    segment_bytes: int
    checksums: bool
    lsn: str
    """Up to where it has written WAL, or, in recovery, replayed it."""
    summarizes_wal: bool

    @property
    def position(self) -> Lsn:
        """`lsn` as a number."""
        return Lsn.parse(self.lsn)


async def read_server(database: Database) -> Server:
    """Ask the server that takes writes. Raises `DatabaseError`."""
    return await database.run(ask_server, idempotent=True, read_only=False)


async def ask_server(session: Session) -> Server:
    """Ask the server of a session, whatever it is within its cluster. Raises `DatabaseError`."""
    (server,) = await session.fetch_all_as(Server, _SERVER)
    return server
