"""No request, whatever its bytes, makes any method say INTERNAL or UNKNOWN, or hang."""

import asyncio
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from dbops.v1 import backup_pb2, health_pb2, metrics_pb2, migrate_pb2, operations_pb2
from grpc_channelz.v1 import channelz_pb2
from grpc_health.v1 import health_pb2 as grpc_health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dbopsd.app.features import BACKUP, IMPORTER, MIGRATIONS
from dbopsd.config import ServerConfig, TelemetryConfig
from dbopsd.metrics.hub import MetricsHub
from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.record import NewOperation, Schedule
from dbopsd.rpc import longrunning
from dbopsd.rpc.server import RpcServer
from dbopsd.telemetry.setup import start_telemetry
from tests.support.anything import Anything
from tests.support.demo.feature import METHODS as DEMO_METHODS
from tests.support.demo.feature import SERVICE
from tests.unit.rpc.backup_service import backup_service
from tests.unit.rpc.boards import board
from tests.unit.rpc.desk import Desk
from tests.unit.rpc.metrics_service import metrics_service
from tests.unit.rpc.migrate_service import migrate_service

if TYPE_CHECKING:
    from concurrent.futures import Future

# The server makes trace ids in its thread while the next example is drawn here.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")

NEVER = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
# Endless by nature: silence after the request is as good as an answer.
ENDLESS_S = 0.15
UNSENT = 'Failed "execute_batch"'
AT_ONCE = 50
REQUESTS_A_METHOD = 400
OPERATION_METHODS = (
    *DEMO_METHODS,
    *IMPORTER.methods,
    *MIGRATIONS.methods,
    *BACKUP.methods,
)

METHODS = [
    method
    for service in (
        health_pb2.DESCRIPTOR.services_by_name["HealthService"],
        metrics_pb2.DESCRIPTOR.services_by_name["MetricsService"],
        operations_pb2.DESCRIPTOR.services_by_name["OperationsService"],
        longrunning.SERVICE,
        migrate_pb2.DESCRIPTOR.services_by_name["MigrateService"],
        backup_pb2.DESCRIPTOR.services_by_name["BackupService"],
        SERVICE,
        grpc_health_pb2.DESCRIPTOR.services_by_name["Health"],
        channelz_pb2.DESCRIPTOR.services_by_name["Channelz"],
        reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"],
    )
    for method in service.methods
]
REQUEST_IDS = [str(number) for number in range(20)]
KNOWN = [
    *("", "*", "dbops.v1", "readiness", "done = false", "metadata.kind = demo AND state = QUEUED"),
    *("databases/main", "databases/other", "databases/x", "databases/-", "operations"),
    *("databases/main/schedules/nightly", "databases/main/schedules/x", "operations/demo-0"),
    *("default", "001", "a reason", "public.schema_migrations"),
    *("databases/main/backups/full-1", "databases/other/backups/x", "held_until", "0/16EF418"),
    *(
        f"operations/{NewOperation('demo', 'main', 'fuzz', each, 2, '', frozenset(), None, '').id}"
        for each in REQUEST_IDS
    ),
]


def path_of(method: Any) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


class Loop:
    """An event loop in a thread: hypothesis runs synchronous functions."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, coroutine: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return future.result(20)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Target:
    """A running server, and its methods as reflection tells them."""

    def __init__(self, loop: Loop, directory: Path) -> None:
        self.loop = loop
        self._path = directory / "control" / "control.db"
        loop.run(self._start())

    async def _start(self) -> None:
        databases = board("main", "other")
        telemetry = start_telemetry(TelemetryConfig(), version="1")
        kinds = [method.kind for method in OPERATION_METHODS]
        desk = Desk(AsyncControlStore(None, self._path, telemetry.tracer), kinds)
        await desk.schedule(Schedule("nightly", "main", "demo", "{}", "0 3 * * *", "UTC"))
        for request_id in REQUEST_IDS:
            # Their ids are made of these, so that `KNOWN` has them.
            await desk.start(requester="fuzz", request_id=request_id)
        self._operations = desk.operations
        self._hub = MetricsHub(["main", "other"])
        self._server = RpcServer(
            # A machine that is busy elsewhere is slow to end the streams that were left.
            ServerConfig(
                grpc_listen="127.0.0.1:0",
                max_calls_per_client=AT_ONCE * AT_ONCE,
                max_streams_per_connection=AT_ONCE * AT_ONCE,
            ),
            databases,
            telemetry,
            services=[
                metrics_service(self._hub),
                backup_service(self._path.parent / "backups", ["main", "other"]),
                migrate_service(["main", "other"]),
            ],
            operations=desk.operations,
            operation_methods=OPERATION_METHODS,
        )
        port = await self._server.start()
        databases.accept()
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        stub = reflection_pb2_grpc.ServerReflectionStub(self.channel)

        async def requests() -> Any:
            yield reflection_pb2.ServerReflectionRequest(list_services="*")

        (answer,) = [answer async for answer in stub.ServerReflectionInfo(requests())]
        self.services = {service.name for service in answer.list_services_response.service}

    async def stop(self) -> None:
        await self.channel.close()
        self._hub.drain()
        self._operations.drain()
        await self._server.stop(0)
        await self._operations.close()

    async def call(self, method: Any, requests: list[bytes], *, endless: bool) -> list[Any]:
        """How each of the calls, side by side, failed; None: it did not."""
        return await asyncio.gather(*(self._call(method, each, endless) for each in requests))

    async def _call(self, method: Any, request: bytes, endless: bool) -> Any:
        async def one() -> Any:
            yield request

        path, timeout_s = path_of(method), ENDLESS_S if endless else 20
        try:
            # A stream of requests only where there is one: when its deadline comes before what it
            # sends, grpc.aio's call ends as if it had been cancelled from here.
            if method.client_streaming:
                async for _ in self.channel.stream_stream(path)(one(), timeout=timeout_s):
                    pass
            elif method.server_streaming:
                async for _ in self.channel.unary_stream(path)(request, timeout=timeout_s):
                    pass
            else:
                await self.channel.unary_unary(path)(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            # The deadline came while the client was sending: the server has said nothing.
            return None if error.debug_error_string().startswith(UNSENT) else error
        return None


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    loop = Loop()
    running = Target(loop, tmp_path_factory.mktemp("fuzz"))
    yield running
    loop.run(running.stop())
    loop.close()


def requests_of(method: Any) -> Any:
    message = st.integers(0, 2**64).map(
        lambda seed: Anything(random.Random(seed), KNOWN).message(method.input_type)
    )
    one = message.map(lambda made: made.SerializeToString()) | st.binary(max_size=60)
    # Together, so that hundreds of them take a second, and meet each other on the way.
    return st.lists(one, min_size=AT_ONCE, max_size=AT_ONCE)


def test_no_service_is_left_out(target: Target) -> None:
    assert target.services == {method.containing_service.full_name for method in METHODS}


@pytest.mark.parametrize("method", METHODS, ids=path_of)
@settings(
    max_examples=REQUESTS_A_METHOD // AT_ONCE,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    # Each failure names its request, which is small: making it smaller would take minutes.
    phases=[Phase.generate],
)
@given(data=st.data())
def test_any_request_is_answered(target: Target, method: Any, data: Any) -> None:
    endless = method.server_streaming or method.name == "WaitOperation"
    requests = data.draw(requests_of(method), label="requests")
    errors = target.loop.run(target.call(method, requests, endless=endless))
    for request, error in zip(requests, errors, strict=True):
        if error is None:
            continue
        assert error.code() not in NEVER, (request, error)
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            assert endless, request
        else:
            assert "grpc-status-details-bin" in dict(error.trailing_metadata()), (request, error)
