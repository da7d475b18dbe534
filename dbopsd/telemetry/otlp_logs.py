"""Log records over OTLP: for records that must be kept elsewhere too, not for the daemon's log."""

from collections.abc import Mapping

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.resources import Resource

from dbopsd.config import TelemetryConfig


def start_logs(
    config: TelemetryConfig, endpoint: str, headers: Mapping[str, str], resource: Resource
) -> tuple[LoggerProvider, LogRecordExporter]:
    """A provider whose loggers export to `endpoint`, in the background, and its exporter.

    `shutdown` of the first sends what is left, and may hang with the collector; `shutdown` of the
    second makes it give up.
    """
    exporter = _exporter(config, endpoint, headers)
    # Its own exit handler waits up to 30 s for a collector that is away.
    provider = LoggerProvider(resource, shutdown_on_exit=False, meter_provider=NoOpMeterProvider())
    provider.add_log_record_processor(
        BatchLogRecordProcessor(exporter, meter_provider=NoOpMeterProvider())
    )
    return provider, exporter


def _exporter(
    config: TelemetryConfig, endpoint: str, headers: Mapping[str, str]
) -> LogRecordExporter:
    """The OTLP exporter, imported here as the others are, with the same care for its arguments."""
    if config.otlp_protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import (  # noqa: PLC0415
            OTLPLogExporter,
        )

        return OTLPLogExporter(
            endpoint=endpoint,
            insecure=endpoint.startswith("http://"),
            headers=dict(headers),
            timeout=config.otlp_timeout_s,
        )
    from opentelemetry.exporter.otlp.proto.http._log_exporter import (  # noqa: PLC0415
        OTLPLogExporter as HttpLogExporter,
    )

    return HttpLogExporter(
        endpoint=f"{endpoint.rstrip('/')}/v1/logs",
        headers=dict(headers),
        timeout=config.otlp_timeout_s,
    )
