"""Starting and stopping OpenTelemetry: the providers, their exporters, and the end of them.

Nothing is set globally: whoever makes spans or measures is handed the tracer and the meter.
"""

import asyncio
import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from opentelemetry._logs import Logger
from opentelemetry.metrics import Meter, MeterProvider, NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider as SdkMeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Tracer

from dbopsd.config import TelemetryConfig
from dbopsd.telemetry.exporter_log_filter import ExporterLogFilter
from dbopsd.telemetry.otlp_logs import start_logs
from dbopsd.telemetry.otlp_metrics import MetricsSender, metric_exporter
from dbopsd.telemetry.sampling import keep_ratio

_SCOPE = "dbopsd"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Pipeline:
    """Something to flush and close; `abort` makes a `close` that hangs give up soon."""

    close: Callable[[], None]
    abort: Callable[[], object] | None = None


@dataclass
class Telemetry:
    """The tracer and the meter of the daemon, handed down to everybody that uses them."""

    tracer: Tracer
    meter: Meter
    trace_health_checks: bool = True
    logger: Logger | None = None
    """Sends log records over OTLP; None where nothing asked for it, or there is no endpoint."""

    resource: Resource = field(default_factory=Resource.get_empty)
    """What describes this process to the collector."""

    new_metrics_sender: Callable[[], MetricsSender] | None = None
    """Makes a sender of metrics that the meter does not measure; None without an endpoint."""

    _pipelines: Sequence[_Pipeline] = ()
    _export_log: ExporterLogFilter | None = None
    _closed: bool = field(default=False, init=False)

    async def shutdown(self, timeout_s: float) -> None:
        """Send what is left and close the exporters, in at most `timeout_s` seconds.

        Never raises and never blocks the event loop; what a collector does not take in time is
        lost, which one log line says. A second call does nothing.
        """
        if self._closed:
            return
        self._closed = True
        # Side by side: a collector that hangs would use up the time of the second one too.
        closing = [_in_daemon_thread(pipeline.close) for pipeline in self._pipelines]
        if not closing:
            return
        _, pending = await asyncio.wait(closing, timeout=timeout_s)
        if not pending:
            if self._export_log is not None:
                self._export_log.remove()
            return
        # The export log stays: threads that were given up on go on complaining for a while.
        _log.warning(
            "gave up on sending the last telemetry after %g s: the collector does not answer",
            timeout_s,
        )
        for pipeline in self._pipelines:
            if pipeline.abort is not None:
                _in_daemon_thread(pipeline.abort)


def start_telemetry(
    config: TelemetryConfig,
    *,
    version: str,
    span_processors: Sequence[SpanProcessor] = (),
    metric_readers: Sequence[MetricReader] = (),
    logs: bool = False,
) -> Telemetry:
    """Make the tracer and the meter, exporting to `config.otlp_endpoint` if there is one.

    `span_processors` and `metric_readers` come on top: tests, and readers that export nothing.
    With neither an endpoint nor a processor, spans carry valid ids for the log and nothing else
    (measured: 4 µs a span instead of 12 to 24), and likewise nothing is measured without a reader.
    `logs`: make a logger too, for what is to be exported as log records.
    """
    resource = _resource(config, version)
    processors = list(span_processors)
    readers = list(metric_readers)
    aborts: list[Callable[[], object] | None] = [None, None]
    export_log: ExporterLogFilter | None = None
    if config.otlp_endpoint is not None:
        export_log = ExporterLogFilter()
        export_log.install()
        headers = _headers(config)
        span_exporter = _span_exporter(config, config.otlp_endpoint, headers)
        own_metrics = metric_exporter(config, config.otlp_endpoint, headers)
        processors.append(BatchSpanProcessor(span_exporter))
        readers.append(
            PeriodicExportingMetricReader(
                own_metrics,
                export_interval_millis=config.metrics_interval_s * 1000,
                export_timeout_millis=config.otlp_timeout_s * 1000,
            )
        )
        aborts = [span_exporter.shutdown, own_metrics.shutdown]

    # The providers' own exit handlers wait up to 30 s for a collector that is away.
    tracer_provider = TracerProvider(
        sampler=keep_ratio(config.sample_ratio) if processors else ALWAYS_OFF,
        resource=resource,
        shutdown_on_exit=False,
    )
    for processor in processors:
        tracer_provider.add_span_processor(processor)
    pipelines = [_Pipeline(tracer_provider.shutdown, aborts[0])] if processors else []

    meter_provider: MeterProvider = NoOpMeterProvider()
    if readers:
        sdk_meter_provider = SdkMeterProvider(readers, resource=resource, shutdown_on_exit=False)
        pipelines.append(_Pipeline(sdk_meter_provider.shutdown, aborts[1]))
        meter_provider = sdk_meter_provider

    logger: Logger | None = None
    if logs and config.otlp_endpoint is not None:
        logger_provider, log_exporter = start_logs(
            config, config.otlp_endpoint, _headers(config), resource
        )
        pipelines.append(_Pipeline(logger_provider.shutdown, log_exporter.shutdown))
        logger = logger_provider.get_logger(_SCOPE, version)

    return Telemetry(
        tracer=tracer_provider.get_tracer(_SCOPE, version),
        meter=meter_provider.get_meter(_SCOPE, version),
        trace_health_checks=config.trace_health_checks,
        logger=logger,
        resource=resource,
        new_metrics_sender=_sender_factory(config),
        _pipelines=pipelines,
        _export_log=export_log,
    )


def _sender_factory(config: TelemetryConfig) -> Callable[[], MetricsSender] | None:
    endpoint = config.otlp_endpoint
    if endpoint is None:
        return None
    return lambda: MetricsSender(
        metric_exporter(config, endpoint, _headers(config)), config.otlp_timeout_s
    )


class _HashedOnce(Resource):
    """The OTLP encoder asks for the resource's hash at each span.

    The SDK's own dumps every attribute to JSON each time: a fifth of the cost of an export.
    """

    def __init__(self, resource: Resource) -> None:
        super().__init__(resource.attributes, resource.schema_url)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash


def _resource(config: TelemetryConfig, version: str) -> Resource:
    # `Resource.create` lays these over OTEL_RESOURCE_ATTRIBUTES, which Kubernetes operators set.
    merged = Resource.create(
        {
            "host.name": socket.gethostname(),
            "process.pid": os.getpid(),
            "service.instance.id": str(uuid.uuid4()),
            **config.resource_attributes,
            "service.name": config.service_name,
            "service.version": version,
        }
    )
    return _HashedOnce(merged)


def _headers(config: TelemetryConfig) -> dict[str, str]:
    return {name.lower(): value.get_secret_value() for name, value in config.otlp_headers.items()}


def _span_exporter(
    config: TelemetryConfig, endpoint: str, headers: Mapping[str, str]
) -> SpanExporter:
    """The OTLP exporter of spans. Imported here: it takes time and memory that few set-ups need."""
    if config.otlp_protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )

        # `insecure` said outright, or OTEL_EXPORTER_OTLP_INSECURE would decide. gRPC refuses a
        # header name in upper case at every single export; an empty mapping would make the exporter
        # read OTEL_EXPORTER_OTLP_HEADERS, which is as documented.
        return OTLPSpanExporter(
            endpoint=endpoint,
            insecure=endpoint.startswith("http://"),
            headers=dict(headers),
            timeout=config.otlp_timeout_s,
        )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter as HttpSpanExporter,
    )

    return HttpSpanExporter(
        endpoint=f"{endpoint.rstrip('/')}/v1/traces",
        headers=dict(headers),
        timeout=config.otlp_timeout_s,
    )


def _in_daemon_thread(work: Callable[[], object]) -> asyncio.Future[None]:
    """Run `work` in a thread that the end of the process does not wait for, unlike an executor's.

    Its future never fails: what `work` raises is logged.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def finish() -> None:
        if not done.done():
            done.set_result(None)

    def run() -> None:
        try:
            work()
        except Exception:  # noqa: BLE001 - telemetry never breaks the daemon, nor its end
            _log.exception("closing telemetry failed")
        try:
            loop.call_soon_threadsafe(finish)
        except RuntimeError:
            # The event loop is closed: nobody waited this long.
            return

    threading.Thread(target=run, name="dbopsd-telemetry-close", daemon=True).start()
    return done
