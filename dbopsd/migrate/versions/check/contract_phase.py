"""Migrations of the phase contract wait until no older application version is connected."""

from dataclasses import dataclass
from typing import Final

from dbopsd.db.errors import InvalidData
from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql
from dbopsd.errors import ConfigurationError
from dbopsd.migrate.versions.check.errors import ContractBlocked

_SESSIONS: Final = load_sql(__package__, "sql/old_sessions.sql").statement
_MOST_NAMED: Final = 5
_NAME_CHARS: Final = 64


@dataclass(frozen=True)
class OldSession:
    """A session of an older application version."""

    pid: int
    application: str
    role: str


async def old_sessions(session: Session, pattern: str) -> list[OldSession]:
    """Other sessions in the database whose application_name matches, whatever their user.

    Raises `DatabaseError`.
    """
    return await session.fetch_all_as(OldSession, _SESSIONS, {"pattern": pattern})


async def refuse_old_sessions(session: Session, database: str, pattern: str | None) -> None:
    """Raise `ContractBlocked` while there are some; `ConfigurationError`.

    `pattern`: the configured `old_applications`; None: nobody is old.
    """
    if pattern is None:
        return
    try:
        found = await old_sessions(session, pattern)
    except InvalidData as error:
        where = f"databases.{database}.migrations.old_applications"
        raise ConfigurationError(where, error.cause) from error
    if found:
        named = [
            f"pid {each.pid} (application '{each.application[:_NAME_CHARS]}', user '{each.role}')"
            for each in found[:_MOST_NAMED]
        ]
        more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        raise ContractBlocked(database, ", ".join(named) + more, len(found))
