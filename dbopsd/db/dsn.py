"""A DSN taken apart: which hosts, and the connection string for each purpose. Never shown whole."""

import asyncio
import enum
import ipaddress
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbopsd.db.errors import (
    ConnectFailed,
    ConnectionRefused,
    ConnectTimeout,
    HostUnknown,
    InvalidDsn,
    LoginRejected,
    PasswordFileUnreadable,
    TlsFailed,
    one_line,
)

# A connection whose peer fell off the network is noticed within about 15 s; a peer that is
# merely stopped goes on acknowledging and is not cut off by these.
_KEEPALIVE = {
    "keepalives_idle": "5",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}

CATALOG_ONLY = {"search_path": "pg_catalog, pg_temp"}
"""Settings of a session that finds types, functions and operators in pg_catalog alone: a function
that somebody else created is never called, however well it fits and whatever the role is set to."""

_DEFAULT_PORT = "5432"
_TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# How long a host may take to accept a connection, when it is asked why one failed.
_REACH_TIMEOUT_S = 2.0

# "primary" is for looking at the server that takes writes, "write" for writing there.
Purpose = Literal["write", "primary", "read", "probe"]

# libpq's target_session_attrs: how a host of a cluster is chosen.
_TARGET: dict[Purpose, str] = {
    "write": "read-write",
    "primary": "read-write",
    "read": "prefer-standby",
    "probe": "any",
}


@dataclass(frozen=True, slots=True)
class Host:
    """One host of a DSN. `address` is the IP address to take, empty: whatever the name has."""

    name: str
    host: str
    port: str
    address: str = ""

    @property
    def is_name(self) -> bool:
        """Whether it is a name that may have several addresses."""
        if self.address or not self.host or self.host.startswith(("/", "@")):
            return False
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return True
        return False

    def is_of(self, other: "Host") -> bool:
        """Whether this is `other`, or one of its addresses."""
        return (self.host, self.port) == (other.host, other.port) and (
            not other.address or self.address == other.address
        )

    def at(self, address: str) -> "Host":
        """This host at one of its addresses."""
        return replace(self, name=f"{self.name} ({address})", address=address)


@dataclass(frozen=True)
class Dsn:
    """Where a database is and how to log in. `repr()` shows no credential."""

    database: str
    hosts: tuple[str, ...]
    postgres_database: str
    _parameters: dict[str, str]
    _password_file: Path | None
    problem: str = ""

    def __repr__(self) -> str:
        return f"Dsn(database={self.database!r}, hosts={self.hosts!r})"

    @classmethod
    def parse(cls, database: str, text: str, password_file: Path | None = None) -> "Dsn":
        """Take `text` apart. One that cannot be parsed is kept: `conninfo()` then raises."""
        try:
            parameters = {key: str(value) for key, value in conninfo_to_dict(text).items()}
            # libpq would read no further than a NUL.
            problem = "the configured dsn has a NUL in it" if "\0" in text else _problem(parameters)
        except (psycopg.ProgrammingError, ValueError):
            # libpq quotes the text, and with it perhaps the password: its words are not repeated.
            problem = (
                "the configured dsn is neither key=value pairs that libpq knows "
                "nor a postgresql:// URL"
            )
        if problem:
            return cls(database, (), "", {}, None, problem)
        return cls(
            database,
            _hosts(parameters),
            parameters.get("dbname") or parameters.get("user") or "",
            parameters,
            password_file,
        )

    @property
    def role(self) -> str:
        """The role that it logs in as; empty where it does not say."""
        return self._parameters.get("user", "")

    @property
    def is_cluster(self) -> bool:
        """Whether several hosts are named, of which one takes writes."""
        return len(self.hosts) > 1

    @property
    def may_have_standbys(self) -> bool:
        """Whether it may lead to several servers.

        It names several hosts, or asks libpq for a server of some role among a name's addresses.
        """
        return self.is_cluster or self._parameters.get("target_session_attrs", "any") != "any"

    @property
    def each_host(self) -> tuple[Host, ...]:
        """The hosts one by one."""
        names = self._parameters.get("host", "").split(",")
        addresses = self._parameters.get("hostaddr", "").split(",")
        count = len(self.hosts)
        ports = _ports(self._parameters, count)
        # libpq takes either list; where both are given, each has an entry for every host.
        names, addresses = (
            each if len(each) == count else [""] * count for each in (names, addresses)
        )
        return tuple(
            Host(*parts) for parts in zip(self.hosts, names, ports, addresses, strict=True)
        )

    def conninfo(
        self,
        purpose: Purpose,
        *,
        application_name: str,
        connect_timeout_s: int,
        settings: dict[str, str],
        host: Host | None = None,
    ) -> str:
        """The connection string for `purpose`; `settings` are the session's parameters.

        With `host` to that one alone, whatever it is within its cluster.

        Raises `InvalidDsn` or `PasswordFileUnreadable`.
        """
        if self.problem:
            raise InvalidDsn(self.database, self.problem)
        parameters = {**_KEEPALIVE, "connect_timeout": str(connect_timeout_s), **self._parameters}
        parameters["application_name"] = application_name
        # Settings in the startup packet hold from the first statement on and cost no round trip.
        options = [f"-c {name}={_escape(value)}" for name, value in settings.items()]
        parameters["options"] = " ".join(filter(None, [self._parameters.get("options"), *options]))
        if host is not None:
            _lead_to(host, parameters)
        elif self.is_cluster:
            parameters.setdefault("target_session_attrs", _TARGET[purpose])
            if purpose in ("read", "probe"):
                parameters["target_session_attrs"] = _TARGET[purpose]
            if purpose == "read":
                parameters["load_balance_hosts"] = "random"
        if self._password_file is not None:
            parameters["password"] = self._read_password(self._password_file)
        return make_conninfo("", **parameters)

    def _read_password(self, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as exc:
            cause = exc.strerror if isinstance(exc, OSError) else "not UTF-8 text"
            raise PasswordFileUnreadable(
                self.database, f"password_file '{path}' cannot be read: {cause}"
            ) from exc

    def as_role(self, role: str, password_file: Path | None) -> "Dsn":
        """The same place with another role's login; itself where that is the role already.

        Its password comes from `password_file`, or from where libpq looks for one.
        """
        if self.problem or self._parameters.get("user") == role:
            return self
        parameters = {**self._parameters, "user": role}
        # libpq's default would be the role's own name.
        parameters["dbname"] = self.postgres_database
        parameters.pop("password", None)
        return replace(self, _parameters=parameters, _password_file=password_file)

    def to_postgres_database(self, name: str) -> "Dsn":
        """The same login to another database of the same cluster."""
        if self.problem:
            return self
        return replace(
            self, postgres_database=name, _parameters={**self._parameters, "dbname": name}
        )

    async def explain(self, exc: psycopg.Error, host: Host | None = None) -> ConnectFailed:
        """The typed error for a connection that failed with `exc`, to `host` if only to that.

        libpq gives no SQLSTATE for a failed connection, so the step at which it ended is found
        by what is known otherwise: the driver's own timeout, and whether each host resolves and
        accepts a TCP connection at all.
        """
        cause = self.without_secrets(one_line(str(exc)))
        if isinstance(exc, psycopg.errors.ConnectionTimeout):
            return ConnectTimeout(self.database, cause)
        if isinstance(exc, psycopg.ProgrammingError):
            # The driver refuses a parameter's value before it asks anybody.
            return InvalidDsn(self.database, cause)
        # Several hosts may fail in several ways: the one that came furthest tells.
        hosts = self.each_host if host is None else (host,)
        endpoints = [(each.address or each.host, each.port) for each in hosts]
        reached = max(
            await asyncio.gather(*(_reach(host, port) for host, port in endpoints if host)),
            default=None,
        )
        match reached:
            case _Reached.UNKNOWN:
                return HostUnknown(self.database, cause)
            case _Reached.REFUSED:
                return ConnectionRefused(self.database, cause)
            case _Reached.SILENT:
                return ConnectTimeout(self.database, cause)
            case _Reached.ACCEPTED:
                return self._explain_refusal(exc.pgconn, cause)
            case None:
                return ConnectFailed(self.database, cause)

    def _explain_refusal(self, pgconn: pq.abc.PGconn | None, cause: str) -> ConnectFailed:
        # libpq says no where the server offers no TLS, the handshake fails or the certificate does
        # not hold; behind a TLS that stands, it is the server that refused.
        if self._wants_tls and not (pgconn is not None and pgconn.ssl_in_use):
            return TlsFailed(self.database, cause)
        return LoginRejected(self.database, cause)

    @property
    def _wants_tls(self) -> bool:
        mode = self._parameters.get("sslmode")
        if mode is None and self._parameters.get("sslrootcert") == "system":
            return True
        return mode in ("require", "verify-ca", "verify-full")

    def without_secrets(self, text: str) -> str:
        """`text` without this DSN's password, should somebody have quoted it."""
        password = self._parameters.get("password")
        return text.replace(password, "***") if password else text


class _Reached(enum.IntEnum):
    """How far a bare connection to a host came."""

    UNKNOWN = 0
    REFUSED = 1
    SILENT = 2
    ACCEPTED = 3


async def _reach(host: str, port: str) -> _Reached:
    try:
        async with asyncio.timeout(_REACH_TIMEOUT_S):
            if host.startswith(("/", "@")):
                path = f"{host}/.s.PGSQL.{port}".replace("@", "\0", 1)
                _, writer = await asyncio.open_unix_connection(path)
            else:
                _, writer = await asyncio.open_connection(host, int(port))
            # At once: a server that hangs would not answer our farewell.
            writer.transport.abort()
    except TimeoutError:
        return _Reached.SILENT
    except (socket.gaierror, UnicodeError):
        return _Reached.UNKNOWN
    except OSError:
        return _Reached.REFUSED
    return _Reached.ACCEPTED


def _lead_to(host: Host, parameters: dict[str, str]) -> None:
    parameters["port"] = host.port
    for key, value in (("host", host.host), ("hostaddr", host.address)):
        if value:
            parameters[key] = value
        else:
            parameters.pop(key, None)
    for key in ("target_session_attrs", "load_balance_hosts"):
        parameters.pop(key, None)


def _hosts(parameters: dict[str, str]) -> tuple[str, ...]:
    names = (parameters.get("host") or parameters.get("hostaddr") or "").split(",")
    ports = _ports(parameters, len(names))
    return tuple(_endpoint(name, port) for name, port in zip(names, ports, strict=False))


def _endpoint(name: str, port: str) -> str:
    if not name:
        return "local socket"
    return name if name.startswith("/") else f"{name}:{port}"


def _ports(parameters: dict[str, str], hosts: int) -> list[str]:
    """The port of each host: one may stand for all, and an empty one for the default."""
    ports = [port.strip() or _DEFAULT_PORT for port in parameters.get("port", "").split(",")]
    return ports * hosts if len(ports) == 1 else ports


def _problem(parameters: dict[str, str]) -> str:
    """What libpq accepts as a connection string and would refuse at every connection."""
    names = (parameters.get("host") or parameters.get("hostaddr") or "").split(",")
    ports = _ports(parameters, len(names))
    if len(ports) != len(names):
        return f"the configured dsn names {len(names)} hosts and {len(ports)} ports"
    addresses = (parameters.get("hostaddr") or "").split(",")
    if parameters.get("host") and parameters.get("hostaddr") and len(addresses) != len(names):
        return f"the configured dsn names {len(names)} hosts and {len(addresses)} addresses"
    for port in ports:
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
            # Not quoted: where a password holds a '/', libpq takes its beginning for the port.
            return "the configured dsn has a port that is not a number from 1 to 65535"
    mode = parameters.get("sslmode")
    if mode and mode not in _TLS_MODES:
        return f"the configured dsn has an sslmode that is none of {', '.join(_TLS_MODES)}"
    return ""


def _escape(value: str) -> str:
    # libpq splits `options` at blanks; a backslash keeps one.
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
