"""Whether a statement that was cut off outside a transaction is done, by what is in the catalog."""

from dataclasses import replace
from enum import Enum
from typing import Final

from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.apply.invalid_indexes import find_indexes
from dbopsd.migrate.versions.apply.session_state import load
from dbopsd.migrate.versions.apply.statement_kinds import (
    ExistenceChange,
    IndexBuild,
    IndexDrop,
    Name,
    PartitionDetach,
    PublicationChange,
    StatementKind,
)
from dbopsd.migrate.versions.sql.lexer import words

_COMMITS: Final = {
    "CALL": "what its procedure commits",
    "DO": "what its block commits",
}


class Verdict(Enum):
    """What is so of a statement that was begun, and of whose end nothing is known."""

    DONE = "done"
    NOT_DONE = "not done"
    """It may run again, once what it left is removed."""
    UNKNOWN = "unknown"


async def look_up(session: Session, kind: StatementKind) -> Verdict:
    """The verdict on a statement. Names are looked up by the search path of the session."""
    match kind:
        case None:
            return Verdict.UNKNOWN
        case IndexBuild():
            return await _look_up_index(session, kind)
        case IndexDrop():
            return await _look_up_drop(session, kind)
        case PartitionDetach():
            return _verdict(await _detach_pending(session, kind) is None)
        case ExistenceChange(what, name, created):
            row = await session.fetch_one(load("existence"), {"kind": what, "name": name})
            return _verdict(row == (created,))
        case PublicationChange():
            return _verdict(await _publications_changed(session, kind))
    # It may be done twice.
    return Verdict.NOT_DONE


async def with_known_indexes(session: Session, kind: StatementKind) -> StatementKind:
    """The statement, with what there is before it begins, by which its index is found later."""
    if isinstance(kind, IndexDrop) and kind.known is None:
        found = await _oid(session, kind.index)
        return replace(kind, known=() if found is None else (found,))
    if not isinstance(kind, IndexBuild) or not kind.chooses_name or kind.known is not None:
        return kind
    rows = await session.fetch_all(load("indexes_of_table"), {"table": str(kind.table)})
    return replace(kind, known=tuple(oid for (oid,) in rows))


def what_to_look_at(statement: str, kind: StatementKind) -> str:
    """What tells somebody whether a statement is done of which the catalog does not tell."""
    if isinstance(kind, IndexBuild):
        return f"the indexes of table {kind.table}"
    if isinstance(kind, IndexDrop):
        return f"the indexes of the name {kind.index}, in each schema of the search_path"
    first = next(words(statement, 0, len(statement)), "")
    return _COMMITS.get(first, "what it changes")


async def in_its_place(session: Session, kind: StatementKind) -> Statement | None:
    """What to run in place of a statement that was cut off between its two transactions."""
    if isinstance(kind, PartitionDetach) and await _detach_pending(session, kind):
        return load("finalize_detach").with_identifiers(
            parent=kind.parent.parts, partition=kind.partition.parts
        )
    return None


async def _look_up_index(session: Session, build: IndexBuild) -> Verdict:
    if build.chooses_name and build.known is None:
        return Verdict.UNKNOWN
    found = await find_indexes(session, build)
    valid = {(each.schema, each.name) for each in found if each.valid}
    # Of two that were made since, either may be somebody else's.
    return Verdict.UNKNOWN if len(valid) > 1 else _verdict(bool(valid))


async def _look_up_drop(session: Session, drop: IndexDrop) -> Verdict:
    found = await _oid(session, drop.index)
    if found is None:
        return Verdict.DONE
    if drop.known is not None:
        # What has the name now may be another one, in a schema that the dropped one was before.
        return Verdict.NOT_DONE if found in drop.known else Verdict.UNKNOWN
    return Verdict.NOT_DONE if drop.index.schema else Verdict.UNKNOWN


async def _oid(session: Session, name: Name) -> int | None:
    """Of the relation that the name stands for; None: there is none."""
    row = await session.fetch_one(load("relation"), {"name": str(name)})
    return None if row is None else row[0]


async def _publications_changed(session: Session, kind: PublicationChange) -> bool:
    parameters = {"subscription": kind.subscription, "publications": list(kind.publications)}
    row = await session.fetch_one(load("publications"), parameters)
    return row == (len(kind.publications) if kind.added else 0,)


def _verdict(done: bool) -> Verdict:
    return Verdict.DONE if done else Verdict.NOT_DONE


async def _detach_pending(session: Session, kind: PartitionDetach) -> bool | None:
    """Whether the detach is half done; None: it is no partition of that table any more."""
    parameters = {"partition": str(kind.partition), "parent": str(kind.parent)}
    row = await session.fetch_one(load("partition"), parameters)
    return None if row is None else bool(row[0])
