"""A whole daemon in this process, asked as its users ask it: by gRPC and by HTTP."""

import asyncio
import contextlib
import itertools
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import pytest
from dbops.v1 import health_pb2, health_pb2_grpc, resources_pb2
from grpc_health.v1 import health_pb2 as grpc_health_pb2
from grpc_health.v1 import health_pb2_grpc as grpc_health_pb2_grpc

from dbopsd.app import Serving, running
from dbopsd.config import Config
from dbopsd.db.database import Database
from dbopsd.health.report import CheckResult, Report
from tests.support.patience import eventually
from tests.support.recording import Recording
from tests.support.servers import PostgresServer

# Bounds that tell a daemon that answers from one that waits for its database, on a busy machine
# too. `make bench` measures against the real bars: 100 ms for an answer, 2 s for a recovery.
ANSWER_S = 1.0
SOON_S = 5.0

State = resources_pb2.Database
_SERVING = grpc_health_pb2.HealthCheckResponse.SERVING


@pytest.fixture
def make_database(postgres: PostgresServer) -> Iterator[Callable[..., str]]:
    """As everywhere, under names of its own: the spans of daemons of their own are not kept here,
    so these are left out where statements are compared with them.
    """
    names = []

    def make(template_sql: str = "", **parameters: str | int) -> str:
        names.append(postgres.create_database(template_sql, prefix="fault_"))
        return postgres.dsn(dbname=names[-1], **parameters)

    yield make
    for name in names:
        postgres.drop_database(name)


@dataclass
class Answers:
    """How long health's answers took, in seconds, and those that were none."""

    times: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.times, n=100)[98]

    def check(self) -> None:
        assert self.failures == []
        assert len(self.times) >= 20
        assert self.p99 < ANSWER_S, f"p99 of {len(self.times)} answers: {self.p99 * 1000:.1f} ms"


class Daemon:
    """A running daemon and clients of it."""

    def __init__(
        self, serving: Serving, channel: grpc.aio.Channel, http: aiohttp.ClientSession
    ) -> None:
        self.serving = serving
        self._health = health_pb2_grpc.HealthServiceStub(channel)
        self._grpc_health = grpc_health_pb2_grpc.HealthStub(channel)
        self._http = http

    @property
    def database(self) -> Database:
        return self.serving.databases["main"]

    @property
    def report(self) -> Report:
        return self.serving.board.report("main")

    def check(self, name: str) -> CheckResult:
        (result,) = [result for result in self.report.checks if result.check == name]
        return result

    async def get_health(self) -> health_pb2.DatabaseHealth:
        request = health_pb2.GetHealthRequest(name="databases/main")
        return await self._health.GetHealth(request, timeout=5)

    async def serves(self, service: str) -> bool:
        request = grpc_health_pb2.HealthCheckRequest(service=service)
        return (await self._grpc_health.Check(request, timeout=5)).status == _SERVING

    async def http_status(self, path: str) -> int:
        async with self._http.get(path) as response:
            await response.read()
            return response.status

    async def becomes(self, state: int, timeout: float = 10.0) -> float:
        """Wait until GetHealth says `state`; how long it took, in seconds."""
        started = time.monotonic()

        async def there() -> bool:
            return (await self.get_health()).state == state

        await eventually(there, timeout=timeout, what=State.State.Name(state))
        return time.monotonic() - started

    @asynccontextmanager
    async def asked(self, pause_s: float = 0.003) -> AsyncIterator[Answers]:
        """Ask for health all the time, one call after the other in every form."""
        answers = Answers()
        calls: list[Callable[[], Awaitable[Any]]] = [
            self.get_health,
            lambda: self.serves("databases/main"),
            lambda: self.serves("liveness"),
            lambda: self.http_status("/api/health/database"),
            lambda: self.http_status("/readyz"),
        ]

        async def ask() -> None:
            for call in itertools.cycle(calls):
                started = time.monotonic()
                try:
                    await call()
                except Exception as exc:
                    answers.failures.append(repr(exc))
                else:
                    answers.times.append(time.monotonic() - started)
                await asyncio.sleep(pause_s)

        task = asyncio.create_task(ask())
        try:
            yield answers
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


StartDaemon = Callable[..., Awaitable[Daemon]]


@pytest.fixture
async def start_daemon(tmp_path: Path) -> AsyncIterator[StartDaemon]:
    """`await start_daemon(dsn, health={…}, **pool) -> Daemon`, stopped after the test."""
    async with AsyncExitStack() as stack:
        recording = Recording()
        stack.callback(recording.close)

        async def start(dsn: str, *, health: dict[str, Any] | None = None, **pool: Any) -> Daemon:
            config = Config.model_validate(
                {
                    "server": {
                        "grpc_listen": "127.0.0.1:0",
                        "http_listen": "127.0.0.1:0",
                        "state_dir": tmp_path / "state",
                        "shutdown_delay_s": 0,
                        "shutdown_grace_s": 0,
                    },
                    "databases": {"main": {"dsn": dsn, "pool": pool, "health": health or {}}},
                }
            )
            serving = await stack.enter_async_context(
                running(config, telemetry=recording.telemetry)
            )
            channel = await stack.enter_async_context(
                grpc.aio.insecure_channel(f"127.0.0.1:{serving.grpc_port}")
            )
            http = await stack.enter_async_context(
                aiohttp.ClientSession(f"http://127.0.0.1:{serving.http_port}")
            )
            daemon = Daemon(serving, channel, http)
            await daemon.becomes(State.HEALTHY)
            return daemon

        yield start
