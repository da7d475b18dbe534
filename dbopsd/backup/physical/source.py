"""Which server of a cluster a backup is taken from."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from dbopsd.backup.model.requests import Source
from dbopsd.backup.physical.errors import NoSuchSource
from dbopsd.backup.server import Server, ask_server
from dbopsd.db.database import Database
from dbopsd.db.dsn import CATALOG_ONLY, Host
from dbopsd.db.errors import DatabaseError
from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql

APPLICATION: Final = "dbopsd-backup"

_QUERY_TIMEOUT_S: Final = 60.0
_SIZE: Final = load_sql(__package__, "cluster_size.sql").statement


@dataclass(frozen=True, slots=True)
class BackupSource:
    """The server, where it is, and about how much there is to read; 0 where that is not known.

    `in_place_of`: which server was preferred, and why the backup is not taken from it.
    """

    host: Host
    server: Server
    tablespaces: int
    size_bytes: int
    in_place_of: str = ""

    @property
    def description(self) -> str:
        """What it is and its address, for the commit record."""
        found = f"{'standby' if self.server.in_recovery else 'primary'} {self.host.name}"
        return f"{found}, in place of {self.in_place_of}" if self.in_place_of else found


async def find_source(database: Database, wanted: Source | None) -> BackupSource:
    """The first host of the DSN that is what is wanted.

    None: the primary, or whatever is there where the DSN names one host only. Raises
    `NoSuchSource`, and the error of the host where there is only one.
    """
    hosts = database.dsn.each_host
    problems = []
    for host in hosts:
        try:
            async with source_session(database, host) as session:
                found = await _look(session, host)
        except DatabaseError as error:
            if len(hosts) == 1:
                raise
            problems.append(error.message)
            continue
        alone = wanted is None and len(hosts) == 1
        if alone or found.server.in_recovery == (wanted is Source.STANDBY):
            return found
        role = "a standby" if found.server.in_recovery else "the primary"
        problems.append(f"{host.name} is {role}")
    wanted = wanted or Source.PRIMARY
    raise NoSuchSource(database.name, wanted.value.lower(), "; ".join(problems))


@asynccontextmanager
async def source_session(database: Database, host: Host) -> AsyncIterator[Session]:
    """A session on one host, that looks only."""
    async with database.dedicated_session(
        "probe",
        application_name=APPLICATION,
        query_timeout_s=_QUERY_TIMEOUT_S,
        settings={**CATALOG_ONLY},
        host=host,
    ) as session:
        yield session


async def _look(session: Session, host: Host) -> BackupSource:
    server = await ask_server(session)
    row = await session.fetch_one(_SIZE)
    tablespaces, size_bytes = row or (0, 0)
    return BackupSource(host, server, tablespaces, size_bytes)
