"""The push of metrics over OTLP, if the configuration asks for it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

from opentelemetry.sdk.resources import Resource

from dbopsd.app.feature import Daemon
from dbopsd.db.database import Database
from dbopsd.metrics.hub import MetricsHub
from dbopsd.metrics.otlp.names import OtlpNames
from dbopsd.metrics.otlp.points import Temporality
from dbopsd.metrics.otlp.push import MetricsPush
from dbopsd.metrics.source import Source

_FLUSH_S: Final = 3.0


@asynccontextmanager
async def push_metrics(
    daemon: Daemon, hub: MetricsHub, names: OtlpNames
) -> AsyncIterator[tuple[Source, ...]]:
    """Push what `hub` has for the time of the context, and once more at its end.

    Yields the source of how the push does; none where nothing is pushed.
    """
    new_sender = daemon.telemetry.new_metrics_sender
    config = daemon.config
    if new_sender is None or not (config.metrics.enabled and config.metrics.otlp):
        yield ()
        return
    resources = {
        name: _resource(daemon.telemetry.resource, database)
        for name, database in daemon.databases.items()
    }
    sender = new_sender()
    push = MetricsPush(
        hub,
        sender.send,
        names,
        resources.__getitem__,
        version=version("dbopsd"),
        temporality=Temporality(config.telemetry.otlp_temporality),
        interval_s=config.telemetry.metrics_interval_s,
    )
    task = asyncio.create_task(push.run(), name="metrics-push")
    try:
        yield (push.source,)
    finally:
        await push.finish(_FLUSH_S)
        sender.close()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _resource(own: Resource, database: Database) -> Resource:
    """The resource of a database: who asks and who answers.

    Prometheus tells series of OTLP apart by `service.instance.id` alone.
    """
    attributes: dict[str, str | int] = {
        "service.instance.id": database.name,
        "dbops.database": database.name,
        "db.system.name": "postgresql",
    }
    # Of a cluster, which host answers changes.
    if len(database.dsn.each_host) == 1:
        (host,) = database.dsn.each_host
        attributes |= {"server.address": host.host, "server.port": int(host.port or 5432)}
    return own.merge(Resource(attributes))
