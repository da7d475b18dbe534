"""One connection of a sampler, and the collectors that run on it one after the other."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from dbopsd.db.database import Database
from dbopsd.db.errors import ConnectionLost, DatabaseError, QueryTimeout
from dbopsd.db.session import Session
from dbopsd.health.report import Report, State
from dbopsd.metrics.collector import Collector, for_version
from dbopsd.metrics.errors import CollectorMismatch
from dbopsd.metrics.model import Collection, CollectorState, CollectorStatus
from dbopsd.metrics.sampling.applicability import hidden, lacking
from dbopsd.metrics.sampling.left_behind import LeftBehind
from dbopsd.metrics.sampling.newest import Newest
from dbopsd.metrics.sampling.pace import Pace
from dbopsd.metrics.sampling.queries import CollectorQueries
from dbopsd.metrics.sampling.sampler_session import sampler_session
from dbopsd.metrics.sampling.turns import Turns
from dbopsd.metrics.server_facts import ServerFacts, read_facts

_log = logging.getLogger(__name__)

_FACTS_EVERY_S: Final = 60.0
_RECONNECT_WAIT_S: Final = 1.0
_FIRST_WAIT_S: Final = 0.1
LOOK_AT_LOG: Final = "it failed; the daemon's log says why"
_LOOK_FOR_PRIMARY_S: Final = 10.0


class Lane:
    """Runs `collectors` for ever; what is new goes to `newest`.

    It has one connection, and never leaves one behind for another: once an answer did not come, it
    logs in again after the prober has had one, and after its old backend has ended. It logs out
    when another one wants its turn. `report` gives the prober's newest report, `clock` is in
    seconds since 1970, `monotonic` for intervals.
    """

    def __init__(
        self,
        name: str,
        database: Database,
        collectors: Sequence[Collector],
        paces: dict[str, Pace],
        queries: CollectorQueries,
        newest: Newest,
        left_behind: LeftBehind,
        turns: Turns,
        *,
        report: Callable[[], Report],
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.name = name
        self._database = database
        self._collectors = collectors
        self._paces = paces
        self._queries = queries
        self._newest = newest
        self._report = report
        self._clock = clock
        self._monotonic = monotonic
        self._lost_at = 0.0
        self._left_behind = left_behind
        self._turns = turns

    async def run(self) -> None:
        """Sample for ever; ends by cancellation only."""
        wait_s = _FIRST_WAIT_S
        while True:
            while not self._answers():  # noqa: ASYNC110 - the prober's report is all there is to ask
                await asyncio.sleep(wait_s)
            try:
                async with self._turns.keep():
                    if await self._left_behind.has_ended():
                        async with self._connect() as session:
                            await self._sample_until_lost(session)
            except DatabaseError as exc:
                self._lost_at = self._clock()
                self._lose(exc)
            except Exception:  # noqa: BLE001 - or the last samples would stand for ever
                _log.exception("the sampler of database '%s' begins anew", self._database.name)
            wait_s = _RECONNECT_WAIT_S
            await asyncio.sleep(wait_s)

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[Session]:
        # Most have it, and so need no setting of their own.
        usual_s = min(each.header.timeout_s for each in self._collectors)
        async with sampler_session(
            self._database,
            self.name,
            statement_timeout_s=usual_s,
            longest_timeout_s=max(each.header.timeout_s for each in self._collectors),
        ) as session:
            self._queries.begin(usual_s)
            yield session

    async def _sample_until_lost(self, session: Session) -> None:
        facts = await self._ask_facts(session)
        facts_at = connected_at = self._monotonic()
        chosen = self._choose(facts)
        while True:
            if self._monotonic() - facts_at >= _FACTS_EVERY_S:
                facts_at, before = self._monotonic(), facts
                facts = await self._ask_facts(session)
                if facts != before:
                    chosen = self._choose(facts)
            found: dict[str, Collection] = {}
            try:
                for collector in chosen:
                    if self._paces[collector.name].due_at <= self._monotonic():
                        found[collector.name] = await self._collect(session, collector, facts)
            except QueryTimeout:
                self._left_behind.give_up(facts)
                raise
            finally:
                if found:
                    self._newest.put(found)
            if self._turns.wanted:
                return
            if self._misplaced(facts) and self._monotonic() - connected_at > _LOOK_FOR_PRIMARY_S:
                return
            now = self._monotonic()
            due_at = min((self._paces[each.name].due_at for each in chosen), default=now + 1.0)
            await asyncio.sleep(min(max(due_at - now, 0.01), 1.0))

    def _misplaced(self, facts: ServerFacts) -> bool:
        return facts.standby and self._database.dsn.is_cluster

    async def _ask_facts(self, session: Session) -> ServerFacts:
        ledger_schema = self._database.config.migrations.schema_
        facts = await read_facts(session, ledger_schema=ledger_schema)
        self._newest.describe(facts)
        return facts

    def _choose(self, facts: ServerFacts) -> list[Collector]:
        """The variants that this server has; what the others lack is published."""
        variants = for_version(self._collectors, facts.version)
        chosen: list[Collector] = []
        left_out: dict[str, Collection] = {}
        for name in sorted({each.name for each in self._collectors}):
            collector = variants.get(name)
            lacks = lacking(collector, facts)
            if lacks is None and collector is not None:
                chosen.append(collector)
                continue
            reason, message = lacks or ("", "")
            left_out[name] = Collection(
                CollectorStatus(name, CollectorState.NOT_APPLICABLE, reason, message)
            )
        self._newest.put(left_out)
        return chosen

    async def _collect(
        self, session: Session, collector: Collector, facts: ServerFacts
    ) -> Collection:
        """Run it once. Raises `ConnectionLost` and `QueryTimeout`; other errors are its state."""
        pace = self._paces[collector.name]
        began = self._monotonic()
        self._newest.runs += 1
        try:
            found = await self._queries.run(session, collector, facts)
        except (ConnectionLost, QueryTimeout):
            raise
        except (DatabaseError, CollectorMismatch) as exc:
            pace.failed(began, self._monotonic() - began)
            return self._failed(collector, exc.reason, exc.message)
        except Exception:  # noqa: BLE001 - or one collector would hold up the others
            _log.exception(
                "the collector '%s' failed on database '%s'", collector.name, self._database.name
            )
            pace.failed(began, self._monotonic() - began)
            return self._failed(collector, "COLLECTOR_FAILED", LOOK_AT_LOG)
        duration_s = self._monotonic() - began
        if found is None or found.is_part:
            pace.continues(began, duration_s)
        else:
            pace.succeeded(began, duration_s)
        if found is None:
            return self._newest.collections[collector.name]
        reasons = {"PERMISSION_MISSING": hidden(collector, facts), "PARTLY_UNKNOWN": found.unknown}
        reason = next((reason for reason, why in reasons.items() if why), "")
        status = CollectorStatus(
            collector.name,
            CollectorState.PARTIAL if reason else CollectorState.OK,
            reason,
            "; ".join(filter(None, reasons.values())),
            sampled_at=self._clock(),
            duration_s=duration_s,
            interval_s=pace.interval_s,
        )
        return Collection(status, found.samples)

    def _failed(self, collector: Collector, reason: str, message: str) -> Collection:
        """The collection with its last samples: they are left out once they are stale."""
        before = self._newest.collections.get(collector.name)
        if collector.header.privilege and reason == "PERMISSION_MISSING":
            message = f"{message}; GRANT {collector.header.privilege} to the role of the DSN"
        return Collection(
            CollectorStatus(
                collector.name,
                CollectorState.FAILED,
                reason,
                message,
                sampled_at=before.status.sampled_at if before else None,
                interval_s=self._paces[collector.name].interval_s,
            ),
            before.samples if before else (),
        )

    def _lose(self, exc: DatabaseError) -> None:
        """Say of every collector of a lost connection that it has no fresh samples, and why."""
        lost = {
            each.name: self._failed(each, exc.reason, exc.message)
            for each in self._collectors
            if self._newest.state(each.name) is not CollectorState.NOT_APPLICABLE
        }
        for name in lost:
            # All of them at once when it is back.
            self._paces[name].lost()
        self._newest.put(lost)

    def _answers(self) -> bool:
        """Whether the prober has had an answer from the server since the connection was lost."""
        report = self._report()
        answered = report.checks[0].state in (State.HEALTHY, State.DEGRADED)
        return answered and (report.answered_at or 0.0) > self._lost_at


def lanes_of(collectors: Iterable[Collector]) -> dict[str, list[Collector]]:
    """The collectors by the name of the connection that they run on."""
    lanes: dict[str, list[Collector]] = {}
    for each in collectors:
        lanes.setdefault("slow" if each.header.slow else "quick", []).append(each)
    return lanes
