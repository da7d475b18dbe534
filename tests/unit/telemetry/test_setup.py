"""Starting and stopping telemetry, with collectors that work, hang, fail and are not there."""

import asyncio
import logging
import os
import socket
import threading
import time
from contextlib import contextmanager

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link

from dbopsd.config import TelemetryConfig
from dbopsd.telemetry.exporter_log_filter import ExporterLogFilter
from dbopsd.telemetry.setup import start_telemetry
from tests.support.otlp import OtlpReceiver


# pytest's caplog listens on loggers that do not propagate too: what reaches the root is ours.
def lines(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if not r.name.startswith("opentelemetry")]


PROTOCOLS = ("grpc", "http/protobuf")


def config(endpoint: str, protocol: str, **keys) -> TelemetryConfig:
    return TelemetryConfig(
        otlp_endpoint=endpoint, otlp_protocol=protocol, metrics_interval_s=3600, **keys
    )


def endpoint(otlp, protocol: str) -> str:
    return otlp.grpc_endpoint if protocol == "grpc" else otlp.http_endpoint


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_spans_and_metrics_arrive_with_their_resource(otlp, protocol):
    telemetry = start_telemetry(
        config(
            endpoint(otlp, protocol),
            protocol,
            service_name="mine",
            resource_attributes={"deployment.environment.name": "test", "service.name": "other"},
            # gRPC refuses upper case in a header's name, at every export.
            otlp_headers={"X-Api-Key": "k"},
        ),
        version="1.2.3",
    )
    telemetry.tracer.start_span("one").end()
    telemetry.meter.create_counter("count").add(1)
    await telemetry.shutdown(5)
    (span,) = otlp.spans("one")
    (metric,) = otlp.metrics("count")
    for resource in (span.resource, metric.resource):
        assert resource["service.name"] == "mine"
        assert resource["service.version"] == "1.2.3"
        assert resource["deployment.environment.name"] == "test"
        assert resource["process.pid"] == os.getpid()
        assert resource["host.name"] == socket.gethostname()
        assert len(resource["service.instance.id"]) == 36


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_base_url_may_end_with_a_slash(otlp, protocol):
    telemetry = start_telemetry(config(endpoint(otlp, protocol) + "/", protocol), version="1")
    telemetry.tracer.start_span("one").end()
    await telemetry.shutdown(5)
    assert otlp.spans("one")


@contextmanager
def black_hole():
    """A port that takes connections and says nothing, ever."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def nobody():
    """A port on which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


@pytest.mark.parametrize("collector", [black_hole, nobody])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_shutdown_gives_up_in_time_and_blocks_nobody(collector, protocol, caplog):
    threads = set(threading.enumerate())
    with collector() as url:
        telemetry = start_telemetry(config(url, protocol, otlp_timeout_s=30), version="1")
        for _ in range(3000):  # more than the queue holds
            telemetry.tracer.start_span("one").end()
        telemetry.meter.create_counter("count").add(1)
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        started = time.monotonic()
        await telemetry.shutdown(0.5)
        assert time.monotonic() - started < 1.0
        ticking.cancel()
        assert ticks > 10
        # What still waits must not keep the process from ending.
        assert all(thread.daemon for thread in set(threading.enumerate()) - threads)
    async with asyncio.timeout(10):
        while {t for t in threading.enumerate() if t.is_alive()} - threads:
            await asyncio.sleep(0.02)
    # Threads that were given up on went on complaining, and were not heard.
    assert len([line for line in lines(caplog) if "gave up" in line]) == 1
    assert len(lines(caplog)) <= 2, lines(caplog)


@pytest.mark.parametrize("trouble", [OtlpReceiver.hang, OtlpReceiver.fail])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_collector_in_trouble_slows_and_breaks_nothing(otlp, protocol, trouble, caplog):
    trouble(otlp)
    tried_for_s = 60.0
    settings = config(endpoint(otlp, protocol), protocol, otlp_timeout_s=tried_for_s)
    telemetry = start_telemetry(settings, version="1")
    started = time.monotonic()
    for _ in range(5000):  # more than the queue holds
        telemetry.tracer.start_span("one").end()
    # Whoever waited for one export would have waited for all of this.
    assert time.monotonic() - started < tried_for_s
    await telemetry.shutdown(0.3)
    if trouble is OtlpReceiver.fail:
        assert len([line for line in lines(caplog) if "not exported" in line]) == 1


async def test_shutting_down_twice_is_fine(otlp):
    telemetry = start_telemetry(config(otlp.grpc_endpoint, "grpc"), version="1")
    await telemetry.shutdown(5)
    await telemetry.shutdown(5)


class TestWithoutEndpoint:
    async def test_ids_are_valid_and_nothing_is_recorded(self):
        telemetry = start_telemetry(TelemetryConfig(), version="1")
        with telemetry.tracer.start_as_current_span("one") as outer:
            inner = telemetry.tracer.start_span("two")
        assert outer.get_span_context().is_valid
        assert inner.get_span_context().trace_id == outer.get_span_context().trace_id
        assert not outer.is_recording()
        telemetry.meter.create_histogram("h").record(1)
        await telemetry.shutdown(1)

    async def test_no_thread_is_started(self):
        before = set(threading.enumerate())
        start_telemetry(TelemetryConfig(), version="1")
        assert set(threading.enumerate()) == before


async def test_nothing_is_global():
    before = trace.get_tracer_provider()
    start_telemetry(
        TelemetryConfig(),
        version="1",
        span_processors=[SimpleSpanProcessor(InMemorySpanExporter())],
    )
    assert trace.get_tracer_provider() is before


class TestSampling:
    def started(self, ratio: float):
        spans = InMemorySpanExporter()
        telemetry = start_telemetry(
            TelemetryConfig(sample_ratio=ratio),
            version="1",
            span_processors=[SimpleSpanProcessor(spans)],
        )
        return telemetry.tracer, spans

    @pytest.mark.parametrize(
        ("ratio", "least", "most"), [(0, 0, 0), (0.5, 300, 700), (1, 1000, 1000)]
    )
    def test_the_ratio_is_of_new_traces(self, ratio, least, most):
        tracer, spans = self.started(ratio)
        for _ in range(1000):
            tracer.start_span("one").end()
        assert least <= len(spans.get_finished_spans()) <= most

    def test_a_linked_root_is_kept_with_what_it_links_to(self):
        tracer, spans = self.started(0.5)
        for _ in range(200):
            first = tracer.start_span("first")
            first.end()
            tracer.start_span("end", links=[Link(first.get_span_context())]).end()
        names = [span.name for span in spans.get_finished_spans()]
        assert names.count("first") == names.count("end")
        assert 0 < names.count("end") < 200


class TestExportLog:
    @pytest.fixture
    def log(self):
        self.now = 100.0
        handler = ExporterLogFilter(interval_s=60, clock=lambda: self.now)
        handler.install()
        yield logging.getLogger("opentelemetry.sdk.somewhere")
        handler.remove()

    def test_one_line_a_minute_that_counts_the_rest(self, log, caplog):
        for number in range(10):
            log.error("failure %d", number)
        self.now += 59
        log.error("still")
        assert lines(caplog) == ["telemetry is not exported: failure 0"]
        self.now += 1
        log.error("again")
        assert lines(caplog)[1:] == [
            "telemetry is not exported: again (10 more such lines since the last)"
        ]

    def test_a_second_one_takes_the_place_of_the_first(self, log, caplog):
        second = ExporterLogFilter(clock=lambda: self.now)
        second.install()
        log.error("failure")
        second.remove()
        assert lines(caplog) == ["telemetry is not exported: failure"]
        assert logging.getLogger("opentelemetry").propagate
