"""The channel to the server: TLS, channel options, retries. Both clients use it."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from pkgutil import iter_modules

import dbops.v1
import grpc
import grpc.aio
from google.longrunning import operations_pb2 as longrunning_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from dbops_client._address import Address, parse_address
from dbops_client._errors import ConfigurationError
from dbops_client._metadata import Token

DEFAULT_TIMEOUT_S = 10.0
DEFAULT_RECONNECT_S = 30.0
# The report of an import names values by the thousand; gRPC's own limit is 4 MiB.
_MAX_MESSAGE_BYTES = 64 * 2**20

StrPath = str | PathLike[str]

_REPEATABLE = (MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT)
# Google's own proto has no idempotency levels. Not WaitOperation, which the clients repeat
# themselves; nor DeleteOperation, whose second try would not find what the first deleted.
_REPEATABLE_OPERATIONS = frozenset({"GetOperation", "ListOperations", "CancelOperation"})

_RETRY_POLICY = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a channel is opened with. `credentials` is None for plaintext."""

    target: str
    credentials: grpc.ChannelCredentials | None
    options: tuple[tuple[str, int | str], ...]


def endpoint(
    target: str,
    *,
    token: Token | None,
    tls: bool | None,
    ca: StrPath | None,
    certificate: StrPath | None,
    key: StrPath | None,
) -> Endpoint:
    """Parse `target`, choose TLS or plaintext, and read the certificate files.

    TLS is used if `tls` is True, if a file is given, or if the address starts with `https://` or
    `grpcs://`. Raises ConfigurationError for arguments that contradict each other, for a file that
    cannot be read, and for a token that would cross a network without TLS.
    """
    address = parse_address(target)
    credentials = _credentials(address, tls, ca, certificate, key)
    if token is not None and credentials is None and not address.loopback:
        raise ConfigurationError(
            "without TLS a token is sent to this machine only, because anybody on the network "
            "could read it. Give a CA file, or an https:// address if the certificate is from a "
            "public authority"
        )
    return Endpoint(address.target, credentials, _options(address))


def open_channel(to: Endpoint) -> grpc.Channel:
    """Open a channel for synchronous code. Nothing is sent yet."""
    if to.credentials is None:
        return grpc.insecure_channel(to.target, to.options)
    return grpc.secure_channel(to.target, to.credentials, to.options)


def open_aio_channel(to: Endpoint) -> grpc.aio.Channel:
    """Open a channel that belongs to the running event loop. Nothing is sent yet."""
    if to.credentials is None:
        return grpc.aio.insecure_channel(to.target, to.options)
    return grpc.aio.secure_channel(to.target, to.credentials, to.options)


def seconds(name: str, value_s: float) -> float:
    """Return `value_s` if it is finite and above 0; raises ConfigurationError otherwise."""
    if not (math.isfinite(value_s) and value_s > 0):
        raise ConfigurationError(f"{name} is {value_s:g}; it must be a number of seconds above 0")
    return value_s


def _credentials(
    address: Address,
    tls: bool | None,
    ca: StrPath | None,
    certificate: StrPath | None,
    key: StrPath | None,
) -> grpc.ChannelCredentials | None:
    files_given = any(path is not None for path in (ca, certificate, key))
    says_tls = [
        name
        for name, said in (
            ("TLS is requested", tls is True),
            ("the address says TLS (https:// or grpcs://)", address.tls is True),
            ("the certificate files say TLS", files_given),
        )
        if said
    ]
    says_plaintext = [
        name
        for name, said in (
            ("plaintext is requested", tls is False),
            ("the address says plaintext (http:// or grpc://)", address.tls is False),
        )
        if said
    ]
    if not says_tls:
        return None
    if says_plaintext:
        raise ConfigurationError(f"{says_plaintext[0]}, but {says_tls[0]}")
    if (certificate is None) != (key is None):
        raise ConfigurationError(
            "a client certificate needs its private key, and the key its certificate"
        )
    return grpc.ssl_channel_credentials(
        root_certificates=_read("the CA file", ca),
        private_key=_read("the private key file", key),
        certificate_chain=_read("the certificate file", certificate),
    )


def _read(what: str, path: StrPath | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{what} {str(path)!r} cannot be read: {error.strerror or error}"
        ) from error


def _options(address: Address) -> tuple[tuple[str, int | str], ...]:
    options: list[tuple[str, int | str]] = [
        ("grpc.primary_user_agent", f"dbops-client/{version('dbops-client')}"),
        ("grpc.service_config", service_config()),
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
        # A watch may be silent for days. Without pings nobody would notice a peer that vanished
        # (a pulled cable, a firewall that forgot the connection). The server's counterpart is
        # min_recv_ping_interval_without_data.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # gRPC's own backoff between connection attempts goes up to two minutes. A daemon that
        # restarts within a second would be missed for that long.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 5_000),
    ]
    if address.loopback:
        # gRPC uses http_proxy for 127.0.0.1 too: the call would fail, or a token would leave the
        # machine.
        options.append(("grpc.enable_http_proxy", 0))
    return tuple(options)


def service_config() -> str:
    """Return gRPC's service config: calls that are safe to repeat are retried on UNAVAILABLE.

    Safe are a call that changes nothing, one that changes nothing the second time, and one with a
    `request_id`, which is the same with each try. Not a stream: a watch reconnects by itself, and
    two layers of retries would multiply.
    """
    methods = [
        {"service": service.full_name, "method": method.name}
        for service in _services()
        for method in service.methods
        if not method.server_streaming and _may_be_repeated(method)
    ]
    return json.dumps({"methodConfig": [{"name": methods, "retryPolicy": _RETRY_POLICY}]})


def _services() -> Iterator[ServiceDescriptor]:
    """Yield every service of the contract, so that a new one has retries without being named."""
    for module in iter_modules(dbops.v1.__path__):
        if module.name.endswith("_pb2"):
            generated = import_module(f"dbops.v1.{module.name}")
            yield from generated.DESCRIPTOR.services_by_name.values()
    yield longrunning_pb2.DESCRIPTOR.services_by_name["Operations"]


def _may_be_repeated(method: MethodDescriptor) -> bool:
    return (
        method.GetOptions().idempotency_level in _REPEATABLE
        or "request_id" in method.input_type.fields_by_name
        or method.name in _REPEATABLE_OPERATIONS
    )
