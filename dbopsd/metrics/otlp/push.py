"""Pushes every database's samples to an OTLP collector.

A collector that is down costs one attempt an interval: counts go on from what it has taken last,
so nothing is kept for it and nothing is lost of what counters counted meanwhile.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from dbopsd.metrics.hub import MetricsHub
from dbopsd.metrics.model import Metric, MetricType
from dbopsd.metrics.otlp.names import OtlpNames
from dbopsd.metrics.otlp.points import Temporality, metrics_data, parts
from dbopsd.metrics.source import Source, Subject, Value

if TYPE_CHECKING:
    from dbopsd.metrics.otlp.counts import Pushed

# Some 300 kB: collectors take 4 MB over gRPC, and New Relic takes 1 MB.
_MOST_POINTS: Final = 2_000
# At the end, for a push that runs: one takes a tenth of that.
_RUNNING_PUSH_S: Final = 0.5

_REQUESTS: Final = Metric(
    "dbops_otlp_requests_total",
    MetricType.COUNTER,
    "{request}",
    "Requests with metrics to the OTLP collector, of all databases.",
    ("result",),
)
_POINTS: Final = Metric(
    "dbops_otlp_points_total",
    MetricType.COUNTER,
    "{point}",
    "Points that the OTLP collector has taken, of this database.",
)
_LAST: Final = Metric(
    "dbops_otlp_last_success_timestamp_seconds",
    MetricType.GAUGE,
    "s",
    "When the OTLP collector took all of this database, in seconds since 1970.",
)

Send = Callable[[MetricsData], Awaitable[bool]]
"""Sends metrics. Whether the collector took them."""


class MetricsPush:
    """Pushes what the hub has, every `interval_s`. `clock`: seconds since 1970.

    `resource_of` gives the resource of a database.
    """

    def __init__(
        self,
        hub: MetricsHub,
        send: Send,
        names: OtlpNames,
        resource_of: Callable[[str], Resource],
        *,
        version: str,
        temporality: Temporality,
        interval_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._hub = hub
        self._send = send
        self._names = names
        self._resource_of = resource_of
        self._scope = InstrumentationScope("dbopsd.metrics", version)
        self._temporality = temporality
        self._interval_s = interval_s
        self._clock = clock
        self._pushed: dict[str, dict[str, Pushed]] = {name: {} for name in hub.databases}
        self._waiting = list(hub.databases)
        self._pushing = asyncio.Lock()
        self._finishing = asyncio.Event()
        self._reachable = True
        self._requests = {"success": 0, "failure": 0}
        self._points = dict.fromkeys(hub.databases, 0)
        self._last: dict[str, float] = {}

    async def run(self) -> None:
        """Push every interval until `finish` is called."""
        while not self._finishing.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s):
                    await self._finishing.wait()
            if not self._finishing.is_set():
                await self.push()

    async def finish(self, within_s: float) -> None:
        """Push once more, within that time, unless the collector was away the last time.

        A push that runs is not cut short at once: what it has sent would be counted twice. One that
        hangs is not waited for as long.
        """
        self._finishing.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(within_s, _RUNNING_PUSH_S)):
                await self._pushing.acquire()
            try:
                if self._reachable:
                    async with asyncio.timeout(within_s):
                        await self._push()
            finally:
                self._pushing.release()

    async def push(self) -> bool:
        """Push every database once. Whether all was taken; the first refusal ends it.

        Those that were not reached come first the next time.
        """
        async with self._pushing:
            return await self._push()

    async def _push(self) -> bool:
        for name in list(self._waiting):
            self._waiting.remove(name)
            self._waiting.append(name)
            self._reachable = await self._push_database(name)
            if not self._reachable:
                break
        return self._reachable

    @property
    def source(self) -> Source:
        """How the push does, as metrics of each database."""
        return Source("otlp", "The push over OTLP.", (_REQUESTS, _POINTS, _LAST), self._measure)

    def _measure(self, subject: Subject) -> Iterable[Value]:
        for result, number in self._requests.items():
            yield _REQUESTS, (result,), float(number)
        name = subject.database.name
        yield _POINTS, (), float(self._points[name])
        yield _LAST, (), self._last.get(name)

    async def _push_database(self, name: str) -> bool:
        now = self._clock()
        known = self._pushed[name]
        snapshot = self._hub.snapshot(name)
        # In a thread: thousands of points take longer than other callers should wait.
        found = await asyncio.to_thread(
            lambda: list(parts(snapshot, known, self._names, self._temporality, now, _MOST_POINTS))
        )
        resource = self._resource_of(name)
        for part in found:
            taken = await self._send(metrics_data(resource, self._scope, part))
            self._requests["success" if taken else "failure"] += 1
            if not taken:
                return False
            known.update(part.pushed)
            self._points[name] += part.points
        # Of collectors that are no more.
        for gone in known.keys() - snapshot.collections.keys():
            del known[gone]
        self._last[name] = now
        return True
