"""The two shapes of a call between the interceptors, whatever the shape of its request.

grpc.aio hands a servicer's async generator back half-read when its call is cancelled while a
response is being written, and leaves closing it to the garbage collector. So a streamed response
is pumped here, by a coroutine that closes the generator before the call ends.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

from google.protobuf.message import DecodeError

from dbopsd.errors import MalformedRequest, MethodWithoutRole
from dbopsd.rpc.methods import Method

Send = Callable[[Any], Awaitable[None]]
UnaryCall = Callable[[Any, Any], Awaitable[Any]]
StreamCall = Callable[[Any, Any, Send], Awaitable[None]]
Check = Callable[[Any], None]

_MALFORMED: Final = object()


def decoder(handler: Any) -> Callable[[bytes], Any]:
    """The handler's decoder, with a mark in place of an exception, which grpc.aio answers UNKNOWN.

    What `checked` makes turns the mark into an answer.
    """
    decode = handler.request_deserializer
    if decode is None:
        return lambda raw: raw

    def decode_or_mark(raw: bytes) -> Any:
        try:
            return decode(raw)
        except DecodeError:
            return _MALFORMED

    return decode_or_mark


def checked(method: Method, validate: Check | None) -> Check:
    """Everything that is looked at before a servicer sees a request; raises a DbopsError."""
    if method.refused:

        def refuse(_: Any) -> None:
            raise MethodWithoutRole(method.full_name)

        return refuse

    if validate is None:

        def check_bytes(request: Any) -> None:
            if request is _MALFORMED:
                raise MalformedRequest(method.full_name)

        return check_bytes

    def check(request: Any) -> None:
        if request is _MALFORMED:
            raise MalformedRequest(method.full_name)
        validate(request)

    return check


def unary_call(handler: Any, check: Check) -> UnaryCall:
    """The servicer's method, which returns its response, behind `check`."""
    if handler.request_streaming:
        behaviour = handler.stream_unary

        async def call_with_stream(requests: AsyncIterator[Any], context: Any) -> Any:
            return await behaviour(_each_checked(requests, check), context)

        return call_with_stream

    behaviour = handler.unary_unary

    async def call(request: Any, context: Any) -> Any:
        check(request)
        return await behaviour(request, context)

    return call


def stream_call(handler: Any, check: Check) -> StreamCall:
    """The servicer's async generator, pumped into `send`, behind `check`."""
    if handler.request_streaming:
        behaviour = handler.stream_stream

        async def pump_with_stream(requests: AsyncIterator[Any], context: Any, send: Send) -> None:
            async with aclosing(behaviour(_each_checked(requests, check), context)) as responses:
                async for response in responses:
                    await send(response)

        return pump_with_stream

    behaviour = handler.unary_stream

    async def pump(request: Any, context: Any, send: Send) -> None:
        check(request)
        async with aclosing(behaviour(request, context)) as responses:
            async for response in responses:
                await send(response)

    return pump


async def _each_checked(requests: AsyncIterator[Any], check: Check) -> AsyncIterator[Any]:
    async for request in requests:
        check(request)
        yield request
