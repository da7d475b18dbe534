"""How the daemon starts, stops, dies and comes back."""

import http.client
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import psycopg
import pytest
from dbops_client import DbopsClient, UnavailableError
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dbopsd.db.server.leftovers import server_processes
from tests.e2e.conftest import database, run
from tests.support.daemon import Daemon
from tests.support.patience import eventually_blocking
from tests.support.scratch import new_directory
from tests.support.servers import PostgresServer

# What the contract's GetHealthRequest of `databases/main` is on the wire.
MAIN = b"\x0a\x0edatabases/main"


@pytest.fixture(scope="module")
def used_state_dir() -> Iterator[Path]:
    """A state directory from an earlier run; initdb takes most of a first start."""
    directory = new_directory("dbopsd-e2e-")
    with Daemon(state_dir=directory / "state") as first:
        first.wait_until_serving()
        with psycopg.connect(first.embedded_dsn()) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS run")
        assert first.terminate() == 0
    yield directory / "state"
    shutil.rmtree(directory)


@pytest.fixture
def state_dir(used_state_dir: Path) -> Iterator[Path]:
    """A state directory of the test's own, from an earlier run."""
    directory = new_directory("dbopsd-e2e-")
    subprocess.run(["cp", "--archive", str(used_state_dir), str(directory / "state")], check=True)
    yield directory / "state"
    shutil.rmtree(directory)


def rows(daemon: Daemon) -> list[int]:
    with psycopg.connect(daemon.embedded_dsn()) as connection:
        return [row[0] for row in connection.execute("SELECT run FROM kept ORDER BY run")]


def add_row(daemon: Daemon, run: int) -> None:
    with psycopg.connect(daemon.embedded_dsn()) as connection:
        connection.execute("INSERT INTO kept VALUES (%s)", (run,))


def assert_stopped_clean(running: Daemon) -> None:
    assert server_processes(running.data_dir) == []
    assert not (running.data_dir / "postmaster.pid").exists()
    assert running.log_text().splitlines()[-1].endswith("INFO dbopsd.app.api_process: stopped")
    assert "Traceback" not in running.log_text()
    assert running.output_text() == ""
    assert run("dbops", "--server", running.grpc_address, "health", "--timeout=1").code == 3


def test_a_signal_during_the_start_undoes_it() -> None:
    with Daemon() as starting:
        eventually_blocking(lambda: "making a new PostgreSQL" in starting.log_text(), 30)
        assert starting.terminate() == 0
        assert server_processes(starting.data_dir) == []
        assert starting.log_text().splitlines()[-1].endswith("INFO dbopsd.app.api_process: stopped")
        assert "serving gRPC" not in starting.log_text()
        assert "Traceback" not in starting.log_text()


def test_a_restart_keeps_the_data(start_daemon: Callable[..., Daemon], state_dir: Path) -> None:
    second = start_daemon(state_dir=state_dir)
    add_row(second, 2)
    assert server_processes(second.data_dir)
    assert second.terminate() == 0
    assert_stopped_clean(second)
    # The figures themselves, under 2 s and 120 MB idle, are `make bench`'s: others use the cores.
    started = time.monotonic()
    third = start_daemon(state_dir=state_dir)
    assert time.monotonic() - started < 10
    # How much of its files a kernel keeps mapped differs by 10 MB.
    assert third.anonymous_bytes < 90 * 2**20
    assert rows(third) == [1, 2]
    with psycopg.connect(third.embedded_dsn()) as connection:
        settings = "data_checksums", "wal_level", "shared_preload_libraries"
        shown = [connection.execute(f"SHOW {name}").fetchone() for name in settings]
        assert shown == [("on",), ("replica",), ("pg_stat_statements",)]


def test_ctrl_c_stops_it(start_daemon: Callable[..., Daemon], state_dir: Path) -> None:
    running = start_daemon(state_dir=state_dir)
    running.signal(signal.SIGINT)
    assert running.wait() == 0
    assert_stopped_clean(running)


def test_stopping_tells_watchers_and_lets_calls_end(
    start_daemon: Callable[..., Daemon], server: PostgresServer
) -> None:
    running = start_daemon(database("main", server.dsn()))
    with grpc.insecure_channel(running.grpc_address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        names = ("readiness", "", "liveness", "dbops.v1.HealthService", "databases/main")
        watches = {
            name: health.Watch(health_pb2.HealthCheckRequest(service=name), timeout=30)
            for name in names
        }
        serving = health_pb2.HealthCheckResponse.SERVING
        for name, watch in watches.items():
            assert any(answer.status == serving for answer in watch), name
        client = DbopsClient(running.grpc_address)
        with client, client.health.watch("main", reconnect_for_s=0) as healths:
            assert next(iter(healths)).name == "databases/main"
            # Running when the signal comes: its request is still being sent.
            sending = _SlowRequest(MAIN)
            call = channel.stream_unary("/dbops.v1.HealthService/GetHealth")
            answer = call.future(sending, timeout=30)
            all_running = len(watches) + 1 + 1 + 1
            eventually_blocking(lambda: calls_running(channel) == all_running, 5, "it has come")
            running.signal(signal.SIGTERM)
            ended = {name: _last_words(watch) for name, watch in watches.items()}
            with pytest.raises(UnavailableError) as caught:
                list(healths)
            sending.go_on()
            assert b"databases/main" in answer.result(20)
    not_serving = [health_pb2.HealthCheckResponse.NOT_SERVING]
    for name in ("readiness", "", "dbops.v1.HealthService"):
        assert ended[name] == (not_serving, grpc.StatusCode.UNAVAILABLE), name
    for name in ("liveness", "databases/main"):
        assert ended[name] == ([], grpc.StatusCode.UNAVAILABLE), name
    assert caught.value.reason == "SHUTTING_DOWN"
    assert running.wait() == 0
    assert running.log_text().splitlines()[-1].endswith("INFO dbopsd.app.api_process: stopped")


def test_who_probes_by_new_connections_learns_that_it_stops(
    start_daemon: Callable[..., Daemon], server: PostgresServer
) -> None:
    running = start_daemon(
        database("main", server.dsn()),
        server={"shutdown_delay_s": 5, "shutdown_grace_s": 60},
    )
    eventually_blocking(lambda: _get(running, "/readyz") == 200, 10, "it is ready")
    with grpc.insecure_channel(running.grpc_address) as channel:
        sending = _SlowRequest(MAIN)
        call = channel.stream_unary("/dbops.v1.HealthService/GetHealth")
        answer = call.future(sending, timeout=60)
        eventually_blocking(lambda: calls_running(channel) == 2, 5, "the call has come there")
        running.signal(signal.SIGTERM)
        eventually_blocking(lambda: _get(running, "/readyz") == 503, 5, "it is not ready")
        assert _get(running, "/livez") == 200
        # Everything else is still served, and so is who did not learn it yet.
        assert _get(running, "/api/health/database") == 200
        with grpc.insecure_channel(running.grpc_address) as late:
            health = health_pb2_grpc.HealthStub(late)
            request = health_pb2.HealthCheckRequest(service="readiness")
            said = health.Check(request, timeout=5)
            assert said.status == health_pb2.HealthCheckResponse.NOT_SERVING
            # A watch that begins only now stays until the end, so that nobody asks in a circle.
            watched = _last_words(health.Watch(request, timeout=10))
        assert watched == (
            [health_pb2.HealthCheckResponse.NOT_SERVING],
            grpc.StatusCode.UNAVAILABLE,
        )
        # gRPC closes now but for the call that runs; HTTP still says how things are.
        eventually_blocking(lambda: _is_refused(running.grpc_address), 10, "gRPC is closed")
        assert (_get(running, "/readyz"), _get(running, "/livez")) == (503, 200)
        sending.go_on()
        assert b"databases/main" in answer.result(20)
    assert running.wait() == 0
    with pytest.raises(OSError, match="refused"):
        _get(running, "/livez")


def _is_refused(address: str) -> bool:
    """Whether a call by a connection of its own is."""
    with grpc.insecure_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service="readiness")
        try:
            health_pb2_grpc.HealthStub(channel).Check(request, timeout=5)
        except grpc.RpcError as refusal:
            # CANCELLED, if the connection had been taken while gRPC was closing.
            return refusal.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    return False


def _get(running: Daemon, path: str) -> int:
    """The status of a request by a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", running.http_port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


class _SlowRequest:
    """A request that is begun at once and ends when it is told to."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._going_on = threading.Event()
        self._sent = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._sent:
            raise StopIteration
        assert self._going_on.wait(20)
        self._sent = True
        return self._message

    def go_on(self) -> None:
        self._going_on.set()


def _last_words(watch: Iterator[health_pb2.HealthCheckResponse]) -> tuple[list[int], object]:
    """What a watch still says until its end, and how it ends."""
    statuses = []
    try:
        for answer in watch:
            statuses.append(answer.status)  # noqa: PERF401 - kept, however it ends
    except grpc.RpcError as error:
        return statuses, error.code()
    return statuses, None


def test_a_second_signal_hurries(
    start_daemon: Callable[..., Daemon], server: PostgresServer
) -> None:
    running = start_daemon(database("main", server.dsn()), server={"shutdown_grace_s": 60})
    with grpc.insecure_channel(running.grpc_address) as channel:
        never_sent = _SlowRequest(MAIN)
        call = channel.stream_unary("/dbops.v1.HealthService/GetHealth")
        answer = call.future(never_sent, timeout=60)
        eventually_blocking(lambda: calls_running(channel) == 2, 5, "the call has come there")
        running.signal(signal.SIGTERM)
        eventually_blocking(lambda: "stopping" in running.log_text(), 5, "it stops")
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(0.5)
        running.signal(signal.SIGTERM)
        assert running.wait(5) == 0
        assert answer.code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)
        never_sent.go_on()


def test_a_second_signal_ends_the_delay_too(
    start_daemon: Callable[..., Daemon], server: PostgresServer
) -> None:
    running = start_daemon(database("main", server.dsn()), server={"shutdown_delay_s": 60})
    running.signal(signal.SIGTERM)
    eventually_blocking(lambda: _get(running, "/readyz") == 503, 5, "it is not ready")
    running.signal(signal.SIGTERM)
    assert running.wait(5) == 0


def calls_running(channel: grpc.Channel) -> int:
    """How many calls the server is at, this question among them."""
    stub = channelz_pb2_grpc.ChannelzStub(channel)
    (only,) = stub.GetServers(channelz_pb2.GetServersRequest(), timeout=5).server
    data = only.data
    return int(data.calls_started - data.calls_succeeded - data.calls_failed)


def test_killed_hard_it_leaves_nothing_and_comes_back_with_the_data(
    start_daemon: Callable[..., Daemon], state_dir: Path
) -> None:
    running = start_daemon(state_dir=state_dir)
    add_row(running, 2)
    assert running.kill() == -signal.SIGKILL
    eventually_blocking(lambda: not server_processes(running.data_dir), 15, "the server ends too")
    again = start_daemon(state_dir=state_dir)
    assert rows(again) == [1, 2]


def test_killed_with_its_server_it_recovers(
    start_daemon: Callable[..., Daemon], state_dir: Path
) -> None:
    running = start_daemon(state_dir=state_dir)
    add_row(running, 2)
    running.signal(signal.SIGSTOP)  # or it would start the server again
    for pid in server_processes(running.data_dir):
        os.kill(pid, signal.SIGKILL)
    running.kill()
    again = start_daemon(state_dir=state_dir)
    assert rows(again) == [1, 2]
    assert again.terminate() == 0


def test_two_daemons_never_share_a_state_directory(
    start_daemon: Callable[..., Daemon], state_dir: Path
) -> None:
    first = start_daemon(state_dir=state_dir)
    with Daemon(state_dir=state_dir) as second:
        assert second.wait() == 2
        (line,) = second.log_text().splitlines()
        assert line.startswith("dbopsd: ")
        assert str(state_dir) in line
        assert str(first.pid) in line
        # The first one goes on as if nothing had been.
        assert rows(first) == [1]
        assert first.terminate() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become an ordinary user")
def test_it_runs_as_an_ordinary_user(start_daemon: Callable[..., Daemon]) -> None:
    running = start_daemon(user="nobody")
    owner = running.data_dir.stat()
    assert owner.st_uid != 0
    assert Path(f"/proc/{running.pid}").stat().st_uid == owner.st_uid
    assert run("dbops", "--server", running.grpc_address, "databases", "list").code == 0
    assert running.terminate() == 0
    assert server_processes(running.data_dir) == []
