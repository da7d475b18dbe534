"""A sampler that runs for a test, and what it published."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dbopsd.config import DatabaseMetricsConfig, MetricsConfig
from dbopsd.db.database import Database
from dbopsd.health.prober import REACHABLE_CHECK, Prober
from dbopsd.metrics.collector import Collector, load_collectors
from dbopsd.metrics.hub import MetricsHub
from dbopsd.metrics.model import Collection, CollectorState, CollectorStatus
from dbopsd.metrics.sampling.sampler import Sampler
from dbopsd.metrics.sampling.user_collectors.load import UserCollector
from dbopsd.metrics.source import Source

COLLECTORS = load_collectors()


@dataclass(frozen=True)
class Sampled:
    """The newest samples of the one database."""

    hub: MetricsHub

    def status(self, collector: str) -> CollectorStatus:
        return self.hub.snapshot("main").collections[collector].status

    def states(self) -> dict[str, CollectorState]:
        """How each collector does, by name."""
        return {name: each.status.state for name, each in self._collections().items()}

    def failures(self) -> dict[str, tuple[str, str]]:
        """The reason and the message of each collector that fails."""
        return {
            name: (each.status.reason, each.status.message)
            for name, each in self._collections().items()
            if each.status.state is CollectorState.FAILED
        }

    def all_ran(self) -> bool:
        """Whether the sampler has begun, and no collector is yet to run."""
        states = self.states().values()
        return bool(states) and CollectorState.PENDING not in states

    def series(self, metric: str) -> dict[tuple[str, ...], float]:
        """The values of a metric by the values of its labels."""
        return {
            each.series.labels: each.value
            for each in self.hub.snapshot("main").samples()
            if each.series.metric.name == metric
        }

    def value(self, metric: str, *labels: str) -> float | None:
        """The value of one series; None where there is none."""
        return self.series(metric).get(labels)

    def _collections(self) -> Mapping[str, Collection]:
        return self.hub.snapshot("main").collections


@asynccontextmanager
async def sampling(
    database: Database,
    collectors: Sequence[Collector] = COLLECTORS,
    *,
    sources: Sequence[Source] = (),
    user_collectors: Sequence[UserCollector] = (),
    interval_s: float = 1.0,
    siblings: int = 1,
    **config: object,
) -> AsyncIterator[Sampled]:
    """Sample `database`, whose name is `main`, for the time of the context."""
    hub = MetricsHub(["main"])
    prober = Prober(database, (REACHABLE_CHECK,))
    reports = [prober.report()]
    sampler = Sampler(
        database,
        collectors,
        MetricsConfig.model_validate(config),
        DatabaseMetricsConfig(interval_s=interval_s),
        report=lambda: reports[-1],
        sources=sources,
        siblings=siblings,
        user_collectors=user_collectors,
    )
    tasks = [
        asyncio.create_task(prober.run(reports.append)),
        asyncio.create_task(sampler.run(lambda found: hub.publish("main", found))),
    ]
    try:
        yield Sampled(hub)
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
