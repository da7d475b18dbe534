"""Lists the statements of a server by what they cost."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final

from dbopsd.db.errors import DatabaseError
from dbopsd.db.session import Session
from dbopsd.errors import InvalidField
from dbopsd.metrics.errors import HistoryUnavailable
from dbopsd.metrics.on_demand import OnDemand
from dbopsd.metrics.sessions.sessions import CLIENT, ServerSession, Sessions
from dbopsd.metrics.statements.extension import Extension, require_extension
from dbopsd.metrics.statements.window import Figures, Followed, Order, StatementHistory, Windows

_TIMEOUT_S: Final = 10.0
_DEFAULT_LIMIT: Final = 20
_MOST: Final = 1000
MOST_CHARACTERS: Final = 10_000
_SHORTEST_WINDOW_S: Final = 60.0
_LONGEST_WINDOW_S: Final = 30 * 86_400.0
_FIGURES: Final = tuple(field.name for field in fields(Figures))


@dataclass(frozen=True, slots=True)
class ServerStatement:
    """A normalised statement of a role in a database. Without a known text it is empty."""

    query_id: str
    postgres_database: str
    role: str
    figures: Figures
    ratio: float
    """The part of the execution time of all statements."""

    max_s: float = 0.0
    stddev_s: float = 0.0
    text: str = ""
    text_cut: bool = False
    earlier: Figures | None = None


@dataclass(frozen=True, slots=True)
class StatementList:
    """Statements, and what the figures are of. `window_s` None: all since `reset_at`."""

    statements: Sequence[ServerStatement]
    window_s: float | None
    reset_at: datetime | None
    dropped: int
    not_known: Sequence[str]


class Statements:
    """The statements of databases' servers. `history` None: nothing is recorded."""

    def __init__(self, on_demand: OnDemand, history: StatementHistory | None) -> None:
        self._on_demand = on_demand
        self._sessions = Sessions(on_demand)
        self._history = history

    async def list(
        self,
        database: str,
        order: Order,
        *,
        limit: int,
        window_s: float | None,
        with_texts: bool,
    ) -> StatementList:
        """The costliest statements, of a window or since the statistics were reset.

        Raises `InvalidField`, `StatementsUnavailable`, `HistoryUnavailable` and `DatabaseError`.
        """
        limit = checked_limit(limit)
        windows = None
        if window_s is not None:
            if not _SHORTEST_WINDOW_S <= window_s <= _LONGEST_WINDOW_S:
                raise InvalidField("window", "is not between 1 min and 30 days")
            self._on_demand.database(database)
            if self._history is None:
                raise HistoryUnavailable("metrics.history.enabled is false")
            windows = await self._history.windows(database, order, window_s, limit)
        async with self._on_demand.session(database, timeout_s=_TIMEOUT_S) as session:
            extension = await require_extension(session, database)
            followed = windows.statements if windows else None
            found, hidden = await _found(session, extension, order, limit, followed)
            notes = list(windows.not_known) if windows else []
            if hidden or not extension.sees_all:
                notes.append(
                    "statements of other roles: the role of the DSN does not see their "
                    "identifiers and texts; GRANT pg_read_all_stats to it"
                )
            info = await session.fetch_one(extension.qualified("statements_info.sql"))
            if windows is not None:
                found = _in_window(windows, found)
            if with_texts:
                found, missing = await _with_texts(session, extension, found)
                notes += missing
        dropped, reset_at = info or (0, None)
        if dropped:
            notes.append(
                f"statements that were dropped: pg_stat_statements.max was reached {dropped} "
                "times since the reset, and the least-used ones lost their figures"
            )
        covered_s = windows.covered_s if windows else None
        return StatementList(found, covered_s, reset_at, dropped, notes)

    async def running(self, database: str, *, limit: int) -> Sequence[ServerSession]:
        """The client sessions that run a statement now, the longest-running first.

        Those that block them follow. Needs no extension. Raises `InvalidField` and
        `DatabaseError`.
        """
        limit = checked_limit(limit)
        sessions = await self._sessions.list(database)
        active = sorted(
            (
                each
                for each in sessions
                if each.backend_type == CLIENT
                and each.state in ("active", "fastpath function call")
                and each.statement_time is not None
            ),
            key=lambda each: (each.statement_time or each.start_time, each.pid),
        )[:limit]
        shown = {each.pid for each in active}
        blocking = {pid for each in active for pid in each.blocked_by} - shown
        return [*active, *(each for each in sessions if each.pid in blocking)]


def checked_limit(limit: int) -> int:
    """How many statements are listed. Raises `InvalidField`."""
    if limit < 0:
        raise InvalidField("limit", "is less than 0")
    return min(limit, _MOST) or _DEFAULT_LIMIT


async def _found(
    session: Session,
    extension: Extension,
    order: Order,
    limit: int,
    followed: Sequence[Followed] | None,
) -> tuple[list[ServerStatement], int]:
    """The statements as the server has them, and how many are hidden from the role."""
    wanted = None if followed is None else [int(each.query_id) for each in followed]
    parameters: dict[str, Any] = {
        "order": order.name,
        # The same statement of several roles and databases has one identifier.
        "limit": limit if followed is None else _MOST,
        "query_ids": wanted,
    }
    table = await session.fetch_table(extension.qualified("list_statements.sql"), parameters)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    found = [
        ServerStatement(
            row["query_id"],
            row["postgres_database"],
            row["role"],
            Figures(**{name: float(row[name]) for name in _FIGURES}),
            float(row["ratio"]),
            float(row["max_s"]),
            float(row["stddev_s"]),
        )
        for row in rows
    ]
    return found, int(rows[0]["hidden"]) if rows else 0


def _in_window(windows: Windows, found: Collection[ServerStatement]) -> list[ServerStatement]:
    """What was followed in the window, with what else the server knows of each."""
    known = {(each.query_id, each.postgres_database, each.role): each for each in found}
    listed = []
    for each in windows.statements:
        key = (each.query_id, each.postgres_database, each.role)
        server = known.get(key) or ServerStatement(*key, each.figures, 0.0)
        ratio = each.figures.total_s / windows.all_s if windows.all_s else 0.0
        listed.append(replace(server, figures=each.figures, earlier=each.earlier, ratio=ratio))
    return listed


async def _with_texts(
    session: Session, extension: Extension, found: Collection[ServerStatement]
) -> tuple[list[ServerStatement], list[str]]:
    """The statements with their texts, and what is to be said of those without."""
    ids = sorted({int(each.query_id) for each in found if each.query_id})
    try:
        rows = await session.fetch_all(
            extension.qualified("statement_texts.sql"),
            {"query_ids": ids, "most": MOST_CHARACTERS},
        )
    except DatabaseError as error:
        if not session.usable:
            raise
        return list(found), [f"texts: they could not be read ({error.message})"]
    texts = {tuple(row[:3]): row[3] for row in rows if row[3] is not None}
    listed = []
    for each in found:
        text = texts.get((each.query_id, each.postgres_database, each.role), "")
        cut = len(text) > MOST_CHARACTERS
        listed.append(replace(each, text=text[:MOST_CHARACTERS], text_cut=cut))
    return listed, []
