"""Samples one database on at most two connections of its own, however many watch.

The quick collectors share one connection, the slow ones another. A server that does not answer
costs no further connection: the sampler logs in again once the prober says that it answers.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from dbopsd.config import DatabaseMetricsConfig, MetricsConfig
from dbopsd.db.database import Database
from dbopsd.db.dsn import CATALOG_ONLY
from dbopsd.db.errors import ConnectFailed, ConnectionLost, DatabaseError, QueryTimeout
from dbopsd.db.session import Session, Table
from dbopsd.db.statement import load_sql
from dbopsd.health.report import Report, State
from dbopsd.metrics.collector import Collector, for_version
from dbopsd.metrics.errors import CollectorMismatch
from dbopsd.metrics.model import Collection, CollectorState, CollectorStatus, Sample
from dbopsd.metrics.pace import Pace
from dbopsd.metrics.server_facts import ServerFacts, read_facts
from dbopsd.metrics.source import (
    SOURCES_EVERY_S,
    OperationCounts,
    Source,
    SourceRunner,
    Subject,
)

_log = logging.getLogger(__name__)

_SET_TIMEOUT: Final = load_sql(__package__, "set_timeout.sql").statement
_FACTS_EVERY_S: Final = 30.0
_LOCK_TIMEOUT_MS: Final = 100
# Over the collector's own timeout, which the server enforces: then it hangs.
_GRACE_S: Final = 1.0
_LONGEST_TIMEOUT_S: Final = 60.0
_RECONNECT_WAIT_S: Final = 1.0
_LOOK_FOR_PRIMARY_S: Final = 10.0
# Samples are left out once they are older than so many intervals.
_STALE_AFTER: Final = 2.0

Publish = Callable[[Mapping[str, Collection]], None]


@dataclass
class _Slices:
    """What the runs of a sliced collector have found since it began anew."""

    after: Any = 0
    found: list[Sample] = field(default_factory=list)
    whole: tuple[Sample, ...] = ()


class Sampler:
    """Runs `collectors` on `database`.

    `report` gives the prober's newest report, `operations` counts the database's operations.
    `clock` is in seconds since 1970, `monotonic` for intervals.
    """

    def __init__(
        self,
        database: Database,
        collectors: Sequence[Collector],
        config: MetricsConfig,
        own: DatabaseMetricsConfig,
        *,
        report: Callable[[], Report],
        sources: Sequence[Source] = (),
        operations: Callable[[], OperationCounts] = dict,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        disabled = frozenset(own.disable)
        self._database = database
        self._collectors = [each for each in collectors if each.name not in disabled]
        self._config = config
        self._report = report
        self._sources = SourceRunner(
            [each for each in sources if each.name not in disabled], monotonic
        )
        self._operations = operations
        self._clock = clock
        self._monotonic = monotonic
        scale = own.interval_s / 10.0
        self._paces = {
            each.name: Pace(max(each.header.every_s * scale, 1.0)) for each in self._collectors
        }
        self._slices: dict[str, _Slices] = {}
        self._collections: dict[str, Collection] = {}
        self._server: ServerFacts | None = None
        self._runs = 0

    def pending(self) -> dict[str, Collection]:
        """What is known before the first run."""
        return {
            each.name: Collection(
                CollectorStatus(
                    each.name,
                    CollectorState.PENDING,
                    "NOT_SAMPLED_YET",
                    "not sampled yet",
                    interval_s=self._paces[each.name].interval_s,
                )
            )
            for each in self._collectors
        }

    async def run(self, publish: Publish) -> None:
        """Sample for ever and hand what is new to `publish`; ends by cancellation only."""
        self._collections = self.pending()
        publish(self._collections)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._sources.close)
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            for slow in (False, True):
                lane = [each for each in self._collectors if each.header.slow is slow]
                if lane:
                    name = f"{self._database.name}-sampler-{'slow' if slow else 'quick'}"
                    tasks.create_task(self._run_lane(lane, publish, slow=slow), name=name)
            name = f"{self._database.name}-sampler-sources"
            tasks.create_task(self._run_sources(publish), name=name)

    async def _run_lane(
        self, collectors: Sequence[Collector], publish: Publish, *, slow: bool
    ) -> None:
        while True:
            while not self._answers():  # noqa: ASYNC110 - the prober's report is all there is to ask
                await asyncio.sleep(_RECONNECT_WAIT_S)
            try:
                async with self._connect(slow=slow) as session:
                    await self._sample_until_lost(session, collectors, publish)
            except DatabaseError as exc:
                self._lose(collectors, exc, publish)
            except Exception:  # noqa: BLE001 - or the last samples would stand for ever
                _log.exception("the sampler of database '%s' begins anew", self._database.name)
            await asyncio.sleep(_RECONNECT_WAIT_S)

    @asynccontextmanager
    async def _connect(self, *, slow: bool) -> AsyncIterator[Session]:
        """A session on the primary; on a standby of a cluster where no host takes writes."""
        timeout_s = max(each.header.timeout_s for each in self._collectors)
        async with contextlib.AsyncExitStack() as stack:
            session: Session | None = None
            for purpose in ("primary", "probe"):
                try:
                    session = await stack.enter_async_context(
                        self._database.dedicated_session(
                            purpose,
                            application_name=f"dbopsd-sampler-{'slow' if slow else 'quick'}",
                            query_timeout_s=min(timeout_s, _LONGEST_TIMEOUT_S) + _GRACE_S,
                            settings={
                                **CATALOG_ONLY,
                                "lock_timeout": str(_LOCK_TIMEOUT_MS),
                                "default_transaction_read_only": "on",
                                # Compiling or starting workers costs more than any of these.
                                "jit": "off",
                                "max_parallel_workers_per_gather": "0",
                            },
                        )
                    )
                    break
                except ConnectFailed:
                    if purpose == "probe" or not self._database.dsn.is_cluster:
                        raise
            assert session is not None  # noqa: S101 - or the last attempt has raised
            yield session

    async def _sample_until_lost(
        self, session: Session, collectors: Sequence[Collector], publish: Publish
    ) -> None:
        facts = await self._ask_facts(session)
        facts_at = connected_at = self._monotonic()
        chosen = self._choose(collectors, facts, publish)
        while True:
            now = self._monotonic()
            if now - facts_at >= _FACTS_EVERY_S:
                facts_at, before = now, facts
                facts = await self._ask_facts(session)
                if facts != before:
                    chosen = self._choose(collectors, facts, publish)
            found: dict[str, Collection] = {}
            for collector in chosen:
                if self._paces[collector.name].due_at <= self._monotonic():
                    found[collector.name] = await self._collect(session, collector, facts)
            if found:
                self._collections.update(found)
                publish(found)
            if self._misplaced(facts) and self._monotonic() - connected_at > _LOOK_FOR_PRIMARY_S:
                return
            due_at = min((self._paces[each.name].due_at for each in chosen), default=now + 1.0)
            await asyncio.sleep(min(max(due_at - self._monotonic(), 0.01), 1.0))

    def _misplaced(self, facts: ServerFacts) -> bool:
        return facts.standby and self._database.dsn.is_cluster

    async def _ask_facts(self, session: Session) -> ServerFacts:
        self._server = facts = await read_facts(session)
        return facts

    def _choose(
        self, collectors: Iterable[Collector], facts: ServerFacts, publish: Publish
    ) -> list[Collector]:
        """The variants that this server has; what the others lack is published."""
        names = {each.name for each in collectors}
        variants = for_version((each for each in collectors), facts.version)
        chosen: list[Collector] = []
        left_out: dict[str, Collection] = {}
        for name in sorted(names):
            collector = variants.get(name)
            lacking = _lacking(collector, facts)
            if lacking is None and collector is not None:
                chosen.append(collector)
                continue
            reason, message = lacking or ("", "")
            left_out[name] = Collection(
                CollectorStatus(name, CollectorState.NOT_APPLICABLE, reason, message)
            )
        self._collections.update(left_out)
        publish(left_out)
        return chosen

    async def _collect(
        self, session: Session, collector: Collector, facts: ServerFacts
    ) -> Collection:
        """Run it once. Raises `ConnectionLost` and `QueryTimeout`; other errors are its state."""
        pace = self._paces[collector.name]
        began = self._monotonic()
        self._runs += 1
        try:
            samples = await self._run_once(session, collector, facts)
        except (ConnectionLost, QueryTimeout):
            raise
        except (DatabaseError, CollectorMismatch) as exc:
            pace.failed(began, self._monotonic() - began)
            return self._failed(collector, exc.reason, exc.message)
        duration_s = self._monotonic() - began
        pace.succeeded(began, duration_s)
        status = CollectorStatus(
            collector.name,
            CollectorState.OK,
            sampled_at=self._clock(),
            duration_s=duration_s,
            interval_s=pace.interval_s,
        )
        return Collection(status, samples)

    async def _run_once(
        self, session: Session, collector: Collector, facts: ServerFacts
    ) -> tuple[Sample, ...]:
        header = collector.header
        parameters: dict[str, Any] = {
            "top_tables": self._config.top_tables,
            "top_indexes": self._config.top_indexes,
            "top_statements": self._config.top_statements,
            "top_databases": self._config.top_databases,
        }
        if header.slice_rows is None:
            table = await self._fetch(session, collector, facts, parameters)
            return tuple(collector.samples(table.columns, table.rows, self._clock()))
        slices = self._slices.setdefault(collector.name, _Slices())
        parameters |= {"after": slices.after, "slice_rows": header.slice_rows}
        table = await self._fetch(session, collector, facts, parameters)
        slices.found += collector.samples(table.columns, table.rows, self._clock())
        if len(table.rows) < header.slice_rows:
            slices.whole = tuple(slices.found)
            slices.after, slices.found = 0, []
        else:
            slices.after = table.rows[-1][0]
        # Until the first round is whole, what there is so far.
        return slices.whole or tuple(slices.found)

    async def _fetch(
        self,
        session: Session,
        collector: Collector,
        facts: ServerFacts,
        parameters: Mapping[str, Any],
    ) -> Table:
        timeout_ms = f"{collector.header.timeout_s * 1000:.0f}"
        statement = collector.statement
        if collector.header.extension:
            schema = facts.extensions[collector.header.extension][1]
            statement = statement.with_identifiers(schema=schema)
        async with session.transaction(read_only=True):
            await session.execute(_SET_TIMEOUT, (timeout_ms,))
            return await session.fetch_table(statement, parameters)

    def _failed(self, collector: Collector, reason: str, message: str) -> Collection:
        """The collection with its last samples: they are left out once they are stale."""
        before = self._collections.get(collector.name)
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

    def _lose(self, collectors: Iterable[Collector], exc: DatabaseError, publish: Publish) -> None:
        """Say of every collector of a lost connection that it has no fresh samples, and why."""
        lost = {
            each.name: self._failed(each, exc.reason, exc.message)
            for each in collectors
            if self._collections[each.name].status.state is not CollectorState.NOT_APPLICABLE
        }
        for name in lost:
            # All of them at once when it is back.
            self._paces[name].lost()
        self._collections.update(lost)
        publish(lost)

    def _answers(self) -> bool:
        """Whether the prober has an answer from the server."""
        return self._report().checks[0].state in (State.HEALTHY, State.DEGRADED)

    async def _run_sources(self, publish: Publish) -> None:
        while True:
            subject = Subject(
                self._database,
                self._report(),
                self._collections,
                self._clock(),
                server=self._server,
                runs=self._runs,
                operations=self._operations(),
            )
            publish({**self._stale(subject.now), **self._sources.ask(subject)})
            await asyncio.sleep(SOURCES_EVERY_S)

    def _stale(self, now: float) -> dict[str, Collection]:
        """The collections of failing collectors whose samples are too old by now, without them."""
        stale = {
            name: Collection(each.status)
            for name, each in self._collections.items()
            if each.samples
            and each.status.state is CollectorState.FAILED
            and now - (each.status.sampled_at or 0.0) > _STALE_AFTER * self._paces[name].paid_s
        }
        self._collections.update(stale)
        return stale


def _lacking(collector: Collector | None, facts: ServerFacts) -> tuple[str, str] | None:
    """Why a server does not have a collector: a reason and a message; None: it has."""
    if collector is None:
        return "VERSION_UNSUPPORTED", f"it is not for PostgreSQL {facts.version}"
    header = collector.header
    if header.role != "any" and facts.standby is (header.role == "primary"):
        here = "standby" if facts.standby else "primary"
        return "OTHER_ROLE", f"it is for a {header.role}, and this is a {here}"
    if header.optional_privilege and header.optional_privilege not in facts.privileges:
        return "PERMISSION_MISSING", f"GRANT {header.optional_privilege} to the role of the DSN"
    if header.extension:
        found = facts.extensions.get(header.extension)
        if found is None:
            return (
                "EXTENSION_MISSING",
                (
                    f"the extension {header.extension} is not installed in database "
                    f"'{facts.postgres_database}': CREATE EXTENSION {header.extension}"
                ),
            )
        if _version(found[0]) < _version(header.extension_version):
            return (
                "EXTENSION_OLD",
                (
                    f"the extension {header.extension} is {found[0]}, and "
                    f"{header.extension_version} is needed: "
                    f"ALTER EXTENSION {header.extension} UPDATE"
                ),
            )
    return None


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
