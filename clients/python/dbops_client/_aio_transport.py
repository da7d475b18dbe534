"""How the client for asyncio connects and calls."""

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING, Self, TypeVar

import grpc
import grpc.aio
from dbops.v1 import health_pb2_grpc, migrate_pb2_grpc, operations_pb2_grpc
from google.longrunning import operations_pb2_grpc as longrunning_pb2_grpc

from dbops_client._address import DEFAULT_TARGET
from dbops_client._cancellation import call_cancelled, task_is_cancelled
from dbops_client._channel import (
    DEFAULT_TIMEOUT_S,
    Endpoint,
    StrPath,
    endpoint,
    open_aio_channel,
    seconds,
)
from dbops_client._errors import error_from_rpc
from dbops_client._metadata import Metadata, Pairs, Token, bearer, with_extra

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbops.v1.health_pb2_grpc import HealthServiceAsyncStub

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class AsyncTransport:
    """A channel, its stubs, and what each call on it has in common."""

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        token: Token | None = None,
        tls: bool | None = None,
        ca: StrPath | None = None,
        certificate: StrPath | None = None,
        key: StrPath | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        channel: grpc.aio.Channel | None = None,
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

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; a watch that is still read from raises CallCancelledError."""
        if self._owned is not None:
            await self._owned.close()

    def _own(self, to: Endpoint) -> grpc.aio.Channel:
        self._owned = open_aio_channel(to)
        return self._owned

    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        # At the first call only: an asyncio channel takes hold of the event loop of that moment.
        return self._open()

    @cached_property
    def _health(self) -> "HealthServiceAsyncStub":
        return health_pb2_grpc.HealthServiceStub(self._channel)

    @cached_property
    def _operations(self) -> "operations_pb2_grpc.OperationsServiceAsyncStub":
        return operations_pb2_grpc.OperationsServiceStub(self._channel)

    @cached_property
    def _migrate(self) -> "migrate_pb2_grpc.MigrateServiceAsyncStub":
        return migrate_pb2_grpc.MigrateServiceStub(self._channel)

    @cached_property
    def _longrunning(self) -> longrunning_pb2_grpc.OperationsStub:
        return longrunning_pb2_grpc.OperationsStub(self._channel)

    async def _call(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[_Request, _Response]",
        request: _Request,
        timeout_s: float | None,
        metadata: Metadata,
    ) -> _Response:
        sent = self._sent(with_extra((), metadata))
        try:
            return await method(request, timeout=self._deadline(timeout_s), metadata=sent)
        except grpc.RpcError as error:
            raise error_from_rpc(error) from error
        except asyncio.CancelledError:
            if task_is_cancelled():
                raise
            raise call_cancelled() from None

    def _deadline(self, timeout_s: float | None) -> float:
        return self._timeout_s if timeout_s is None else seconds("timeout_s", timeout_s)

    def _sent(self, extra: Pairs) -> grpc.aio.Metadata:
        """The token, and with it what the caller adds."""
        return grpc.aio.Metadata(*self._bearer(), *extra)

    async def _sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
