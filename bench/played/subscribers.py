"""Many subscribers of one database's metrics, as cheaply as Python can have them."""

import asyncio
import math
import time
from collections import Counter
from typing import Any

import grpc.aio
from dbops.v1 import metrics_pb2

from bench.played.commands import answer_commands

_WATCH = "/dbops.v1.MetricsService/WatchSnapshots"
# A message begins with the database's name and the time of its newest sample.
_HEAD_BYTES = 64


class _Subscribers:
    """Streams that note how old the newest sample of each message is when it arrives."""

    def __init__(self) -> None:
        self._channels: list[grpc.aio.Channel] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._times: dict[bytes, float] = {}
        self._ages_s: list[float] = []
        self._bytes = 0
        self._counts: Counter[int] = Counter()
        self._missed = 0
        self._errors: Counter[str] = Counter()

    async def start(
        self, target: str, count: int, connections: int, interval_s: int, changes_only: bool
    ) -> None:
        """Returns once every stream has had its first message."""
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        self._channels = [
            grpc.aio.insecure_channel(target, options=options) for _ in range(connections)
        ]
        request = metrics_pb2.WatchSnapshotsRequest(
            name="databases/main", interval={"seconds": interval_s}, changes_only=changes_only
        ).SerializeToString()
        self._tasks = [
            asyncio.create_task(self._read(number, self._channels[number % connections], request))
            for number in range(count)
        ]
        async with asyncio.timeout(120):
            while len(self._counts) < count:
                if self._errors:
                    raise AssertionError(dict(self._errors))
                await asyncio.sleep(0.05)

    async def measure(self, seconds: float) -> dict[str, Any]:
        """What arrived within the next `seconds`."""
        self._ages_s, self._bytes, self._missed = [], 0, 0
        self._counts = Counter()
        cpu_began = time.process_time()
        await asyncio.sleep(seconds)
        ordered = sorted(self._ages_s)

        def rank(share: float) -> float:
            return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.inf

        return {
            "messages": len(ordered),
            "fewest": min(self._counts.values(), default=0),
            "served": len(self._counts),
            "p50_s": rank(0.5),
            "p99_s": rank(0.99),
            "max_s": rank(1),
            "megabytes": self._bytes / 1e6,
            "missed": self._missed,
            "errors": dict(self._errors),
            "client_cpu_s": time.process_time() - cpu_began,
        }

    async def stop(self) -> None:
        """End every stream."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for channel in self._channels:
            await channel.close()

    async def _read(self, number: int, channel: grpc.aio.Channel, request: bytes) -> None:
        call = channel.unary_stream(_WATCH)(request)
        try:
            async for message in call:
                arrived_at = time.time()
                self._counts[number] += 1
                self._bytes += len(message)
                self._ages_s.append(arrived_at - self._sampled_at(message))
        except grpc.aio.AioRpcError as exc:
            self._errors[f"{exc.code().name}: {exc.details()}"] += 1

    def _sampled_at(self, message: bytes) -> float:
        head = message[:_HEAD_BYTES]
        found = self._times.get(head)
        if found is None:
            # The same message for everybody is decoded once, so that the client costs little.
            decoded = metrics_pb2.WatchSnapshotsResponse.FromString(message)
            self._missed += decoded.missed_count
            found = self._times[head] = decoded.snapshot.sample_time.ToNanoseconds() / 1e9
        return found


async def _main() -> None:
    subscribers = _Subscribers()
    try:
        await answer_commands(
            {
                "start": subscribers.start,
                "measure": subscribers.measure,
                "stop": subscribers.stop,
            }
        )
    finally:
        await subscribers.stop()


if __name__ == "__main__":
    asyncio.run(_main())
