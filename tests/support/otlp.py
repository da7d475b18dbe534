"""An OTLP receiver, over gRPC and HTTP, that keeps the traces, metrics and log records it gets."""

import contextlib
import gzip
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, TypeVar

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import (
    metrics_service_pb2,
    metrics_service_pb2_grpc,
)
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

T = TypeVar("T")


@dataclass(frozen=True)
class ReceivedSpan:
    """A span with its attributes as plain values; `raw` has all of it."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_span_id: str
    attributes: dict[str, Any]
    status: str
    resource: dict[str, Any]
    scope: str
    start_ns: int
    end_ns: int
    raw: Span


@dataclass(frozen=True)
class ReceivedMetric:
    """A metric as one export carried it; `raw` has its data points."""

    name: str
    unit: str
    type: str
    resource: dict[str, Any]
    scope: str
    raw: Metric

    @property
    def points(self) -> list[Any]:
        return list(getattr(self.raw, self.type).data_points)


@dataclass(frozen=True)
class ReceivedLog:
    """A log record with its attributes and body as plain values; `raw` has all of it."""

    event: str
    body: Any
    attributes: dict[str, Any]
    trace_id: str
    resource: dict[str, Any]
    raw: LogRecord


class OtlpReceiver:
    """Listens on two free ports of 127.0.0.1 from its making until `close()`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._spans: list[ReceivedSpan] = []
        self._metrics: list[ReceivedMetric] = []
        self._logs: list[ReceivedLog] = []
        self._requests = 0
        self._answering = threading.Event()
        self._answering.set()
        self._failing = False
        self._grpc = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(_Traces(self), self._grpc)
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(_Metrics(self), self._grpc)
        logs_service_pb2_grpc.add_LogsServiceServicer_to_server(_Logs(self), self._grpc)
        self.grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")
        self._grpc.start()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.http_port = int(self._http.server_address[1])
        self._http_thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._http_thread.start()

    @property
    def grpc_endpoint(self) -> str:
        return f"http://127.0.0.1:{self.grpc_port}"

    @property
    def http_endpoint(self) -> str:
        """The base: exporters add /v1/traces, /v1/metrics and /v1/logs."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def requests(self) -> int:
        """How many exports have come, answered or not."""
        return self._requests

    def spans(self, name: str | None = None) -> list[ReceivedSpan]:
        with self._changed:
            return [span for span in self._spans if name in (None, span.name)]

    def metrics(self, name: str | None = None) -> list[ReceivedMetric]:
        with self._changed:
            return [metric for metric in self._metrics if name in (None, metric.name)]

    def logs(self, event: str | None = None) -> list[ReceivedLog]:
        with self._changed:
            return [log for log in self._logs if event in (None, log.event)]

    def wait_for(self, predicate: Callable[[Self], T], timeout: float = 5.0) -> T:
        """The predicate's first true answer, asked after every export. Blocks its thread."""
        found: list[T] = []

        def ask() -> bool:
            answer = predicate(self)
            if answer:
                found.append(answer)
            return bool(answer)

        with self._changed:
            if not self._changed.wait_for(ask, timeout):
                raise AssertionError(
                    f"not within {timeout} s; spans: {[span.name for span in self._spans]}, "
                    f"metrics: {sorted({metric.name for metric in self._metrics})}"
                )
        return found[0]

    def clear(self) -> None:
        with self._changed:
            self._spans.clear()
            self._metrics.clear()
            self._logs.clear()

    def hang(self) -> None:
        """Take requests and do not answer until `heal()`."""
        self._answering.clear()

    def fail(self) -> None:
        """Answer UNAVAILABLE or 503, and keep nothing."""
        self._failing = True

    def heal(self) -> None:
        self._failing = False
        self._answering.set()

    def close(self) -> None:
        self.heal()
        self._http.shutdown()
        self._http_thread.join()
        self._http.server_close()
        self._grpc.stop(None).wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def admit(self) -> bool:
        """Count an export; hold it up or turn it away (False) as the receiver has been told."""
        with self._changed:
            self._requests += 1
        self._answering.wait()
        return not self._failing

    def keep_traces(self, request: trace_service_pb2.ExportTraceServiceRequest) -> None:
        spans = [
            ReceivedSpan(
                name=span.name,
                kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                trace_id=span.trace_id.hex(),
                span_id=span.span_id.hex(),
                parent_span_id=span.parent_span_id.hex(),
                attributes=_plain(span.attributes),
                status=type(span.status)
                .StatusCode.Name(span.status.code)
                .removeprefix("STATUS_CODE_"),
                resource=_plain(batch.resource.attributes),
                scope=scoped.scope.name,
                start_ns=span.start_time_unix_nano,
                end_ns=span.end_time_unix_nano,
                raw=span,
            )
            for batch in request.resource_spans
            for scoped in batch.scope_spans
            for span in scoped.spans
        ]
        with self._changed:
            self._spans += spans
            self._changed.notify_all()

    def keep_metrics(self, request: metrics_service_pb2.ExportMetricsServiceRequest) -> None:
        metrics = [
            ReceivedMetric(
                name=metric.name,
                unit=metric.unit,
                type=str(metric.WhichOneof("data")),
                resource=_plain(batch.resource.attributes),
                scope=scoped.scope.name,
                raw=metric,
            )
            for batch in request.resource_metrics
            for scoped in batch.scope_metrics
            for metric in scoped.metrics
        ]
        with self._changed:
            self._metrics += metrics
            self._changed.notify_all()

    def keep_logs(self, request: logs_service_pb2.ExportLogsServiceRequest) -> None:
        logs = [
            ReceivedLog(
                event=log.event_name,
                body=_value(log.body),
                attributes=_plain(log.attributes),
                trace_id=log.trace_id.hex(),
                resource=_plain(batch.resource.attributes),
                raw=log,
            )
            for batch in request.resource_logs
            for scoped in batch.scope_logs
            for log in scoped.log_records
        ]
        with self._changed:
            self._logs += logs
            self._changed.notify_all()


class _Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, receiver: OtlpReceiver) -> None:
        self._receiver = receiver

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        if not self._receiver.admit():
            context.abort(grpc.StatusCode.UNAVAILABLE, "the receiver was told to fail")
        self._receiver.keep_traces(request)
        return trace_service_pb2.ExportTraceServiceResponse()


class _Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def __init__(self, receiver: OtlpReceiver) -> None:
        self._receiver = receiver

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        if not self._receiver.admit():
            context.abort(grpc.StatusCode.UNAVAILABLE, "the receiver was told to fail")
        self._receiver.keep_metrics(request)
        return metrics_service_pb2.ExportMetricsServiceResponse()


class _Logs(logs_service_pb2_grpc.LogsServiceServicer):
    def __init__(self, receiver: OtlpReceiver) -> None:
        self._receiver = receiver

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        if not self._receiver.admit():
            context.abort(grpc.StatusCode.UNAVAILABLE, "the receiver was told to fail")
        self._receiver.keep_logs(request)
        return logs_service_pb2.ExportLogsServiceResponse()


def _handler(receiver: OtlpReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if not receiver.admit():
                self._answer(503, b"")
            elif self.path == "/v1/traces":
                receiver.keep_traces(trace_service_pb2.ExportTraceServiceRequest.FromString(body))
                self._answer(200, b"")
            elif self.path == "/v1/metrics":
                receiver.keep_metrics(
                    metrics_service_pb2.ExportMetricsServiceRequest.FromString(body)
                )
                self._answer(200, b"")
            elif self.path == "/v1/logs":
                receiver.keep_logs(logs_service_pb2.ExportLogsServiceRequest.FromString(body))
                self._answer(200, b"")
            else:
                self._answer(404, b"")

        def _answer(self, status: int, body: bytes) -> None:
            # An exporter that was kept hanging may have gone by now.
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _plain(attributes: Any) -> dict[str, Any]:
    pairs: list[KeyValue] = list(attributes)
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _plain(value.kvlist_value.values)
    return getattr(value, kind)
