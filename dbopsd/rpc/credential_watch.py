"""End a stream when its credential is no longer valid."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from dbopsd.rpc.call_adapters import Send

_LOOK_EVERY_S: Final = 3.0


async def send_while(
    look: Callable[[], Awaitable[None]], stream: Callable[[Send], Awaitable[None]], send: Send
) -> None:
    """Run `stream` to its end, or until `look`, which is asked every few seconds, raises.

    What `look` raises ends the stream then, also while it has nothing to send.
    """
    streaming = asyncio.current_task()
    assert streaming is not None  # noqa: S101 - grpc.aio runs each call in a task
    refusal: Exception | None = None
    sending = broken_off = False

    async def send_unless_refused(response: Any) -> None:
        nonlocal sending
        sending = True
        try:
            await send(response)
        finally:
            sending = False
        if refusal is not None:
            raise refusal

    async def keep_looking() -> None:
        nonlocal refusal, broken_off
        while refusal is None:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                await look()
            except Exception as exc:  # noqa: BLE001 - raised again, where the stream is
                refusal = exc
        # A response that is half sent would leave nothing to send the error behind.
        if not sending:
            broken_off = streaming.cancel()

    looking = asyncio.create_task(keep_looking(), name="standing")
    try:
        await stream(send_unless_refused)
    except asyncio.CancelledError:
        # Another cancel, such as a client that disconnects, takes precedence.
        if refusal is None or not broken_off or streaming.uncancel():
            raise
        raise refusal from None
    finally:
        looking.cancel()
