"""How errors leave the server."""

import logging

import grpc
import grpc.aio
import pytest
from dbops.v1 import health_pb2

from dbopsd import errors
from dbopsd.rpc import status
from tests.unit.rpc.answers import answer_of, refused
from tests.unit.rpc.probe import ProbeText

ASK = "/dbops.v1.ProbeService/Ask"


async def test_an_unforeseen_error_keeps_its_text_to_the_log(channel, probe, kept, caplog):
    async def crash(request, context):
        raise RuntimeError("the secret is squirrel")

    probe.ask = crash
    answer = await refused(channel.unary_unary(ASK)(b""))
    (span,) = await kept.finished()
    trace_id = f"{span.context.trace_id:032x}"
    assert (answer.code, answer.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert answer.metadata == {"trace_id": trace_id}
    assert trace_id in answer.text
    assert "squirrel" not in answer.text
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert trace_id in record.getMessage()
    assert "the secret is squirrel" in caplog.text


async def test_the_same_after_some_messages_of_a_stream(channel, probe):
    async def crash(request, context):
        yield ProbeText(text="one")
        raise RuntimeError("the secret is squirrel")

    probe.tell = crash
    call = channel.unary_stream("/dbops.v1.ProbeService/Tell")(b"")
    assert ProbeText.FromString(await call.read()).text == "one"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    answer = answer_of(caught.value)
    assert (answer.code, answer.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "squirrel" not in answer.text


@pytest.mark.parametrize(
    ("method", "streams"),
    [
        ("/dbops.v1.HealthService/GetHealth", False),
        ("/dbops.v1.HealthService/WatchHealth", True),
        ("/grpc.health.v1.Health/Check", False),
        ("/grpc.health.v1.Health/Watch", True),
        ("/grpc.channelz.v1.Channelz/GetServer", False),
        ("/dbops.v1.ProbeService/Gather", False),
        ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", True),
    ],
)
async def test_bytes_of_another_type_are_malformed(channel, method, streams):
    call = (channel.unary_stream if streams else channel.unary_unary)(method)(b"\x0a\xff")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (call.read() if streams else call)
    answer = answer_of(caught.value)
    assert (answer.code, answer.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "MALFORMED_REQUEST",
    )


@pytest.mark.parametrize("path", ["/no.Such/Method", "/dbops.v1.HealthService/Nope", "/x"])
async def test_what_is_not_served_says_so(channel, path):
    answer = await refused(channel.unary_unary(path)(b""))
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNIMPLEMENTED, "METHOD_NOT_FOUND")
    assert answer.metadata == {"method": path[1:]}


async def test_a_foreign_servicers_code_gets_its_reason(channel):
    """Channelz sets NOT_FOUND in the context and returns nothing."""
    call = channel.unary_unary("/grpc.channelz.v1.Channelz/GetServer")(b"\x08\x63")
    answer = await refused(call)
    assert (answer.code, answer.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    assert "99" in answer.text


async def test_an_own_method_without_a_role_is_denied(channel):
    answer = await refused(channel.unary_unary("/dbops.v1.ProbeService/NoRole")(b""))
    assert (answer.code, answer.reason) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "METHOD_WITHOUT_ROLE",
    )
    assert answer.metadata == {"method": "dbops.v1.ProbeService/NoRole"}


async def test_a_quoted_request_does_not_burst_the_headers(channel, probe):
    """Clients refuse headers above 8 KiB: the answer would become RESOURCE_EXHAUSTED."""

    async def quote(request, context):
        raise errors.InvalidField("\n€" * 5000, "\x00é" * 5000)

    probe.ask = quote
    answer = await refused(channel.unary_unary(ASK)(b""))
    assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")


async def test_a_request_above_the_limit_is_refused(channel):
    request = health_pb2.GetHealthRequest(name="x" * (5 * 1024 * 1024)).SerializeToString()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary("/dbops.v1.HealthService/GetHealth")(request)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_every_shape_of_call_works(channel):
    one, two = ProbeText(text="one").SerializeToString(), ProbeText(text="two").SerializeToString()

    async def requests():
        yield one
        yield two

    service = "/dbops.v1.ProbeService"
    assert await channel.stream_unary(f"{service}/Gather")(requests()) == (
        ProbeText(text="one two").SerializeToString()
    )
    assert [reply async for reply in channel.stream_stream(f"{service}/Chat")(requests())] == [
        one,
        two,
    ]


class TestCodes:
    def test_a_subclass_has_the_code_of_its_class(self):
        class Gone(errors.DatabaseNotFound):
            pass

        assert status.code_of(Gone("main")) is grpc.StatusCode.NOT_FOUND

    def test_an_error_without_one_is_internal(self):
        class Odd(errors.DbopsError):
            pass

        assert status.code_of(Odd()) is grpc.StatusCode.INTERNAL

    @pytest.mark.parametrize("text", ["", "short", "é" * 1000, "€" * 171, "x" * 512, "x" * 513])
    def test_text_is_clipped_to_bytes(self, text):
        clipped = status.clip(text)
        assert len(clipped.encode()) <= 512
        assert clipped == text or clipped.endswith("…")
