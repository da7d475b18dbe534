"""Metrics over OTLP: the exporter, and a sender of metrics that were not measured by the SDK."""

import asyncio
import threading
from collections.abc import Mapping
from typing import Final

from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)

from dbopsd.config import TelemetryConfig

# Over the exporter's own timeout, within which it retries.
_GRACE_S: Final = 5.0
# What only falls or rises with time is cumulative in either way, as the SDKs' own setting has it.
_DELTA: Final[dict[type, AggregationTemporality]] = dict.fromkeys(
    (Counter, ObservableCounter, Histogram), AggregationTemporality.DELTA
)


def metric_exporter(
    config: TelemetryConfig, endpoint: str, headers: Mapping[str, str]
) -> MetricExporter:
    """The OTLP exporter. Imported here: it takes time and memory that few set-ups need."""
    temporality = _DELTA if config.otlp_temporality == "delta" else None
    if config.otlp_protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (  # noqa: PLC0415
            OTLPMetricExporter,
        )

        return OTLPMetricExporter(
            endpoint=endpoint,
            # Said outright, or OTEL_EXPORTER_OTLP_INSECURE would decide.
            insecure=endpoint.startswith("http://"),
            headers=dict(headers),
            timeout=config.otlp_timeout_s,
            preferred_temporality=temporality,
        )
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415
        OTLPMetricExporter as HttpMetricExporter,
    )

    return HttpMetricExporter(
        endpoint=f"{endpoint.rstrip('/')}/v1/metrics",
        headers=dict(headers),
        timeout=config.otlp_timeout_s,
        preferred_temporality=temporality,
    )


class MetricsSender:
    """Sends metrics with `exporter`, one request at a time, in a thread of its own.

    `timeout_s` is the exporter's, within which it retries. Nothing waits for the thread at the end
    of the process: a collector may hang for longer.
    """

    def __init__(self, exporter: MetricExporter, timeout_s: float) -> None:
        self._exporter = exporter
        self._timeout_s = timeout_s
        self._running: asyncio.Future[bool] | None = None

    async def send(self, data: MetricsData) -> bool:
        """Whether the collector took it in time. An earlier one that still runs is waited for."""
        within_s = self._timeout_s + _GRACE_S
        if self._running is not None:
            _, busy = await asyncio.wait({self._running}, timeout=within_s)
            if busy:
                return False
        self._running = self._start(data)
        done, _ = await asyncio.wait({self._running}, timeout=within_s)
        return bool(done) and self._running.result()

    def close(self) -> None:
        """Make the exporter give up, without waiting for it."""
        threading.Thread(
            target=self._exporter.shutdown, name="dbopsd-metrics-close", daemon=True
        ).start()

    def _start(self, data: MetricsData) -> asyncio.Future[bool]:
        loop = asyncio.get_running_loop()
        taken: asyncio.Future[bool] = loop.create_future()

        def finish(result: bool) -> None:
            if not taken.done():
                taken.set_result(result)

        def run() -> None:
            result = self._exporter.export(data, timeout_millis=self._timeout_s * 1000)
            try:
                loop.call_soon_threadsafe(finish, result is MetricExportResult.SUCCESS)
            except RuntimeError:
                # The event loop is closed: nobody waited this long.
                return

        threading.Thread(target=run, name="dbopsd-metrics-send", daemon=True).start()
        return taken
