"""The receiver keeps what real exporters send, and fails on command."""

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
    OTLPMetricExporter as GrpcMetricExporter,
)
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
    OTLPSpanExporter as GrpcSpanExporter,
)
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
    OTLPMetricExporter as HttpMetricExporter,
)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
    OTLPSpanExporter as HttpSpanExporter,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind

from tests.support.otlp import OtlpReceiver

SPAN_EXPORTERS: dict[str, Callable[[OtlpReceiver], Any]] = {
    "grpc": lambda receiver: GrpcSpanExporter(endpoint=receiver.grpc_endpoint, insecure=True),
    "http": lambda receiver: HttpSpanExporter(
        endpoint=f"{receiver.http_endpoint}/v1/traces", compression=Compression.Gzip
    ),
}
METRIC_EXPORTERS: dict[str, Callable[[OtlpReceiver], Any]] = {
    "grpc": lambda receiver: GrpcMetricExporter(endpoint=receiver.grpc_endpoint, insecure=True),
    "http": lambda receiver: HttpMetricExporter(endpoint=f"{receiver.http_endpoint}/v1/metrics"),
}


@pytest.mark.parametrize("protocol", SPAN_EXPORTERS)
def test_spans_are_kept(otlp: OtlpReceiver, protocol: str) -> None:
    provider = TracerProvider(resource=Resource({"service.name": "tested"}))
    provider.add_span_processor(SimpleSpanProcessor(SPAN_EXPORTERS[protocol](otlp)))
    tracer = provider.get_tracer("scope")
    with (
        tracer.start_as_current_span("outer"),
        tracer.start_as_current_span("inner", kind=SpanKind.CLIENT) as span,
    ):
        span.set_attributes({"text": "a", "number": 2, "list": ["x", "y"]})
    spans = otlp.wait_for(lambda receiver: receiver.spans("outer") and receiver.spans())
    provider.shutdown()

    inner, outer = spans
    assert (inner.name, inner.kind, inner.scope) == ("inner", "CLIENT", "scope")
    assert inner.parent_span_id == outer.span_id
    assert inner.attributes == {"text": "a", "number": 2, "list": ["x", "y"]}
    assert inner.resource["service.name"] == "tested"
    assert outer.start_ns <= inner.start_ns <= inner.end_ns <= outer.end_ns


@pytest.mark.parametrize("protocol", METRIC_EXPORTERS)
def test_metrics_are_kept(otlp: OtlpReceiver, protocol: str) -> None:
    reader = PeriodicExportingMetricReader(METRIC_EXPORTERS[protocol](otlp))
    provider = MeterProvider([reader])
    provider.get_meter("scope").create_counter("things", unit="{thing}").add(3, {"kind": "good"})
    provider.shutdown()

    (metric,) = otlp.wait_for(lambda receiver: receiver.metrics("things"))
    assert (metric.unit, metric.type, metric.scope) == ("{thing}", "sum", "scope")
    assert [point.as_int for point in metric.points] == [3]


def test_a_hanging_receiver_answers_once_healed(otlp: OtlpReceiver) -> None:
    otlp.hang()
    provider = TracerProvider()
    exporter = HttpSpanExporter(endpoint=f"{otlp.http_endpoint}/v1/traces", timeout=0.2)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("scope").start_as_current_span("held"):
        pass
    assert otlp.requests >= 1
    assert otlp.spans() == []
    otlp.heal()
    otlp.wait_for(lambda receiver: receiver.spans("held"))
    provider.shutdown()


def test_a_failing_receiver_keeps_nothing(otlp: OtlpReceiver) -> None:
    otlp.fail()
    provider = TracerProvider()
    exporter = GrpcSpanExporter(endpoint=otlp.grpc_endpoint, insecure=True, timeout=0.2)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("scope").start_as_current_span("lost"):
        pass
    provider.shutdown()
    assert otlp.requests >= 1
    assert otlp.spans() == []


def test_waiting_for_what_never_comes_says_what_there_is(otlp: OtlpReceiver) -> None:
    with pytest.raises(AssertionError, match=r"not within 0.05 s; spans: "):
        otlp.wait_for(lambda receiver: receiver.spans("never"), timeout=0.05)
