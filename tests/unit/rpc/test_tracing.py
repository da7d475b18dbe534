"""Spans and measurements of calls."""

import asyncio

import grpc
import grpc.aio
import pytest
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from dbopsd.errors import ShuttingDown
from dbopsd.health.report import State
from dbopsd.rpc.tracing import STREAM_DURATION_S, STREAM_MESSAGES
from tests.unit.rpc.answers import durations
from tests.unit.rpc.boards import report
from tests.unit.rpc.probe import ProbeText

ASK, TELL = "/dbops.v1.ProbeService/Ask", "/dbops.v1.ProbeService/Tell"
METRIC = "rpc.server.call.duration"
TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


async def failed(call):
    with pytest.raises(grpc.aio.AioRpcError):
        await call


async def test_a_call_has_a_server_span_with_the_conventions_names(channel, kept):
    await channel.unary_unary(ASK)(b"")
    (span,) = await kept.finished()
    assert (span.name, span.kind) == ("dbops.v1.ProbeService/Ask", SpanKind.SERVER)
    assert dict(span.attributes) == {
        "rpc.system.name": "grpc",
        "rpc.method": "dbops.v1.ProbeService/Ask",
        "rpc.response.status_code": "OK",
    }
    assert span.status.status_code is StatusCode.UNSET
    assert span.parent is None


async def test_the_callers_trace_goes_on(channel, kept, probe):
    within = []

    async def look(request, context):
        within.append(get_current_span().get_span_context())
        return ProbeText()

    probe.ask = look
    metadata = (
        ("traceparent", f"00-{TRACE_ID}-{PARENT_ID}-01"),
        ("tracestate", "vendor=1"),
    )
    await channel.unary_unary(ASK)(b"", metadata=metadata)
    (span,) = await kept.finished()
    assert f"{span.context.trace_id:032x}" == TRACE_ID
    assert f"{span.parent.span_id:016x}" == PARENT_ID
    assert span.context.trace_state.get("vendor") == "1"
    # What the servicer does becomes a child.
    assert within == [span.context]


async def test_a_caller_that_does_not_sample_is_followed(channel, kept, probe):
    within = []

    async def look(request, context):
        within.append(get_current_span().get_span_context())
        return ProbeText()

    probe.ask = look
    await channel.unary_unary(ASK)(
        b"", metadata=(("traceparent", f"00-{TRACE_ID}-{PARENT_ID}-00"),)
    )
    assert f"{within[0].trace_id:032x}" == TRACE_ID
    assert kept.spans.get_finished_spans() == ()


@pytest.mark.parametrize("header", ["", "garbage", "00-" + "0" * 32 + f"-{PARENT_ID}-01"])
async def test_a_bad_traceparent_starts_a_new_trace(channel, kept, header):
    await channel.unary_unary(ASK)(b"", metadata=(("traceparent", header),))
    (span,) = await kept.finished()
    assert span.parent is None


async def test_one_call_does_not_leak_its_context_into_the_next(channel, kept):
    metadata = (("traceparent", f"00-{TRACE_ID}-{PARENT_ID}-01"),)
    await channel.unary_unary(ASK)(b"", metadata=metadata)
    await channel.unary_unary(ASK)(b"")
    _, second = await kept.finished(2)
    assert second.parent is None
    assert f"{second.context.trace_id:032x}" != TRACE_ID


@pytest.mark.parametrize(
    ("error", "code"), [(RuntimeError("x"), "INTERNAL"), (ShuttingDown(), "UNAVAILABLE")]
)
async def test_a_server_fault_is_an_error(channel, kept, probe, error, code):
    async def fail(request, context):
        raise error

    probe.ask = fail
    await failed(channel.unary_unary(ASK)(b""))
    (span,) = await kept.finished()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["rpc.response.status_code"] == span.attributes["error.type"] == code
    ((attributes, count),) = durations(kept.metrics, METRIC)
    assert (attributes["rpc.response.status_code"], attributes["error.type"], count) == (
        code,
        code,
        1,
    )


async def test_a_callers_mistake_is_none(channel, kept):
    await failed(channel.unary_unary("/dbops.v1.HealthService/GetHealth")(b""))
    (span,) = await kept.finished()
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes["rpc.response.status_code"] == "INVALID_ARGUMENT"
    assert "error.type" not in span.attributes


@pytest.mark.parametrize(("timeout", "code"), [(0.1, "DEADLINE_EXCEEDED"), (None, "CANCELLED")])
async def test_a_call_that_is_given_up_ends_its_span(channel, kept, probe, timeout, code):
    begun = asyncio.Event()

    async def forever(request, context):
        begun.set()
        await asyncio.Event().wait()

    probe.ask = forever
    call = channel.unary_unary(ASK)(b"", timeout=timeout)
    await begun.wait()
    if timeout is None:
        call.cancel()
    (span,) = await kept.finished()
    assert span.attributes["rpc.response.status_code"] == code


async def test_calls_are_counted_by_method_and_code(channel, kept):
    for _ in range(3):
        await channel.unary_unary(ASK)(b"")
    await failed(channel.unary_unary(ASK)(b"\xff"))
    for name in ("/a.B/C", "/d.E/F"):
        await failed(channel.unary_unary(name)(b""))
    await kept.finished(6)
    series = {
        (attributes["rpc.method"], attributes["rpc.response.status_code"]): count
        for attributes, count in durations(kept.metrics, METRIC)
    }
    assert series == {
        ("dbops.v1.ProbeService/Ask", "OK"): 3,
        ("dbops.v1.ProbeService/Ask", "INVALID_ARGUMENT"): 1,
        ("_OTHER", "UNIMPLEMENTED"): 2,
    }


async def test_an_unknown_method_keeps_its_name_in_the_span_only(channel, kept):
    await failed(channel.unary_unary("/a.B/C")(b""))
    (span,) = await kept.finished()
    assert span.name == "grpc"
    assert span.attributes["rpc.method"] == "_OTHER"
    assert span.attributes["rpc.method_original"] == "a.B/C"


class TestStreams:
    async def test_a_watchs_span_ends_with_its_first_answer(self, channel, kept, databases):
        request = b"\x0a\x0edatabases/main"
        watch = channel.unary_stream("/dbops.v1.HealthService/WatchHealth")(request)
        await watch.read()
        (first,) = await kept.finished()
        assert first.kind is SpanKind.SERVER
        assert first.end_time is not None
        databases.publish(report("main", State.DEGRADED))
        await watch.read()
        assert len(kept.spans.get_finished_spans()) == 1
        assert durations(kept.metrics, METRIC) == []  # the call goes on

        watch.cancel()
        _, last = await kept.finished(2)
        assert last.name == "dbops.v1.HealthService/WatchHealth end"
        assert last.kind is SpanKind.INTERNAL
        assert [link.context for link in last.links] == [first.context]
        assert last.context.trace_id != first.context.trace_id
        assert last.attributes["rpc.response.status_code"] == "CANCELLED"
        assert last.attributes[STREAM_MESSAGES] == 2
        assert 0 < last.attributes[STREAM_DURATION_S] < 5
        assert last.end_time - last.start_time < 50_000_000
        ((attributes, count),) = durations(kept.metrics, METRIC)
        assert (attributes["rpc.response.status_code"], count) == ("CANCELLED", 1)

    async def test_one_that_ends_without_a_message_has_one_span(self, channel, kept):
        assert [reply async for reply in channel.unary_stream(TELL)(b"")] == []
        (span,) = await kept.finished()
        assert span.attributes["rpc.response.status_code"] == "OK"

    async def test_one_that_fails_later_says_so_at_its_end(self, channel, kept, probe):
        async def crash(request, context):
            yield ProbeText()
            raise ShuttingDown

        probe.tell = crash
        call = channel.unary_stream(TELL)(b"")
        await call.read()
        await failed(call.read())
        first, last = await kept.finished(2)
        assert first.status.status_code is StatusCode.UNSET
        assert last.status.status_code is StatusCode.ERROR
        assert last.attributes["error.type"] == "UNAVAILABLE"

    async def test_a_generator_is_closed_when_its_reader_leaves(self, channel, probe):
        closed = asyncio.Event()

        async def endless(request, context):
            try:
                while True:
                    yield ProbeText(text="x" * 100_000)
            finally:
                closed.set()

        probe.tell = endless
        call = channel.unary_stream(TELL)(b"")
        await call.read()
        await asyncio.sleep(0.05)  # until flow control holds the writer up, at a yield
        call.cancel()
        await asyncio.wait_for(closed.wait(), 2)


async def test_a_health_check_that_nobodys_trace_asks_for_leaves_a_span_only_if_it_fails(
    channel, kept
):
    check = "/grpc.health.v1.Health/Check"
    known, unknown = b"", b"\n\x06nosuch"
    for _ in range(3):
        await channel.unary_unary(check)(known)
    await failed(channel.unary_unary(check)(unknown))
    await channel.unary_unary(check)(
        known, metadata=(("traceparent", f"00-{TRACE_ID}-{PARENT_ID}-01"),)
    )
    refused, asked_for = await kept.finished(2)
    assert refused.attributes["rpc.response.status_code"] == "NOT_FOUND"
    assert refused.end_time > refused.start_time
    assert f"{asked_for.context.trace_id:032x}" == TRACE_ID
    # Measured they are all.
    counts = {
        attributes["rpc.response.status_code"]: count
        for attributes, count in durations(kept.metrics, METRIC)
    }
    assert counts == {"OK": 4, "NOT_FOUND": 1}
