"""A server on a board filled by hand, with its spans and measurements kept in memory."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import pytest
from dbops.v1 import health_pb2_grpc
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dbopsd.config import ServerConfig, TelemetryConfig
from dbopsd.health.board import HealthBoard
from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.rpc.server import RpcServer
from dbopsd.security.access import Access
from dbopsd.telemetry.setup import Telemetry, start_telemetry
from tests.support.demo.feature import METHODS
from tests.unit.rpc.api import AUTH, Api
from tests.unit.rpc.boards import NOW, board
from tests.unit.rpc.desk import Desk
from tests.unit.rpc.probe import Probe


@dataclass
class Kept:
    """What the telemetry of a test recorded."""

    telemetry: Telemetry
    spans: InMemorySpanExporter
    metrics: InMemoryMetricReader

    async def finished(self, count: int = 1) -> tuple[ReadableSpan, ...]:
        """The spans, once there are `count`: the server ends them beside the client's answer."""
        async with asyncio.timeout(3):
            while len(self.spans.get_finished_spans()) < count:
                await asyncio.sleep(0.005)
        return self.spans.get_finished_spans()


@pytest.fixture
def kept() -> Iterator[Kept]:
    spans, metrics = InMemorySpanExporter(), InMemoryMetricReader()
    telemetry = start_telemetry(
        TelemetryConfig(),
        version="1.2.3",
        span_processors=[SimpleSpanProcessor(spans)],
        metric_readers=[metrics],
    )
    return Kept(telemetry, spans, metrics)


@pytest.fixture
def databases() -> HealthBoard:
    return board("main", "other")


@pytest.fixture
def probe() -> Probe:
    return Probe()


@pytest.fixture
async def server(databases: HealthBoard, kept: Kept, probe: Probe) -> AsyncIterator[int]:
    """The port of a running server whose clock stands still."""
    rpc = RpcServer(
        ServerConfig(grpc_listen="127.0.0.1:0"),
        databases,
        kept.telemetry,
        services=[probe.service()],
        clock=lambda: NOW,
    )
    port = await rpc.start()
    databases.accept()
    yield port
    await rpc.stop(0)


@pytest.fixture
async def channel(server: int) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server}") as opened:
        yield opened


@pytest.fixture
def health(channel: grpc.aio.Channel) -> health_pb2_grpc.HealthServiceStub:
    return health_pb2_grpc.HealthServiceStub(channel)


@pytest.fixture
async def desk(kept: Kept, tmp_path: Path) -> AsyncIterator[Desk]:
    path = tmp_path / "control" / "control.db"
    made = Desk(AsyncControlStore(None, path, kept.telemetry.tracer))
    yield made
    await made.operations.close()


@pytest.fixture
async def operations_channel(
    databases: HealthBoard, kept: Kept, desk: Desk
) -> AsyncIterator[grpc.aio.Channel]:
    """To a server with operations, whose callers are those of `AUTH`."""
    config = ServerConfig(grpc_listen="127.0.0.1:0")
    rpc = RpcServer(
        config,
        databases,
        kept.telemetry,
        access=Access.load(config, AUTH),
        operations=desk.operations,
        operation_methods=METHODS,
    )
    port = await rpc.start()
    databases.accept()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
    desk.operations.drain()
    await rpc.stop(0)


@pytest.fixture
def api(operations_channel: grpc.aio.Channel) -> Api:
    return Api(operations_channel)
