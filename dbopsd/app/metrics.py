"""Metrics in the API process: a sampler a database, the hub, and what is served from it."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from dbopsd.app.alert_duty import ALERTS_DUTY
from dbopsd.app.alerts import judges_of, rules_of
from dbopsd.app.background import start
from dbopsd.app.feature import Daemon, Served
from dbopsd.app.metrics_push import push_metrics
from dbopsd.app.user_collectors import user_collectors_of
from dbopsd.db.database import Database
from dbopsd.metrics.advice.adviser import THRESHOLDS, Adviser
from dbopsd.metrics.advice.rule import load_rules
from dbopsd.metrics.advice.suggestion.suggestion import IndexSuggestion
from dbopsd.metrics.advice.usage.recorder import UsageRecorder
from dbopsd.metrics.alerts.alerts import Alerts
from dbopsd.metrics.alerts.board import AlertBoard
from dbopsd.metrics.alerts.channels import channels_of
from dbopsd.metrics.alerts.engine import AlertEngine
from dbopsd.metrics.alerts.notifier import Notifier
from dbopsd.metrics.alerts.rules import RuleSet
from dbopsd.metrics.alerts.silences import Silences
from dbopsd.metrics.alerts.state_file import StateFile
from dbopsd.metrics.collector import Collector, load_collectors
from dbopsd.metrics.descriptors import Catalogue
from dbopsd.metrics.history.query import History
from dbopsd.metrics.history.recorder import Recorder
from dbopsd.metrics.hub import MetricsHub
from dbopsd.metrics.on_demand import OnDemand
from dbopsd.metrics.otlp.names import OtlpNames, load_names
from dbopsd.metrics.sampling.sampler import Sampler
from dbopsd.metrics.sampling.user_collectors.load import UserCollector
from dbopsd.metrics.source import OperationCounts, Source
from dbopsd.metrics.sources import load_sources
from dbopsd.metrics.statements.window import StatementHistory
from dbopsd.metrics.trends.trends import Trends
from dbopsd.operations.errors import ControlStoreUnavailable
from dbopsd.operations.record import State
from dbopsd.operations.service import Operations

# The control store is asked no sooner than everything else has started, and then seldom.
_COUNT_AFTER_S: Final = 10.0
_COUNT_EVERY_S: Final = 30.0


class _Counts:
    """How many operations each database has, as of the last half minute."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._counted: dict[str, dict[tuple[str, str], int]] | None = None

    def of(self, database: str) -> OperationCounts:
        """Those of `database`, 0 of each kind that it has none of.

        Nothing before the first count, and while the control store does not answer.
        """
        if self._counted is None:
            return {}
        none = {(kind, State.QUEUED.value): 0 for kind in self._operations.kinds}
        return {**none, **self._counted.get(database, {})}

    async def run(self) -> None:
        """Count for ever; ends by cancellation only."""
        await asyncio.sleep(_COUNT_AFTER_S)
        while True:
            try:
                self._counted = await self._operations.counts()
            except ControlStoreUnavailable:
                self._counted = None
            await asyncio.sleep(_COUNT_EVERY_S)


@asynccontextmanager
async def run_metrics(daemon: Daemon) -> AsyncIterator[Served]:
    """Sample the databases for the time of the context. Raises `CollectorInvalid`."""
    names = load_names()
    hub = MetricsHub(daemon.databases, sampled=daemon.config.metrics.enabled)
    async with (
        push_metrics(daemon, hub, names) as push_sources,
        _serve_metrics(daemon, hub, names, (*load_sources(), *push_sources)) as served,
    ):
        yield served


@asynccontextmanager
async def _serve_metrics(
    daemon: Daemon, hub: MetricsHub, names: OtlpNames, sources: Sequence[Source]
) -> AsyncIterator[Served]:
    # Here, or a worker would load the server too.
    from dbops.v1 import metrics_pb2  # noqa: PLC0415

    from dbopsd.http.metrics import MetricsPaths  # noqa: PLC0415
    from dbopsd.rpc.metrics.service import MetricsService  # noqa: PLC0415
    from dbopsd.rpc.server import Service  # noqa: PLC0415

    config = daemon.config.metrics
    collectors = load_collectors()
    users = user_collectors_of(daemon.config, collectors, sources)
    every_collector = (*collectors, *(each.collector for each in users))
    history_path = daemon.config.server.state_dir / "metrics" / "history.db"
    tasks = []
    if config.enabled:
        counts = _Counts(daemon.operations)
        tasks.append(start("operation-counts", counts.run))
        tasks += _samplers(daemon, hub, collectors, sources, users, counts)
        if config.history.enabled:
            recorder = Recorder(hub, history_path, max_bytes=config.history.max_size)
            tasks.append(start("history-recorder", recorder.run))
    board = AlertBoard()
    silences = Silences(
        daemon.control, board, RuleSet.of(daemon.config.alerts).rules, frozenset(daemon.databases)
    )
    judged = config.enabled and daemon.config.alerts.enabled
    alerts = Alerts(board, silences, channels_of(daemon.config.alerts.channels), judged)
    duties = {}
    if judged:
        rules = rules_of(daemon.config, every_collector, sources)
        judges = judges_of(daemon.config, rules, daemon.board, every_collector, sources)
        notifier = Notifier(
            board,
            judges,
            {name: each.rules for name, each in rules.items()},
            alerts.channels,
            silences,
            daemon.control,
            daemon.config.alerts,
        )
        duties[ALERTS_DUTY] = notifier.run
        engine = AlertEngine(
            hub,
            judges,
            board,
            StateFile(daemon.config.server.state_dir / "metrics" / "alerts.json"),
            interval_s=daemon.config.alerts.interval_s,
            history=history_path if config.history.enabled else None,
            look_at_silences=silences.refresh,
        )
        tasks.append(start("alerts", engine.run))
    history = History(history_path) if config.history.enabled else None
    statement_history = StatementHistory(history_path) if config.history.enabled else None
    on_demand = OnDemand(daemon.databases)
    usage = UsageRecorder(
        on_demand,
        daemon.databases,
        daemon.config.server.state_dir / "metrics" / "use.db",
        unused_days=THRESHOLDS["unused_days"],
    )
    if config.enabled:
        tasks.append(start("usage-recorder", usage.run))
    service = MetricsService(
        hub,
        Catalogue(every_collector, sources, names),
        history,
        on_demand,
        statement_history,
        alerts,
        Adviser(on_demand, load_rules(), usage, [IndexSuggestion()]),
        Trends(history_path) if config.history.enabled else None,
    )
    try:
        yield Served(
            services=[Service(metrics_pb2.DESCRIPTOR.services_by_name["MetricsService"], service)],
            routes=MetricsPaths(hub).routes(),
            duties=duties,
            drain=partial(_drain, hub, board),
        )
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _drain(hub: MetricsHub, board: AlertBoard) -> None:
    hub.drain()
    board.drain()


def _samplers(
    daemon: Daemon,
    hub: MetricsHub,
    collectors: Sequence[Collector],
    sources: Sequence[Source],
    users: Sequence[UserCollector],
    counts: _Counts,
) -> list[asyncio.Task[None]]:
    of_server = Counter(database.dsn.hosts for database in daemon.databases.values())

    async def sample(name: str, database: Database) -> None:
        sampler = Sampler(
            database,
            collectors,
            daemon.config.metrics,
            database.config.metrics,
            report=partial(daemon.board.report, name),
            sources=sources,
            user_collectors=users,
            operations=partial(counts.of, name),
            backups=partial(daemon.backups.of, name),
            siblings=of_server[database.dsn.hosts],
            state_dir=daemon.config.server.state_dir / "metrics" / "others",
        )
        await sampler.run(partial(hub.publish, name))

    return [
        start(f"{name}-sampler", partial(sample, name, database))
        for name, database in daemon.databases.items()
    ]
