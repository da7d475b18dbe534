"""A caller of gRPC servers: as many calls as go through, or calls at a steady pace."""

import asyncio
import math
import time
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from dbops.v1 import health_pb2 as dbops_health_pb2
from dbops.v1 import resources_pb2
from grpc_health.v1 import health_pb2

from bench.played.commands import answer_commands

_NAME = "databases/main"
_CHECK = "/grpc.health.v1.Health/Check"
_GET_HEALTH = "/dbops.v1.HealthService/GetHealth"
_REQUESTS = {
    _CHECK: health_pb2.HealthCheckRequest(service=_NAME).SerializeToString(),
    _GET_HEALTH: dbops_health_pb2.GetHealthRequest(name=_NAME).SerializeToString(),
}
_SERVING = health_pb2.HealthCheckResponse(
    status=health_pb2.HealthCheckResponse.SERVING
).SerializeToString()
_POLL_S = 0.005


class _Client:
    """One channel a target, kept open, so that no round pays for connecting."""

    def __init__(self) -> None:
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._metadata: dict[str, tuple[tuple[str, str], ...]] = {}

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()

    async def secure(self, target: str, ca: str, token: str | None) -> None:
        """Speak TLS with the target, trusting the authority in the file `ca`; show `token`."""
        credentials = grpc.ssl_channel_credentials(Path(ca).read_bytes())
        self._channels[target] = grpc.aio.secure_channel(target, credentials)
        if token is not None:
            self._metadata[target] = (("authorization", f"Bearer {token}"),)

    async def refused_without_token(self, target: str) -> str:
        """The code that `Check` ends with where the token is not shown."""
        try:
            await self._channels[target].unary_unary(_CHECK)(_REQUESTS[_CHECK], timeout=10.0)
        except grpc.aio.AioRpcError as exc:
            return str(exc.code().name)
        return "OK"

    async def until_serving(self, target: str, within_s: float) -> float:
        """When, by time.monotonic(), the target first says that the database is served."""
        async with asyncio.timeout(within_s):
            await _until_listening(target)
            check = self._method(target, _CHECK)
            while True:
                try:
                    if await check(_REQUESTS[_CHECK]) == _SERVING:
                        return time.monotonic()
                except grpc.aio.AioRpcError:
                    pass
                await asyncio.sleep(_POLL_S)

    async def load(self, target: str, concurrency: int, seconds: float) -> dict[str, float]:
        """`Check`, by `concurrency` callers at once, each as soon as its last call is answered."""
        check = self._method(target, _CHECK)
        request = _REQUESTS[_CHECK]
        calls = 0
        began = time.perf_counter()
        until = began + seconds

        async def caller() -> None:
            nonlocal calls
            while time.perf_counter() < until:
                if await check(request) != _SERVING:
                    raise AssertionError(f"{target} is not SERVING")
                calls += 1

        cpu_began = time.process_time()
        await asyncio.gather(*(caller() for _ in range(concurrency)))
        return {
            "calls": calls,
            "seconds": time.perf_counter() - began,
            "client_cpu_s": time.process_time() - cpu_began,
        }

    async def pace(self, target: str, each_a_second: float, seconds: float) -> dict[str, Any]:
        """`Check` and `GetHealth` in turn at a steady pace, whatever became of earlier calls.

        Latency counts from when the call was due, so a client that falls behind does not hide it.
        """
        latencies: dict[str, list[float]] = {_CHECK: [], _GET_HEALTH: []}
        errors: list[str] = []
        last: list[bytes] = []

        async def one(method: str, due: float) -> None:
            try:
                answer = await self._method(target, method)(_REQUESTS[method], timeout=10.0)
            except grpc.aio.AioRpcError as exc:
                errors.append(exc.code().name)
            else:
                if method == _GET_HEALTH:
                    last[:] = [answer]
            latencies[method].append(time.perf_counter() - due)

        began = time.perf_counter()
        async with asyncio.TaskGroup() as calls:
            for number in range(round(2 * each_a_second * seconds)):
                due = began + number / (2 * each_a_second)
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                calls.create_task(one(_GET_HEALTH if number % 2 else _CHECK, due))
        return {
            "check": _summary(latencies[_CHECK]),
            "get_health": _summary(latencies[_GET_HEALTH]),
            "errors": errors,
            "last": _plain(last[0]) if last else None,
        }

    async def health(self, target: str) -> dict[str, Any]:
        """What GetHealth says now."""
        return _plain(await self._method(target, _GET_HEALTH)(_REQUESTS[_GET_HEALTH], timeout=10.0))

    def _method(self, target: str, path: str) -> Any:
        if target not in self._channels:
            self._channels[target] = grpc.aio.insecure_channel(target)
        # Without serializers: bytes in and out, so that the client costs little.
        method: Any = self._channels[target].unary_unary(path)
        metadata = self._metadata.get(target)
        return method if metadata is None else partial(method, metadata=metadata)


async def _until_listening(target: str) -> None:
    # gRPC itself waits a second before it tries again.
    host, _, port = target.rpartition(":")
    while True:
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            await asyncio.sleep(_POLL_S)
        else:
            writer.close()
            return


def _summary(latencies_s: list[float]) -> dict[str, float]:
    """Nearest-rank percentiles, in milliseconds."""
    ordered = sorted(latencies_s)

    def rank(share: float) -> float:
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)] * 1000

    return {"count": len(ordered), "p50_ms": rank(0.5), "p99_ms": rank(0.99), "max_ms": rank(1)}


def _plain(answer: bytes) -> dict[str, Any]:
    health = dbops_health_pb2.DatabaseHealth.FromString(answer)
    return {
        "state": resources_pb2.Database.State.Name(health.state),
        "reasons": {check.check: check.reason for check in health.checks},
        "values": {check.check: check.value for check in health.checks if check.HasField("value")},
    }


async def _main() -> None:
    client = _Client()
    try:
        await answer_commands(
            {
                "secure": client.secure,
                "refused_without_token": client.refused_without_token,
                "until_serving": client.until_serving,
                "load": client.load,
                "pace": client.pace,
                "health": client.health,
            }
        )
    finally:
        await client.close()


if __name__ == "__main__":
    asyncio.run(_main())
