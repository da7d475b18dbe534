"""MetricsService on snapshots that a test publishes, without any server."""

from pathlib import Path

from dbops.v1 import metrics_pb2
from opentelemetry.trace import NoOpTracer

from dbopsd.metrics.advice.adviser import Adviser
from dbopsd.metrics.advice.rule import load_rules
from dbopsd.metrics.alerts.alerts import Alerts
from dbopsd.metrics.alerts.board import AlertBoard
from dbopsd.metrics.alerts.silences import Silences
from dbopsd.metrics.collector import load_collectors
from dbopsd.metrics.descriptors import Catalogue
from dbopsd.metrics.hub import MetricsHub
from dbopsd.metrics.on_demand import OnDemand
from dbopsd.metrics.otlp.names import load_names
from dbopsd.metrics.sources import load_sources
from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.rpc.metrics.service import MetricsService
from dbopsd.rpc.server import Service


def metrics_service(hub: MetricsHub, alerts: Alerts | None = None) -> Service:
    """The service. It keeps no history, and what asks a server finds no database."""
    on_demand = OnDemand({})
    catalogue = Catalogue(load_collectors(), load_sources(), load_names())
    return Service(
        metrics_pb2.DESCRIPTOR.services_by_name["MetricsService"],
        MetricsService(
            hub,
            catalogue,
            None,
            on_demand,
            None,
            alerts or no_alerts(),
            Adviser(on_demand, load_rules(), None),
            None,
        ),
    )


def no_alerts() -> Alerts:
    """Nothing is judged, and silences have no store."""
    board = AlertBoard()
    nowhere = AsyncControlStore(None, Path("/dev/null/control.db"), NoOpTracer())
    return Alerts(board, Silences(nowhere, board, (), ()), {}, judged=False)
