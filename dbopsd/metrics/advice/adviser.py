"""Judges a database by the rules, when it is asked."""

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from dbopsd.db.errors import ConnectionLost, DatabaseError, QueryTimeout
from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql
from dbopsd.errors import InvalidField
from dbopsd.metrics.advice.errors import AdviceNotFound
from dbopsd.metrics.advice.finding import Finding, Gap, kind_of
from dbopsd.metrics.advice.host import host_of
from dbopsd.metrics.advice.rule import Rule, for_version
from dbopsd.metrics.on_demand import OnDemand
from dbopsd.metrics.server_facts import ServerFacts, read_facts

_SETTINGS: Final = load_sql("dbopsd.metrics.advice.usage", "rule_settings.sql").statement
_TIMEOUT_S: Final = 30.0
_NOTHING_RECORDED: Final = "{}"


THRESHOLDS: Final[Mapping[str, float]] = {
    "unused_days": 30,
    "unused_index_bytes": 10 * 2**20,
    "unused_index_writes_a_day": 1000,
    "table_bloat_bytes": 200 * 2**20,
    "index_bloat_bytes": 100 * 2**20,
    "scanned_table_bytes": 8 * 2**20,
    "slot_bytes": 100 * 2**20,
    # How long the counters of tables are watched before they are judged.
    "window_hours": 24,
}
"""From when on something is worth advice: what rules are given as parameters."""


class Recorded(Protocol):
    """What the daemon has recorded of how a database is used."""

    async def use_of(self, database: str) -> Mapping[str, Any]:
        """Indexes, tables and sequences by object identifier, as JSON; empty: nothing."""


class Judge(Protocol):
    """A kind that takes more than one query."""

    kinds: tuple[str, ...]

    async def judge(
        self, session: Session, facts: ServerFacts
    ) -> tuple[Sequence[Finding], Sequence[Gap]]:
        """Findings and gaps. Raises `DatabaseError`."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The findings, the most useful first, and what could not be judged."""

    findings: Sequence[Finding]
    gaps: Sequence[Gap]


class Adviser:
    """Judges databases. Nothing is kept: what was done about a finding shows at the next call."""

    def __init__(
        self,
        on_demand: OnDemand,
        rules: Sequence[Rule],
        recorded: Recorded | None,
        judges: Sequence[Judge] = (),
        thresholds: Mapping[str, float] = THRESHOLDS,
    ) -> None:
        self._on_demand = on_demand
        self._rules = rules
        self._recorded = recorded
        self._judges = judges
        self._thresholds = thresholds

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of advice that there are."""
        of_rules = {kind for rule in self._rules for kind in rule.header.kinds}
        return frozenset(of_rules.union(*(judge.kinds for judge in self._judges)))

    async def list(self, database: str, kinds: Collection[str] = ()) -> Judged:
        """What could be done, of these kinds or of all. Raises `InvalidField`, `DatabaseError`."""
        if unknown := sorted(set(kinds) - self.kinds):
            those = ", ".join(sorted(self.kinds))
            raise InvalidField("kinds", f"has '{unknown[0]}', which is none of {those}")
        wanted = frozenset(kinds) or self.kinds
        self._on_demand.database(database)
        use = await self._recorded.use_of(database) if self._recorded else {}
        findings: list[Finding] = []
        gaps: list[Gap] = []
        async with self._on_demand.session(database, timeout_s=_TIMEOUT_S) as session:
            facts = await read_facts(session)
            host = await asyncio.to_thread(host_of, facts)
            given = {
                **self._thresholds,
                "use": json.dumps(use) if use else _NOTHING_RECORDED,
                "memory_bytes": host.memory_bytes,
                "rotational": host.rotational,
            }
            for rule in for_version(self._rules, facts.version):
                if wanted.isdisjoint(rule.header.kinds):
                    continue
                found, missing = await self._judge_by(session, rule, facts, given)
                findings += found
                gaps += missing
            for judge in self._judges:
                if wanted.isdisjoint(judge.kinds):
                    continue
                try:
                    more, lacking = await judge.judge(session, facts)
                except (ConnectionLost, QueryTimeout):
                    raise
                except DatabaseError as error:
                    more, lacking = (), [Gap(k, error.reason, error.message) for k in judge.kinds]
                findings += more
                gaps += lacking
        return Judged(
            sorted((each for each in findings if each.kind in wanted), key=lambda f: f.order),
            sorted(
                {each for each in gaps if each.kind in wanted}, key=lambda g: (g.kind, g.message)
            ),
        )

    async def get(self, database: str, advice_id: str) -> Finding:
        """A piece of advice that holds now. Raises `AdviceNotFound` and `DatabaseError`."""
        kind = kind_of(advice_id)
        self._on_demand.database(database)
        if kind in self.kinds:
            for finding in (await self.list(database, [kind])).findings:
                if finding.id == advice_id:
                    return finding
        raise AdviceNotFound(database, advice_id)

    async def _judge_by(
        self, session: Session, rule: Rule, facts: ServerFacts, given: Mapping[str, Any]
    ) -> tuple[Sequence[Finding], Sequence[Gap]]:
        """Run a rule. What fails is a gap, unless nothing more can be asked."""
        lacking = rule.lacking(facts)
        if lacking is not None:
            return (), [Gap(kind, *lacking) for kind in rule.header.kinds]
        try:
            async with session.transaction(read_only=True):
                await session.execute(_SETTINGS, (f"{rule.header.timeout_s * 1000:.0f}",))
                parameters = {name: given[name] for name in rule.header.needs}
                table = await session.fetch_table(rule.statement, parameters)
        except (ConnectionLost, QueryTimeout):
            raise
        except DatabaseError as error:
            return (), [Gap(kind, error.reason, error.message) for kind in rule.header.kinds]
        return rule.read(table)
