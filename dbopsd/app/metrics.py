"""Metrics in the API process: a sampler a database, the hub, and what is served from it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from dbopsd.app.feature import Daemon, Served
from dbopsd.metrics.collector import Collector, load_collectors
from dbopsd.metrics.descriptors import Catalogue
from dbopsd.metrics.history.query import History
from dbopsd.metrics.history.recorder import Recorder
from dbopsd.metrics.hub import MetricsHub
from dbopsd.metrics.on_demand import OnDemand
from dbopsd.metrics.sampler import Sampler
from dbopsd.metrics.source import Source, load_sources


@asynccontextmanager
async def run_metrics(daemon: Daemon) -> AsyncIterator[Served]:
    """Sample the databases for the time of the context. Raises `CollectorInvalid`."""
    # Here, or a worker would load the server too.
    from dbops.v1 import metrics_pb2  # noqa: PLC0415

    from dbopsd.http.metrics import MetricsPaths  # noqa: PLC0415
    from dbopsd.rpc.metrics.service import MetricsService  # noqa: PLC0415
    from dbopsd.rpc.server import Service  # noqa: PLC0415

    config = daemon.config.metrics
    hub = MetricsHub(daemon.databases, sampled=config.enabled)
    collectors, sources = load_collectors(), load_sources()
    history_path = daemon.config.server.state_dir / "metrics" / "history.db"
    tasks = []
    if config.enabled:
        tasks += _samplers(daemon, hub, collectors, sources)
        if config.history.enabled:
            recorder = Recorder(hub, history_path, max_bytes=config.history.max_size)
            tasks.append(asyncio.create_task(recorder.run(), name="history-recorder"))
    history = History(history_path) if config.history.enabled else None
    service = MetricsService(
        hub, Catalogue(collectors, sources), history, OnDemand(daemon.databases)
    )
    try:
        yield Served(
            services=[Service(metrics_pb2.DESCRIPTOR.services_by_name["MetricsService"], service)],
            routes=MetricsPaths(hub).routes(),
            drain=hub.drain,
        )
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _samplers(
    daemon: Daemon, hub: MetricsHub, collectors: Sequence[Collector], sources: Sequence[Source]
) -> list[asyncio.Task[None]]:
    return [
        asyncio.create_task(
            Sampler(
                database,
                collectors,
                daemon.config.metrics,
                database.config.metrics,
                report=partial(daemon.board.report, name),
                sources=sources,
            ).run(partial(hub.publish, name)),
            name=f"{name}-sampler",
        )
        for name, database in daemon.databases.items()
    ]
