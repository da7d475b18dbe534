"""How the client for asyncio connects and calls."""

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import grpc
import grpc.aio

from dbops_client._cancellation import call_cancelled, task_is_cancelled
from dbops_client._channel import Endpoint, StrPath, endpoint, open_aio_channel, seconds
from dbops_client._errors import error_from_rpc
from dbops_client._metadata import Metadata, Pairs, Token, bearer, with_extra

if TYPE_CHECKING:
    from collections.abc import Callable

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class AsyncTransport:
    """A channel, and what all calls on it have in common. Arguments are those of the client."""

    def __init__(
        self,
        target: str,
        *,
        token: Token | None,
        tls: bool | None,
        ca: StrPath | None,
        certificate: StrPath | None,
        key: StrPath | None,
        timeout_s: float,
        channel: grpc.aio.Channel | None,
    ) -> None:
        self._bearer = bearer(token)
        self._timeout_s = seconds("timeout_s", timeout_s)
        self._owned: grpc.aio.Channel | None = None
        self._open: Callable[[], grpc.aio.Channel]
        if channel is None:
            to = endpoint(target, token=token, tls=tls, ca=ca, certificate=certificate, key=key)
            self._open = lambda: self._own(to)
        else:
            self._open = lambda: channel

    @cached_property
    def channel(self) -> grpc.aio.Channel:
        """The channel, opened by the first call: it takes the event loop of that moment."""
        return self._open()

    async def call(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[_Request, _Response]",
        request: _Request,
        timeout_s: float | None,
        metadata: Metadata,
    ) -> _Response:
        """Call a method that has one answer; raises DbopsError."""
        sent = self.sent(with_extra((), metadata))
        try:
            return await method(request, timeout=self.deadline(timeout_s), metadata=sent)
        except grpc.RpcError as error:
            raise error_from_rpc(error) from error
        except asyncio.CancelledError:
            if task_is_cancelled():
                raise
            raise call_cancelled() from None

    def deadline(self, timeout_s: float | None) -> float:
        """Return a call's own timeout, or the client's; raises ConfigurationError."""
        return self._timeout_s if timeout_s is None else seconds("timeout_s", timeout_s)

    def sent(self, extra: Pairs) -> grpc.aio.Metadata:
        """Return the metadata of a call: the token, and what the caller adds."""
        return grpc.aio.Metadata(*self._bearer(), *extra)

    async def sleep(self, delay_s: float) -> None:
        """Wait between two calls."""
        await asyncio.sleep(delay_s)

    async def close(self) -> None:
        """Close the channel if it is the client's own."""
        if self._owned is not None:
            await self._owned.close()

    def _own(self, to: Endpoint) -> grpc.aio.Channel:
        self._owned = open_aio_channel(to)
        return self._owned
