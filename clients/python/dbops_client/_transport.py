"""How the client for synchronous code connects and calls."""

import time
from typing import Self, TypeVar

import grpc
from dbops.v1 import health_pb2_grpc, migrate_pb2_grpc, operations_pb2_grpc
from google.longrunning import operations_pb2_grpc as longrunning_pb2_grpc

from dbops_client._address import DEFAULT_TARGET
from dbops_client._channel import DEFAULT_TIMEOUT_S, StrPath, endpoint, open_channel, seconds
from dbops_client._errors import error_from_rpc
from dbops_client._metadata import Metadata, Pairs, Token, bearer, with_extra

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class Transport:
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
        channel: grpc.Channel | None = None,
    ) -> None:
        self._bearer = bearer(token)
        self._timeout_s = seconds("timeout_s", timeout_s)
        self._owned: grpc.Channel | None = None
        if channel is None:
            channel = self._owned = open_channel(
                endpoint(target, token=token, tls=tls, ca=ca, certificate=certificate, key=key)
            )
        self._health = health_pb2_grpc.HealthServiceStub(channel)
        self._operations = operations_pb2_grpc.OperationsServiceStub(channel)
        self._migrate = migrate_pb2_grpc.MigrateServiceStub(channel)
        self._longrunning = longrunning_pb2_grpc.OperationsStub(channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a watch that is still read from raises CallCancelledError."""
        if self._owned is not None:
            self._owned.close()

    def _call(
        self,
        method: "grpc.UnaryUnaryMultiCallable[_Request, _Response]",
        request: _Request,
        timeout_s: float | None,
        metadata: Metadata,
    ) -> _Response:
        sent = self._sent(with_extra((), metadata))
        try:
            return method(request, timeout=self._deadline(timeout_s), metadata=sent)
        except grpc.RpcError as error:
            raise error_from_rpc(error) from error

    def _deadline(self, timeout_s: float | None) -> float:
        return self._timeout_s if timeout_s is None else seconds("timeout_s", timeout_s)

    def _sent(self, extra: Pairs) -> Pairs:
        """The token, and with it what the caller adds."""
        return self._bearer() + extra

    def _sleep(self, delay_s: float) -> None:
        time.sleep(delay_s)
