"""Suggests indexes for the statements that cost most."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dbopsd.db.errors import ConnectionLost, StatementFailed
from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql
from dbopsd.metrics.advice.finding import Confidence, Evidence, Finding, Gap, Severity
from dbopsd.metrics.advice.suggestion.filters import Scan, candidates, scans_in
from dbopsd.metrics.server_facts import ServerFacts
from dbopsd.metrics.statement_timeout import set_statement_timeout
from dbopsd.metrics.statements.errors import StatementsUnavailable
from dbopsd.metrics.statements.extension import require_extension
from dbopsd.metrics.statements.plan import has_plan
from dbopsd.metrics.statements.planner import GENERIC_PLAN_SINCE, caged

KIND: Final = "index_suggestion"
_TABLE: Final = load_sql(__package__, "table_facts.sql").statement
_TIMEOUT_S: Final = 2.0
_STATEMENTS: Final = 20
_CALLS: Final = 100
# From when on an index is worth its upkeep: the planner's units, and the part of the whole cost.
_GAIN_UNITS: Final = 1000.0
_GAIN_PART: Final = 0.5
# An index is no help for a filter that lets more than this part pass.
_SELECTIVE: Final = 0.1


@dataclass(frozen=True, slots=True)
class _Asked:
    """A statement of pg_stat_statements."""

    query_id: str
    calls: int
    total_s: float
    text: str
    role: str
    search_path: str


@dataclass(frozen=True, slots=True)
class _Table:
    kind: str
    rows: float
    stale: bool
    written: bool
    columns: Sequence[Sequence[str]]
    indexes: Sequence[Sequence[str]]


@dataclass(slots=True)
class _Wanted:
    """An index, and what it would do for statements."""

    scan: Scan
    columns: tuple[str, ...]
    written: bool
    proved: bool
    before: float
    after: float | None
    statements: list[_Asked] = field(default_factory=list)

    @property
    def gain(self) -> float:
        return self.before - (self.after or 0.0)


class IndexSuggestion:
    """Plans the costliest statements, and plans them again with indexes that are not there."""

    kinds: tuple[str, ...] = (KIND,)

    async def judge(
        self, session: Session, facts: ServerFacts
    ) -> tuple[Sequence[Finding], Sequence[Gap]]:
        """Suggestions, and what was not judged. Raises `DatabaseError`."""
        if facts.standby:
            why = "a standby cannot plan the statements of others: ask the primary"
            return (), [Gap(KIND, "OTHER_ROLE", why)]
        try:
            extension = await require_extension(session, facts.postgres_database)
        except StatementsUnavailable as error:
            return (), [Gap(KIND, error.reason, error.message)]
        generic = facts.version >= GENERIC_PLAN_SINCE
        statement = load_sql(__package__, "top_statements.sql").statement
        rows = await session.fetch_all_as(
            _Asked,
            statement.with_identifiers(schema=extension.schema),
            {"calls": _CALLS, "limit": _STATEMENTS, "how": "SET" if generic else "MEMBER"},
        )
        asked_for = [each for each in rows if has_plan(each.text)]
        prover = _Prover(session, facts, generic=generic)
        unplanned = 0
        for asked in asked_for:
            if not asked.role:
                unplanned += 1
                continue
            try:
                await prover.try_statement(asked)
            except ConnectionLost:
                raise
            except StatementFailed:
                unplanned += 1
        gaps = []
        if unplanned:
            why = (
                f"{unplanned} of the {len(asked_for)} costliest statements could not be planned "
                "from their texts: another search_path, or a missing privilege; "
                "'dbops statements explain' says which"
            )
            gaps.append(Gap(KIND, "NOT_ALL_JUDGED", why))
        if prover.stale:
            tables = ", ".join(sorted(prover.stale))
            why = f"statements on {tables}: too many rows changed since the last ANALYZE"
            gaps.append(Gap(KIND, "STATISTICS_STALE", why))
        return [_finding(each) for each in prover.wanted.values()], gaps


class _Prover:
    """Tries indexes for statements, one statement after the other."""

    def __init__(self, session: Session, facts: ServerFacts, *, generic: bool) -> None:
        self._session = session
        self._generic = generic
        hypopg = facts.extensions.get("hypopg")
        self._hypopg = hypopg[1] if hypopg else None
        self._tables: dict[tuple[str, str], _Table | None] = {}
        self.wanted: dict[tuple[str, str, tuple[str, ...]], _Wanted] = {}
        self.stale: set[str] = set()

    async def try_statement(self, asked: _Asked) -> None:
        """Keep the index that helps it most, if one helps enough. Raises `DatabaseError`."""
        plan = await self._plan(asked)
        cost = float(plan["Total Cost"])
        best: _Wanted | None = None
        for scan in scans_in(plan):
            if scan.cost < max(_GAIN_UNITS, _GAIN_PART * cost):
                continue
            table = await self._table(scan)
            if table is None or table.kind != "r":
                continue
            if table.stale:
                self.stale.add(quoted(scan.schema, scan.table))
                continue
            for columns in candidates(
                scan, [(name, text) for name, text in table.columns], table.indexes
            ):
                found = await self._tried(asked, scan, table, columns, cost)
                # A second column has to be worth its width.
                if found is not None and (best is None or found.gain > 1.05 * best.gain):
                    best = found
        if best is not None:
            key = (best.scan.schema, best.scan.table, best.columns)
            self.wanted.setdefault(key, best).statements.append(asked)

    async def _tried(
        self,
        asked: _Asked,
        scan: Scan,
        table: _Table,
        columns: tuple[str, ...],
        cost: float,
    ) -> _Wanted | None:
        if self._hypopg is None:
            selective = scan.rows <= _SELECTIVE * table.rows
            if len(columns) > 1 or not selective:
                return None
            return _Wanted(scan, columns, table.written, proved=False, before=cost, after=None)
        create = load_sql(__package__, "create_hypothetical.sql").statement
        forget = load_sql(__package__, "forget_hypothetical.sql").statement
        try:
            await self._session.fetch_one(
                create.with_identifiers(schema=self._hypopg), (_index(scan, columns),)
            )
            after = float((await self._plan(asked))["Total Cost"])
        finally:
            await self._session.fetch_one(forget.with_identifiers(schema=self._hypopg))
        if cost - after < max(_GAIN_UNITS, _GAIN_PART * cost):
            return None
        return _Wanted(scan, columns, table.written, proved=True, before=cost, after=after)

    async def _plan(self, asked: _Asked) -> dict[str, Any]:
        await set_statement_timeout(self._session, _TIMEOUT_S)
        async with caged(
            self._session,
            role=asked.role,
            search_path=asked.search_path,
            generic=self._generic,
        ) as planner:
            return await planner.as_json(asked.text)

    async def _table(self, scan: Scan) -> _Table | None:
        key = (scan.schema, scan.table)
        if key not in self._tables:
            named = {"schema": scan.schema, "table": scan.table}
            found = await self._session.fetch_all_as(_Table, _TABLE, named)
            self._tables[key] = found[0] if found else None
        return self._tables[key]


def _index(scan: Scan, columns: Sequence[str], how: str = "") -> str:
    names = ", ".join(map(quoted, columns))
    return f"CREATE INDEX {how}ON {quoted(scan.schema, scan.table)} ({names})"


def _finding(wanted: _Wanted) -> Finding:
    scan = wanted.scan
    what = f"{quoted(scan.schema, scan.table)} ({', '.join(map(quoted, wanted.columns))})"
    total_s = sum(each.total_s for each in wanted.statements)
    calls = sum(each.calls for each in wanted.statements)
    sure = wanted.proved and not wanted.written
    not_known = []
    if not wanted.proved:
        not_known.append(
            "whether the planner would use it: not proved, because the extension hypopg is not "
            "installed in the database"
        )
    if wanted.written:
        not_known.append(
            "whether it pays: the table is written more than ten times as often as read"
        )
    plans = "EXPLAIN of the generic plan"
    evidence = [
        Evidence("statements", ", ".join(e.query_id for e in wanted.statements), "queryid"),
        Evidence("calls", str(calls), "pg_stat_statements, since its reset"),
        Evidence("total_time", f"{total_s:.1f} s", "pg_stat_statements, since its reset"),
        Evidence("cost_before", f"{wanted.before:.0f}", plans),
    ]
    if wanted.after is not None:
        evidence.append(
            Evidence("cost_after", f"{wanted.after:.0f}", f"{plans}, with a hypothetical index")
        )
    gain = "statements that read the whole table read a part of it"
    if wanted.after is not None:
        gain = (
            f"the planner's cost of the statement falls by {1 - wanted.after / wanted.before:.0%}, "
            f"of statements that took {total_s:.1f} s"
        )
    return Finding(
        KIND,
        what,
        f"Create an index on {what}: {len(wanted.statements)} of the costliest statements lack it",
        Severity.WARNING if sure else Severity.INFO,
        Confidence.HIGH if sure else Confidence.LOW,
        tuple(evidence),
        gain,
        "An index costs space, and time at each write; a build that fails leaves an invalid one.",
        (_index(scan, wanted.columns, "CONCURRENTLY "),),
        tuple(not_known),
    )
