"""The address of the server: from what people write to what gRPC takes."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from dbops_client._errors import ConfigurationError

DEFAULT_TARGET = "127.0.0.1:50051"

_DEFAULT_PORT = 50051
# The port of a URL without one: that of its scheme, or dbopsd's for gRPC's schemes.
_URL_PORTS = {"https": 443, "http": 80, "grpcs": _DEFAULT_PORT, "grpc": _DEFAULT_PORT}
_TLS_SCHEMES = frozenset({"https", "grpcs"})
# gRPC's own name syntax, which is passed on as it is:
# https://grpc.github.io/grpc/core/md_doc_naming.html
_SOCKET_SCHEMES = ("unix:", "unix-abstract:")
_RESOLVER_SCHEMES = ("dns:", "ipv4:", "ipv6:")


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a server's address.

    `target` is for gRPC. `tls` is what the scheme demands; None if it demands nothing.
    `loopback` is True if nothing that is sent there leaves this machine.
    """

    target: str
    tls: bool | None
    loopback: bool


def parse_address(text: str) -> Address:
    """Parse `host`, `host:port`, a URL (`https`, `grpcs`, `http`, `grpc`) or a gRPC name.

    The default port is 50051, or that of an http or https URL. Raises ConfigurationError.
    """
    if not text or not text.isprintable() or " " in text:
        raise _bad("it is empty or holds spaces or control characters")
    if text.startswith(_SOCKET_SCHEMES):
        return Address(text, None, loopback=True)
    if text.startswith(_RESOLVER_SCHEMES):
        return Address(text, None, loopback=_names_loopback_only(text))
    scheme, separator, _ = text.partition("://")
    if separator:
        if scheme.lower() not in _URL_PORTS:
            raise _bad("it is neither host:port nor a URL of scheme https, grpcs, http or grpc")
        url = _split(text)
        target, loopback = _host_and_port(url, _URL_PORTS[url.scheme])
        return Address(target, url.scheme in _TLS_SCHEMES, loopback)
    bare_ipv6 = _ip(text) is not None and ":" in text
    url = _split(f"//[{text}]" if bare_ipv6 else f"//{text}")
    target, loopback = _host_and_port(url, _DEFAULT_PORT)
    return Address(target, None, loopback)


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise _bad("the text in brackets is not an IPv6 address") from error


def _host_and_port(url: SplitResult, default_port: int) -> tuple[str, bool]:
    if url.username is not None:
        raise _bad("it holds a user name or password; give a token instead")
    if url.path not in ("", "/") or url.query or url.fragment:
        raise _bad("it has a path, which gRPC does not support")
    try:
        port = url.port
    except ValueError as error:
        raise _bad("its port is not a number from 1 to 65535") from error
    if port == 0:
        raise _bad("its port is not a number from 1 to 65535")
    host = url.hostname
    if not host:
        raise _bad("it names no host")
    written = f"[{host}]" if ":" in host else host
    return f"{written}:{port or default_port}", _is_loopback(host)


def _names_loopback_only(text: str) -> bool:
    """Whether a `dns:`, `ipv4:` or `ipv6:` name leads to this machine only."""
    addresses = text.partition(":")[2].rpartition("/")[2].split(",")
    return all(_is_loopback(_split(f"//{address}").hostname or "") for address in addresses)


def _is_loopback(host: str) -> bool:
    ip = _ip(host)
    return host == "localhost" if ip is None else ip.is_loopback


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _bad(why: str) -> ConfigurationError:
    # Not the text itself: it may hold a password, which must not reach a log.
    return ConfigurationError(f"the server's address cannot be used: {why}")
