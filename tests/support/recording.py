"""Telemetry that keeps what it gets in memory, for tests that look at spans and metrics."""

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dbopsd.telemetry.names import DB_QUERY_SUMMARY
from dbopsd.telemetry.setup import Telemetry


class Recording:
    """A `Telemetry` and what went through it."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._forgotten: list[ReadableSpan] = []
        self._tracers = TracerProvider()
        self._tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self._meters = MeterProvider([self._reader])
        self.telemetry = Telemetry(
            tracer=self._tracers.get_tracer("test"), meter=self._meters.get_meter("test")
        )

    def spans(self, name: str | None = None) -> list[ReadableSpan]:
        """The ended spans, in the order of their end; those called `name` if it is given."""
        spans = self._exporter.get_finished_spans()
        return [span for span in spans if name is None or span.name == name]

    def statements(self) -> list[ReadableSpan]:
        """The ended spans of statements: not those of waiting for the pool, which may be any."""
        return [span for span in self.spans() if DB_QUERY_SUMMARY in (span.attributes or {})]

    def names(self) -> list[str]:
        """The names of the ended spans of statements."""
        return [span.name for span in self.statements()]

    def clear(self) -> None:
        """Have `spans()` begin anew."""
        self._forgotten.extend(self.spans())
        self._exporter.clear()

    def all_spans(self) -> list[ReadableSpan]:
        """Every ended span, those before `clear()` too."""
        return [*self._forgotten, *self.spans()]

    def metric(self, name: str) -> list[Any]:
        """The data points of the metric `name` now."""
        data = self._reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def close(self) -> None:
        """End the providers' threads."""
        self._tracers.shutdown()
        self._meters.shutdown()
