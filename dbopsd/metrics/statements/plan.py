"""Plans a statement of pg_stat_statements, without ever running it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dbopsd.db.errors import LockTimeout, PermissionMissing, QueryCanceled, StatementFailed
from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.errors import InvalidField
from dbopsd.metrics.on_demand import OnDemand
from dbopsd.metrics.server_facts import read_facts
from dbopsd.metrics.statements.errors import StatementNotExplainable, StatementNotFound
from dbopsd.metrics.statements.extension import require_extension
from dbopsd.metrics.statements.planner import GENERIC_PLAN_SINCE, caged

_TIMEOUT_S: Final = 5.0
_QUERY_ID: Final = re.compile(r"-?[0-9]{1,19}")
_MOST_SCHEMAS: Final = 50
_COMMENT: Final = re.compile(r"\s+|--[^\n]*(?:\n|$)|/\*.*?\*/|\(", re.DOTALL)
_WORD: Final = re.compile(r"[A-Za-z]+")
# What EXPLAIN takes and does not itself run. EXECUTE and CREATE TABLE AS are not among it.
_PLANNED: Final = frozenset(
    ("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "WITH", "TABLE")
)
_MAY_NOT_BECOME: Final = (
    "it is planned with the rights of the role that ran it, because planning runs functions that "
    "others may have written, and the role of the DSN cannot become {role}: GRANT that role to it"
)
_NOT_ON_A_STANDBY: Final = (
    "it is planned within a temporary function, which a standby cannot have: ask the primary"
)
_SYNTAX: Final = "42601"
_UNKNOWN_NAMES: Final = frozenset(("42P01", "42883", "42704", "42703", "3F000"))
_UNTYPED: Final = frozenset(("42P18", "42P08", "42725"))


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan, as EXPLAIN's text and JSON, and how it was made."""

    text: str
    lines: str
    json: str
    total_cost: float
    search_path: str
    role: str


class Plans:
    """Plans of statements that pg_stat_statements has."""

    def __init__(self, on_demand: OnDemand) -> None:
        self._on_demand = on_demand

    async def explain(self, database: str, query_id: str, search_path: Sequence[str] = ()) -> Plan:
        """The generic plan of a statement.

        Names without a schema are looked up in `search_path`; without one, in that of the role
        which ran the statement. Raises `InvalidField`, `StatementsUnavailable`,
        `StatementNotFound`, `StatementNotExplainable` and `DatabaseError`.
        """
        if not _QUERY_ID.fullmatch(query_id) or not -(2**63) <= int(query_id) < 2**63:
            raise InvalidField("query_id", "is not the query_id of a statement")
        if len(search_path) > _MOST_SCHEMAS or any(
            not each or "\0" in each for each in search_path
        ):
            raise InvalidField("search_path", f"is not up to {_MOST_SCHEMAS} names of schemas")
        async with self._on_demand.session(database, timeout_s=_TIMEOUT_S) as session:
            extension = await require_extension(session, database)
            row = await session.fetch_one(
                extension.qualified("statement_text.sql"),
                {
                    "query_id": int(query_id),
                    "how": "SET" if extension.server_version >= GENERIC_PLAN_SINCE else "MEMBER",
                },
            )
            if row is None:
                raise StatementNotFound(
                    database, query_id, "pg_stat_statements has no such statement (any more)"
                )
            text, role, ran_in, here, may_become, own_path = row
            if not here:
                raise StatementNotFound(
                    database,
                    query_id,
                    f"it ran in '{ran_in}', not in '{extension.postgres_database}': ask a "
                    "database of the configuration whose DSN has that one",
                )
            path = ", ".join(map(quoted, search_path)) or own_path
            asked = _Asked(database, query_id, _checked(database, query_id, text), path)
            if (await read_facts(session)).standby:
                raise asked.refused(_NOT_ON_A_STANDBY)
            if not may_become:
                raise asked.refused(_MAY_NOT_BECOME.format(role=role or "a role that is gone"))
            return await _explained(
                session,
                asked,
                role=role,
                generic=extension.server_version >= GENERIC_PLAN_SINCE,
            )


@dataclass(frozen=True, slots=True)
class _Asked:
    database: str
    query_id: str
    text: str
    search_path: str

    def refused(self, why: str) -> StatementNotExplainable:
        return StatementNotExplainable(self.database, self.query_id, why)


async def _explained(session: Session, asked: _Asked, *, role: str, generic: bool) -> Plan:
    try:
        async with caged(
            session, role=role, search_path=asked.search_path, generic=generic
        ) as planner:
            lines = await planner.as_text(asked.text)
            plan = await planner.as_json(asked.text)
    except (LockTimeout, QueryCanceled):
        raise
    except StatementFailed as error:
        raise asked.refused(_why(error, asked)) from error
    return Plan(
        asked.text,
        lines,
        json.dumps([{"Plan": plan}]),
        float(plan["Total Cost"]),
        asked.search_path,
        role,
    )


def command_of(text: str) -> str:
    """The first word of a statement behind comments and parentheses, in upper case."""
    place = 0
    while match := _COMMENT.match(text, place):
        place = match.end()
    word = _WORD.match(text, place)
    return word[0].upper() if word else ""


def has_plan(text: str) -> bool:
    """Whether a statement is none of the utility commands."""
    return command_of(text) in _PLANNED


def _checked(database: str, query_id: str, text: str | None) -> str:
    """The text of a statement that has a plan. Raises `StatementNotExplainable`."""

    def refused(why: str) -> StatementNotExplainable:
        return StatementNotExplainable(database, query_id, why)

    if text is None:
        raise refused("the server has lost its text (the file of texts was not readable)")
    if text == "<insufficient privilege>":
        raise refused(
            "the role of the DSN may not see its text: GRANT pg_read_all_stats to that role"
        )
    if not has_plan(text):
        raise refused(f"{command_of(text) or 'it'} is a utility command, and has no plan")
    return text


def _why(error: StatementFailed, asked: _Asked) -> str:
    if isinstance(error, PermissionMissing):
        return (
            f"{error.cause}. It is planned as the role that ran it, which needs its privileges "
            "still, and TEMPORARY on the database"
        )
    if error.sqlstate in _UNKNOWN_NAMES:
        return (
            f"{error.cause}. Names without a schema were looked up in the search_path "
            f"{asked.search_path}, which is that of the role; the statement's session may have had "
            "another: ask with its search_path, or the object is gone"
        )
    if error.sqlstate == _SYNTAX and "end of input" in error.cause:
        return f"{error.cause}: its text is not whole (the server has cut it)"
    if error.sqlstate == _SYNTAX:
        return (
            f"{error.cause}: its normalised text has a parameter where SQL takes a constant only, "
            "such as interval $1"
        )
    if error.sqlstate in _UNTYPED:
        return f"{error.cause}: the types of its parameters cannot be told from its text"
    return error.cause
