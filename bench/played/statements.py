"""`SELECT 1` three ways in one process: psycopg as it is, with the public spans, and with ours."""

import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import psycopg
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from psycopg_pool import AsyncConnectionPool
from pydantic import SecretStr

from bench.played.commands import answer_commands
from dbopsd.config import DatabaseConfig, TelemetryConfig
from dbopsd.db.database import Database
from dbopsd.db.statement import Statement
from dbopsd.telemetry.setup import start_telemetry

_TEXT = "SELECT 1"
_STATEMENT = Statement(_TEXT, _TEXT)
_POOL_SIZE = 2

Work = Callable[[int], Awaitable[None]]


class _NullSpanExporter(SpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class _NullMetricExporter(MetricExporter):
    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        pass


class _CountingProcessor(SpanProcessor):
    """Proof that each statement left its span: a fast side without spans would be no comparison."""

    def __init__(self) -> None:
        self.ended = 0

    def on_end(self, span: ReadableSpan) -> None:
        self.ended += 1


class _Side:
    """One way to run a statement: on a connection from its pool each time, or on one held."""

    def __init__(self, pooled: Work, held: Work, processor: SpanProcessor | None = None) -> None:
        self._work = {"pooled": pooled, "held": held}
        self._processor = processor

    async def block_us(
        self, how: str, statements: int, *, with_export: bool
    ) -> tuple[float, float]:
        """Microseconds a statement over a block of them: of time, and of the loop's processor."""
        began, cpu_began = time.perf_counter(), time.thread_time()
        await self._work[how](statements)
        if with_export and self._processor is not None:
            self._processor.force_flush()
        elapsed_s, cpu_s = time.perf_counter() - began, time.thread_time() - cpu_began
        if self._processor is not None:
            # Or this side's export would run on the other's time.
            self._processor.force_flush()
        return elapsed_s / statements * 1e6, cpu_s / statements * 1e6


async def _plain_side(dsn: str, stack: AsyncExitStack, processor: Any = None) -> _Side:
    # psycopg.AsyncConnection as it is at this moment: instrumented, if it is.
    pool = AsyncConnectionPool(dsn, min_size=_POOL_SIZE, kwargs={"autocommit": True}, open=False)
    await stack.enter_async_context(pool)
    await pool.wait()
    held = await stack.enter_async_context(pool.connection())

    async def on_pool(statements: int) -> None:
        for _ in range(statements):
            async with pool.connection() as connection:
                await _one(connection)

    async def on_held(statements: int) -> None:
        for _ in range(statements):
            await _one(held)

    return _Side(on_pool, on_held, processor)


async def _one(connection: psycopg.AsyncConnection[Any]) -> None:
    # A cursor of its own: `connection.execute()` makes none that the instrumentation sees.
    async with connection.cursor() as cursor:
        await cursor.execute(_TEXT)
        await cursor.fetchone()


async def _our_side(dsn: str, stack: AsyncExitStack, processor: SpanProcessor, counter: Any) -> Any:
    telemetry = start_telemetry(
        TelemetryConfig(),
        version="bench",
        span_processors=[processor, counter],
        metric_readers=[
            PeriodicExportingMetricReader(_NullMetricExporter(), export_interval_millis=15_000)
        ],
    )
    stack.push_async_callback(telemetry.shutdown, 3.0)
    database = Database(
        "main",
        DatabaseConfig(dsn=SecretStr(dsn)),
        tracer=telemetry.tracer,
        meter=telemetry.meter,
    )
    stack.push_async_callback(database.close)
    await database.open()
    held = await stack.enter_async_context(database.session())

    async def on_pool(statements: int) -> None:
        for _ in range(statements):
            async with database.session() as session:
                await session.fetch_one(_STATEMENT)

    async def on_held(statements: int) -> None:
        for _ in range(statements):
            await held.fetch_one(_STATEMENT)

    return _Side(on_pool, on_held, processor)


class _Comparison:
    def __init__(self, sides: dict[str, _Side], counters: dict[str, _CountingProcessor]) -> None:
        self._sides = sides
        self._counters = counters

    async def measure(
        self, how: str, rounds: int, statements: int, with_export: bool
    ) -> dict[str, Any]:
        """Microseconds a statement of each side in each round, and each side's spans in all."""
        before = {name: counter.ended for name, counter in self._counters.items()}
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in self._sides}
        gc.collect()
        for number in range(rounds):
            names = list(self._sides)
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                side = self._sides[name]
                found[name].append(await side.block_us(how, statements, with_export=with_export))
        spans = {name: counter.ended - before[name] for name, counter in self._counters.items()}
        return {
            "us": {name: [time_us for time_us, _ in blocks] for name, blocks in found.items()},
            "cpu_us": {name: [cpu_us for _, cpu_us in blocks] for name, blocks in found.items()},
            "spans": spans,
            "statements": rounds * statements,
        }


@asynccontextmanager
async def _comparison(dsn: str, otlp_endpoint: str) -> AsyncIterator[_Comparison]:
    def processor() -> BatchSpanProcessor:
        if not otlp_endpoint:
            return BatchSpanProcessor(_NullSpanExporter(), max_queue_size=8192)
        return BatchSpanProcessor(
            OTLPSpanExporter(endpoint=otlp_endpoint, insecure=True), max_queue_size=8192
        )

    counters = {"public": _CountingProcessor(), "ours": _CountingProcessor()}
    async with AsyncExitStack() as stack:
        plain = await _plain_side(dsn, stack)
        ours = await _our_side(dsn, stack, processor(), counters["ours"])
        public_processor = processor()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(public_processor)
        provider.add_span_processor(counters["public"])
        stack.callback(provider.shutdown)
        # Last, because it instruments every connection that is made from here on.
        instrumentor = PsycopgInstrumentor()
        instrumentor.instrument(tracer_provider=provider)
        try:
            public = await _plain_side(dsn, stack, public_processor)
        finally:
            instrumentor.uninstrument()
        yield _Comparison({"plain": plain, "public": public, "ours": ours}, counters)


async def _main(dsn: str, otlp_endpoint: str) -> None:
    async with _comparison(dsn, otlp_endpoint) as comparison:
        await answer_commands({"measure": comparison.measure})


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2]))
