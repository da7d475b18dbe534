"""Plans statements as the roles that ran them, in a cage.

Planning runs code: it evaluates IMMUTABLE functions of constants, of views, of index predicates,
whoever wrote them. So a statement is planned by a function that belongs to the role which ran it
and is SECURITY DEFINER: within such a function the server refuses every change of the role, and the
code has the rights that it had when the statement ran. `SET ROLE` alone would be no cage, because
the code can undo it. The transaction is read-only by then, and rolled back.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from dbopsd.db.session import Session
from dbopsd.db.statement import Statement, load_sql

GENERIC_PLAN_SINCE: Final = 16
# Of a session that is read-only: even a temporary function is written.
_WRITABLE: Final = Statement("SET TRANSACTION READ WRITE", "SET TRANSACTION")
_CREATE: Final = load_sql(__package__, "create_planner.sql").statement
_ROLE: Final = load_sql(__package__, "planner_role.sql").statement
_SETTINGS: Final = load_sql(__package__, "planner_settings.sql").statement
_PLAN: Final = Statement(
    "SELECT pg_temp.dbopsd_plan(%(statement)s, %(form)s, %(generic)s)", "EXPLAIN statement"
)


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans statements in the transaction of `caged`."""

    session: Session
    generic: bool

    async def as_text(self, statement: str) -> str:
        """The plan as people read it. Raises `StatementFailed`."""
        return "\n".join(await self._plan(statement, "FORMAT TEXT"))

    async def as_json(self, statement: str) -> dict[str, Any]:
        """The plan with the schemas of its tables. Raises `StatementFailed`."""
        (text,) = await self._plan(statement, "VERBOSE, FORMAT JSON")
        plan: dict[str, Any] = json.loads(text)[0]["Plan"]
        return plan

    async def _plan(self, statement: str, form: str) -> list[str]:
        given = {"statement": statement, "form": form, "generic": self.generic}
        return [line for (line,) in await self.session.fetch_all(_PLAN, given)]


@asynccontextmanager
async def caged(
    session: Session, *, role: str, search_path: str, generic: bool
) -> AsyncIterator[Planner]:
    """A planner with the rights of `role`, which the session's role has to be able to become.

    `generic`: the server has GENERIC_PLAN (`GENERIC_PLAN_SINCE`). Nothing of it stays. Raises
    `StatementFailed`, where the role may not create temporary objects too.
    """
    async with session.trial():
        await session.execute(_WRITABLE)
        await session.fetch_one(_ROLE, {"role": role})
        await session.execute(_CREATE)
        await session.fetch_one(_SETTINGS, {"search_path": search_path})
        yield Planner(session, generic)
