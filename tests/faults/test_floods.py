"""Strangers open more connections than a daemon has descriptors for; it goes on regardless."""

import contextlib
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from dbops.v1 import health_pb2, health_pb2_grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from grpc_health.v1 import health_pb2 as grpc_health_pb2
from grpc_health.v1 import health_pb2_grpc as grpc_health_pb2_grpc

from tests.support.certificates import Certificates
from tests.support.daemon import Daemon
from tests.support.flood import FIRST_BYTES, Flood
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServer

FLOOD = 1_100
MAIN = "databases/main"
# A connection of its own for each channel.
OWN = [("grpc.use_local_subchannel_pool", 1)]
# Bounds that tell a daemon that answers from one that does not, on a busy machine too.
ANSWER_S = 10.0
SERVING = grpc_health_pb2.HealthCheckResponse.SERVING


@pytest.fixture(
    scope="module", params=["256:256", pytest.param("512:1024", marks=pytest.mark.thorough)]
)
def flooded(request, postgres: PostgresServer) -> Iterator[Daemon]:
    config = f"[databases.main]\ndsn = {json.dumps(postgres.dsn())}\nhealth.interval_s = 0.2\n"
    with Daemon(config, descriptors=request.param) as daemon:
        daemon.wait_until_serving()
        eventually_blocking(lambda: Clients(daemon).check() == SERVING, 60)
        # The control store is opened when it is first asked, which takes its time.
        eventually_blocking(lambda: Clients(daemon).operations() == 0, 60)
        yield daemon


class Clients:
    """What must go on. Every call is made over a connection of its own."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def livez(self) -> bool:
        with urllib.request.urlopen(f"{self._daemon.http_url}/livez", timeout=ANSWER_S) as response:
            return response.status == 200

    def check(self) -> int:
        with self._channel() as channel:
            stub = grpc_health_pb2_grpc.HealthStub(channel)
            request = grpc_health_pb2.HealthCheckRequest(service=MAIN)
            return stub.Check(request, timeout=ANSWER_S).status

    def answered_at(self) -> float:
        """When the database answered the prober last."""
        with self._channel() as channel:
            stub = health_pb2_grpc.HealthServiceStub(channel)
            health = stub.GetHealth(health_pb2.GetHealthRequest(name=MAIN), timeout=ANSWER_S)
            return health.answer_time.ToNanoseconds()

    def operations(self) -> int:
        """From the control store."""
        with self._channel() as channel:
            stub = operations_pb2_grpc.OperationsStub(channel)
            request = operations_pb2.ListOperationsRequest(name="operations")
            return len(stub.ListOperations(request, timeout=ANSWER_S).operations)

    def _channel(self) -> grpc.Channel:
        return grpc.insecure_channel(self._daemon.grpc_address, options=OWN)


def assert_all_goes_on(daemon: Daemon) -> None:
    clients = Clients(daemon)
    # The flood itself is over: whoever comes now is served at once.
    for _ in range(5):
        assert clients.livez()
        assert clients.check() == SERVING
        clients.operations()
    before = clients.answered_at()
    eventually_blocking(lambda: clients.answered_at() > before, 10)


@pytest.mark.parametrize("first_bytes", ["nothing", "an HTTP/2 connection"])
def test_idle_connections(flooded: Daemon, first_bytes: str) -> None:
    before, said_before = flooded.descriptors, len(flooded.log_text().splitlines())
    with ExitStack() as stack:
        channel = stack.enter_context(grpc.insecure_channel(flooded.grpc_address, options=OWN))
        watch = health_pb2_grpc.HealthServiceStub(channel).WatchHealth(
            health_pb2.WatchHealthRequest(name=MAIN, every_probe=True)
        )
        seen: list[float] = []
        reading = threading.Thread(target=read, args=(watch, seen))
        reading.start()
        stack.callback(reading.join)
        stack.callback(watch.cancel)
        # A connection over which nothing runs yet may be closed to make room.
        eventually_blocking(lambda: seen)
        for port in (flooded.grpc_port, flooded.http_port):
            stack.enter_context(Flood(port, FLOOD, FIRST_BYTES[first_bytes]))
        eventually_blocking(lambda: Clients(flooded).check(), 20)
        assert_all_goes_on(flooded)
        count = len(seen)
        eventually_blocking(lambda: len(seen) > count, 10, "the watch goes on")
        assert len(flooded.log_text().splitlines()) - said_before < 20
    eventually_blocking(lambda: flooded.descriptors <= before + 5, 20)
    assert_all_goes_on(flooded)


def read(watch: grpc.RpcContext, seen: list[float]) -> None:
    with contextlib.suppress(grpc.RpcError):
        seen.extend(time.monotonic() for _ in watch)


def test_half_sent_requests_are_given_up(flooded: Daemon) -> None:
    before, said_before = flooded.descriptors, len(flooded.log_text().splitlines())
    with ExitStack() as stack:
        floods = [
            stack.enter_context(Flood(port, FLOOD, FIRST_BYTES["half of an HTTP request"]))
            for port in (flooded.grpc_port, flooded.http_port)
        ]
        assert_all_goes_on(flooded)
        eventually_blocking(lambda: [flood.open for flood in floods] == [0, 0], 40)
        assert_all_goes_on(flooded)
    eventually_blocking(lambda: flooded.descriptors <= before + 5, 20)
    assert len(flooded.log_text().splitlines()) - said_before < 20


def test_half_of_a_tls_handshake(postgres: PostgresServer, tmp_path) -> None:
    files = Certificates(tmp_path)
    config = (
        f"tls = {{ cert = '{files.cert}', key = '{files.key}' }}\n"
        f"[databases.main]\ndsn = {json.dumps(postgres.dsn())}\n"
    )
    with Daemon(config, descriptors="256:256") as daemon, ExitStack() as stack:
        daemon.wait_until_serving()
        said_before = len(daemon.log_text().splitlines())
        floods = [
            stack.enter_context(Flood(port, FLOOD // 2, FIRST_BYTES[first_bytes]))
            for port in (daemon.grpc_port, daemon.http_port)
            for first_bytes in ("half of a TLS handshake", "an HTTP request")
        ]
        credentials = files.channel_credentials()

        def check() -> int:
            address = f"localhost:{daemon.grpc_port}"
            with grpc.secure_channel(address, credentials, options=OWN) as channel:
                stub = grpc_health_pb2_grpc.HealthStub(channel)
                return stub.Check(grpc_health_pb2.HealthCheckRequest(), timeout=ANSWER_S).status

        def livez() -> bool:
            url = f"https://localhost:{daemon.http_port}/livez"
            context = files.client_context()
            with urllib.request.urlopen(url, timeout=ANSWER_S, context=context) as response:
                return response.status == 200

        eventually_blocking(check, 20)
        for _ in range(5):
            assert check()
            assert livez()
        eventually_blocking(lambda: sum(flood.open for flood in floods) == 0, 40)
        assert len(daemon.log_text().splitlines()) - said_before < 20


def test_the_soft_limit_is_raised(flooded: Daemon) -> None:
    limits = Path(f"/proc/{flooded.pid}/limits").read_text().splitlines()
    (line,) = [line for line in limits if line.startswith("Max open files")]
    soft, hard = line.split()[3:5]
    assert soft == hard
