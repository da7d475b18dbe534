"""Whether a statement that was cut off outside a transaction is done, by what is in the catalog."""

from enum import Enum

from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.apply.invalid_indexes import find_index
from dbopsd.migrate.versions.apply.session_state import load
from dbopsd.migrate.versions.apply.statement_kinds import (
    IndexBuild,
    IndexDrop,
    PartitionDetach,
    StatementKind,
)


class Verdict(Enum):
    """What is so of a statement that was begun, and of whose end nothing is known."""

    DONE = "done"
    NOT_DONE = "not done"
    """It may run again, once what it left is removed."""
    UNKNOWN = "unknown"


async def look_up(session: Session, kind: StatementKind) -> Verdict:
    """The verdict on a statement. Names are looked up by the search path of the session."""
    if kind is None:
        return Verdict.UNKNOWN
    done: bool | None = False
    if isinstance(kind, IndexBuild):
        valid = await find_index(session, kind)
        if not kind.index and valid is not False:
            # The server chose a name, which another one may have had before.
            return Verdict.UNKNOWN
        done = valid
    elif isinstance(kind, IndexDrop):
        done = await session.fetch_one(load("relation_exists"), {"name": str(kind.index)}) == (
            False,
        )
    elif isinstance(kind, PartitionDetach):
        done = await _detach_pending(session, kind) is None
    return Verdict.DONE if done else Verdict.NOT_DONE


async def in_its_place(session: Session, kind: StatementKind) -> Statement | None:
    """What to run in place of a statement that was cut off between its two transactions."""
    if isinstance(kind, PartitionDetach) and await _detach_pending(session, kind):
        return load("finalize_detach").with_identifiers(
            parent=kind.parent.parts, partition=kind.partition.parts
        )
    return None


async def _detach_pending(session: Session, kind: PartitionDetach) -> bool | None:
    """Whether the detach is half done; None: it is no partition of that table any more."""
    parameters = {"partition": str(kind.partition), "parent": str(kind.parent)}
    row = await session.fetch_one(load("partition"), parameters)
    return None if row is None else bool(row[0])
