"""Which names the HTTP server answers to.

A page in somebody's browser can ask this server for anything that needs no credential, if the
page's own name is made to resolve to this machine (DNS rebinding). The browser then says that name
in `Host`. An address in its place cannot be such a name.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from dbopsd.config import ServerConfig, split_listen_address
from dbopsd.http.errors import error_response
from dbopsd.http.tracing import Handler

# As in RFC 9110: a name, or an IPv6 address in brackets, and perhaps a port.
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@/?#\s]+)(?::\d*)?")


class Hosts:
    """The names: `configured`, where `*.example.com` stands for all below and `*` for any."""

    def __init__(self, configured: Iterable[str]) -> None:
        names = {_plain(name) for name in configured}
        self._any = "*" in names
        self._names = {name for name in names if not name.startswith("*")}
        self._below = tuple(name[1:] for name in names if name.startswith("*."))

    @classmethod
    def of(cls, config: ServerConfig) -> "Hosts":
        """What is configured, and the names that this machine has by itself."""
        own = socket.gethostname()
        listen = split_listen_address(config.http_listen)[0]
        return cls(
            ("localhost", "*.localhost", own, own.partition(".")[0], listen, *config.http_hosts)
        )

    def known(self, host: str) -> bool:
        """Whether `host`, as the header has it, is one of them or an IP address."""
        found = _HOST.fullmatch(host.strip())
        if found is None:
            return self._any
        name = _plain(found[1])
        if self._any or name in self._names or name.endswith(self._below):
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True


def refuse_unknown_hosts(hosts: Hosts) -> Middleware:
    """The middleware. A request without `Host`, such as HTTP/1.0's, comes from no browser."""

    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        if all(map(hosts.known, request.headers.getall(hdrs.HOST, ()))):
            return await handler(request)
        message = (
            "this server does not answer to the name in the request's Host header: "
            "server.http_hosts names those that it does beside its addresses and its machine's name"
        )
        return error_response(421, "HOST_UNKNOWN", message)

    return checked


def _plain(name: str) -> str:
    return name.strip().lower().rstrip(".")
