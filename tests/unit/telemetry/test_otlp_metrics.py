"""Sending metrics that the SDK did not measure."""

import asyncio

import pytest
from opentelemetry.sdk.metrics.export import MetricsData

from dbopsd.config import TelemetryConfig
from dbopsd.telemetry.otlp_metrics import MetricsSender, metric_exporter
from dbopsd.telemetry.setup import start_telemetry

NOTHING = MetricsData([])


def sender(otlp, *, timeout_s: float) -> MetricsSender:
    config = TelemetryConfig(otlp_endpoint=otlp.grpc_endpoint, otlp_timeout_s=timeout_s)
    return MetricsSender(metric_exporter(config, otlp.grpc_endpoint, {}), timeout_s)


async def test_it_says_whether_the_collector_took_them(otlp):
    made = sender(otlp, timeout_s=1)
    assert await made.send(NOTHING)
    otlp.fail()
    assert not await made.send(NOTHING)
    otlp.heal()
    assert await made.send(NOTHING)
    made.close()


async def test_one_is_sent_at_a_time_and_the_next_waits_for_it(otlp):
    made = sender(otlp, timeout_s=20)
    otlp.hang()
    first = asyncio.create_task(made.send(NOTHING))
    async with asyncio.timeout(10):
        while not otlp.requests:
            await asyncio.sleep(0.01)
    second = asyncio.create_task(made.send(NOTHING))
    await asyncio.sleep(0.1)
    assert otlp.requests == 1
    otlp.heal()
    assert await asyncio.gather(first, second) == [True, True]
    made.close()


@pytest.mark.parametrize("endpoint", [None, "http://127.0.0.1:1"])
async def test_there_is_one_where_there_is_a_collector(endpoint):
    telemetry = start_telemetry(TelemetryConfig(otlp_endpoint=endpoint), version="1")
    assert (telemetry.new_metrics_sender is None) == (endpoint is None)
    await telemetry.shutdown(0.1)


@pytest.mark.parametrize(("temporality", "number"), [("cumulative", 2), ("delta", 1)])
async def test_the_daemons_own_metrics_have_the_temporality_too(otlp, temporality, number):
    config = TelemetryConfig(
        otlp_endpoint=otlp.grpc_endpoint, otlp_temporality=temporality, metrics_interval_s=3600
    )
    telemetry = start_telemetry(config, version="1")
    telemetry.meter.create_counter("counter").add(1)
    telemetry.meter.create_histogram("histogram").record(1)
    telemetry.meter.create_up_down_counter("updown").add(1)
    await telemetry.shutdown(5)
    (counter,), (histogram,), (updown,) = map(otlp.metrics, ("counter", "histogram", "updown"))
    assert counter.raw.sum.aggregation_temporality == number
    assert histogram.raw.histogram.aggregation_temporality == number
    # What falls again has no growth to send.
    assert updown.raw.sum.aggregation_temporality == 2
