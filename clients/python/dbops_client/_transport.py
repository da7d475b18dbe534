"""How the client for synchronous code connects and calls."""

import time
from typing import TypeVar

import grpc

from dbops_client._channel import StrPath, endpoint, open_channel, seconds
from dbops_client._errors import error_from_rpc
from dbops_client._metadata import Metadata, Pairs, Token, bearer, with_extra

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class Transport:
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
        channel: grpc.Channel | None,
    ) -> None:
        self._bearer = bearer(token)
        self._timeout_s = seconds("timeout_s", timeout_s)
        self._owns_channel = channel is None
        self.channel = channel or open_channel(
            endpoint(target, token=token, tls=tls, ca=ca, certificate=certificate, key=key)
        )

    def call(
        self,
        method: "grpc.UnaryUnaryMultiCallable[_Request, _Response]",
        request: _Request,
        timeout_s: float | None,
        metadata: Metadata,
    ) -> _Response:
        """Call a method that has one answer; raises DbopsError."""
        sent = self.sent(with_extra((), metadata))
        try:
            return method(request, timeout=self.deadline(timeout_s), metadata=sent)
        except grpc.RpcError as error:
            raise error_from_rpc(error) from error

    def deadline(self, timeout_s: float | None) -> float:
        """Return a call's own timeout, or the client's; raises ConfigurationError."""
        return self._timeout_s if timeout_s is None else seconds("timeout_s", timeout_s)

    def sent(self, extra: Pairs) -> Pairs:
        """Return the metadata of a call: the token, and what the caller adds."""
        return self._bearer() + extra

    def sleep(self, delay_s: float) -> None:
        """Wait between two calls."""
        time.sleep(delay_s)

    def close(self) -> None:
        """Close the channel if it is the client's own."""
        if self._owns_channel:
            self.channel.close()
