"""What is seen of a database's use at one time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql
from dbopsd.metrics.server_facts import read_facts

_CHECKPOINTER_SINCE: Final = 17
Counters = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Look:
    """Counters by object identifier."""

    identity: str
    standby: bool
    reset_at: str
    indexes: Mapping[str, int] = field(default_factory=dict)
    counted: Mapping[str, Mapping[str, Counters]] = field(default_factory=dict)
    """By kind (`tables`, `sequences`, `checkpoints`) and identifier."""


async def look_at(session: Session) -> Look:
    """Ask the server. Raises `DatabaseError`."""
    facts = await read_facts(session)
    row = await session.fetch_one(load_sql(__package__, "server.sql").statement)
    assert row is not None  # noqa: S101 - the database of the session is there
    indexes = await session.fetch_all(load_sql(__package__, "indexes.sql").statement)
    since = ".since_17" if facts.version >= _CHECKPOINTER_SINCE else ""
    files = {"tables": "tables.sql", "checkpoints": f"checkpoints{since}.sql"}
    if not facts.standby:
        files["sequences"] = "sequences.sql"
    counted: dict[str, dict[str, Counters]] = {}
    for kind, file in files.items():
        table = await session.fetch_table(load_sql(__package__, file).statement)
        names = table.columns[1:]
        counted[kind] = {
            each[0]: dict(zip(names, map(int, each[1:]), strict=True)) for each in table.rows
        }
    identity, standby, reset_at = row
    scans = {key: int(count) for key, count in indexes}
    return Look(identity, standby, reset_at, scans, counted)
