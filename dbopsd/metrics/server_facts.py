"""What a server says about itself, on which it depends what can be sampled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql

_FACTS: Final = load_sql(__package__, "server_facts.sql").statement


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server says to one session. Times are in seconds since 1970."""

    version: int
    standby: bool
    postgres_database: str
    privileges: Sequence[str]
    """The predefined roles whose privileges the role of the DSN has."""

    backend_pid: int = 0
    """Of the process that serves the session."""

    backend_started_at: float = 0.0
    server_started_at: float = 0.0
    data_directory: str | None = None
    """None where the role may not know it."""

    extensions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The version and the schema of each, by name."""

    ledger_schema: str = ""
    """The schema of the migration ledger; empty where the role of the DSN can read none."""

    @property
    def epoch(self) -> str:
        """Another one from the moment on at which counters may have begun anew."""
        return f"{self.server_started_at:.3f} {'standby' if self.standby else 'primary'}"


async def read_facts(session: Session, *, ledger_schema: str = "") -> ServerFacts:
    """Ask the server. `ledger_schema`: where a ledger is looked for. Raises `DatabaseError`."""
    (facts,) = await session.fetch_all_as(ServerFacts, _FACTS, {"ledger_schema": ledger_schema})
    return facts
