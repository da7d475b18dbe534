"""Runs collectors' queries on one session, and keeps what they carry from run to run."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from dbopsd.config import MetricsConfig
from dbopsd.db.session import Row, Session, Table
from dbopsd.db.statement import Statement
from dbopsd.metrics.collector import Collector
from dbopsd.metrics.model import Sample
from dbopsd.metrics.sampling.top_rows import TopRows, largest_rows
from dbopsd.metrics.sampling.top_states import TopStates
from dbopsd.metrics.server_facts import ServerFacts
from dbopsd.metrics.statement_timeout import set_statement_timeout

# A row says by this column what of it is not known, and why.
_UNKNOWN_COLUMN: Final = "unknown"
_MOST_NAMED: Final = 5
# A hundred databases of one server that are sampled each have no need of all others' series too.
_MOST_SIBLINGS: Final = 10


@dataclass(frozen=True, slots=True)
class Found:
    """What a run gave. `unknown`: what of it is not known, for people; empty if all is."""

    samples: tuple[Sample, ...]
    unknown: str = ""
    is_part: bool = False
    """Whether there is more, which the next run is to go on with."""


@dataclass
class _Slices:
    """What the runs of a sliced collector have found since it began anew."""

    after: Any = 0
    rows: list[Row] = field(default_factory=list)
    whole: Found | None = None


class CollectorQueries:
    """For the collectors of one connection. `scale`: how much less often than usual they run.

    `siblings`: how many databases of the server are sampled, with this one.

    Every query is one statement that commits by itself on a session that is read-only as a whole:
    a BEGIN, a COMMIT and a setting around each cost the server as much as the query.
    """

    def __init__(
        self,
        config: MetricsConfig,
        tops: TopStates,
        scale: float,
        *,
        siblings: int,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._limits = {
            "tables": config.top_tables,
            "indexes": config.top_indexes,
            "statements": config.top_statements,
            "databases": config.top_databases,
        }
        if siblings > _MOST_SIBLINGS:
            self._limits["databases"] = min(config.top_databases, _MOST_SIBLINGS)
        self._scale = scale
        self._clock = clock
        self._monotonic = monotonic
        self._states = tops
        self._tops: dict[str, TopRows] = {}
        self._slices: dict[str, _Slices] = {}
        self._qualified: dict[tuple[str, int, str], Statement] = {}
        self._timeout_s: float | None = None

    def begin(self, timeout_s: float) -> None:
        """There is a new session, whose `statement_timeout` is so long."""
        self._timeout_s = timeout_s

    async def run(self, session: Session, collector: Collector, facts: ServerFacts) -> Found | None:
        """Run it once; None where a part gave nothing new, and the next run is to go on.

        Raises `DatabaseError` and `CollectorMismatch`.
        """
        parameters = {f"top_{kind}": limit for kind, limit in self._limits.items()}
        if collector.header.slice_rows is not None:
            return await self._run_slice(session, collector, facts, parameters)
        if collector.header.top is None:
            table = await self._fetch(session, collector, facts, parameters)
            return self._found(collector, table.columns, table.rows)
        limit = self._limits[collector.header.top]
        top = self._tops.get(collector.name)
        if top is None:
            top = TopRows(collector, limit, self._states.load(collector.name))
            self._tops[collector.name] = top
        looks_at_all = top.looks_at_all(self._clock())
        which = {"members": top.members, "top": limit, "all": looks_at_all}
        began = self._monotonic()
        table = await self._fetch(session, collector, facts, parameters | which)
        if looks_at_all:
            top.looked_at_all(self._monotonic() - began, self._scale)
            rows = top.fold(table, epoch=facts.epoch, now=self._clock())
        else:
            rows = top.refresh(table)
        if top.worth_saving:
            self._states.save(collector.name, top.state)
            top.worth_saving = False
        return self._found(collector, table.columns, rows)

    async def _run_slice(
        self,
        session: Session,
        collector: Collector,
        facts: ServerFacts,
        parameters: Mapping[str, Any],
    ) -> Found | None:
        header = collector.header
        slices = self._slices.setdefault(collector.name, _Slices())
        within = {"after": slices.after, "slice_rows": header.slice_rows}
        table = await self._fetch(session, collector, facts, {**parameters, **within})
        slices.rows += table.rows
        is_whole = len(table.rows) < (header.slice_rows or 0)
        slices.after = 0 if is_whole else table.rows[-1][0]
        if not is_whole and slices.whole is not None:
            # All of them stay as they were while the next round goes on.
            return None
        found = self._found(collector, table.columns, slices.rows, is_whole=is_whole)
        if is_whole:
            slices.whole, slices.rows = found, []
        return replace(found, is_part=not is_whole)

    def _found(
        self,
        collector: Collector,
        columns: tuple[str, ...],
        rows: list[Row],
        *,
        is_whole: bool = True,
    ) -> Found:
        shown, unknown = rows, ""
        if collector.header.slice_rows and collector.header.top:
            limit = self._limits[collector.header.top]
            # The sum of the rest is known at the end only.
            shown = largest_rows(rows, columns, collector, limit) if is_whole else rows[:limit]
        samples = collector.samples(columns, shown, self._clock())
        if _UNKNOWN_COLUMN in columns:
            place = columns.index(_UNKNOWN_COLUMN)
            unknown = _enumerated(row[place] for row in rows if row[place])
        return Found(tuple(samples), unknown)

    async def _fetch(
        self,
        session: Session,
        collector: Collector,
        facts: ServerFacts,
        parameters: Mapping[str, Any],
    ) -> Table:
        timeout_s = collector.header.timeout_s
        if timeout_s != self._timeout_s:
            await set_statement_timeout(session, timeout_s)
            self._timeout_s = timeout_s
        return await session.fetch_table(self._statement(collector, facts), parameters)

    def _statement(self, collector: Collector, facts: ServerFacts) -> Statement:
        header = collector.header
        if not (header.extension or header.ledger):
            return collector.statement
        schema = facts.ledger_schema if header.ledger else facts.extensions[header.extension][1]
        key = (collector.name, collector.since, schema)
        statement = self._qualified.get(key)
        if statement is None:
            # The query has parameters, and a percent sign must not be taken for one.
            quotable = schema.replace("%", "%%")
            statement = collector.statement.with_identifiers(schema=quotable)
            self._qualified[key] = statement
        return statement


def _enumerated(texts: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(texts))
    named = "; ".join(distinct[:_MOST_NAMED])
    more = len(distinct) - _MOST_NAMED
    return f"{named}; and {more} more" if more > 0 else named
