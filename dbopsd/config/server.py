"""`[server]`."""

import os
import re
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import ByteSize, Field, SecretStr, field_validator, model_validator

from dbopsd.config.tls import TlsConfig
from dbopsd.config.values import ListenAddress, Section

_HOST_NAME = re.compile(r"\*|(\*\.)?[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9.])?")


def _default_state_dir() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/dbopsd")
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "dbopsd"


class ServerConfig(Section):
    """`[server]`: where the daemon listens and keeps its files."""

    grpc_listen: ListenAddress = "127.0.0.1:50051"
    """The address of the gRPC server, `host:port`. Port 0 chooses a free port, which is logged."""

    http_listen: ListenAddress = "127.0.0.1:8080"
    """The address of the HTTP server, `host:port`. Port 0 chooses a free port."""

    insecure_listen: bool = False
    """Allow addresses beyond loopback without TLS or without authentication."""

    tls: TlsConfig = Field(default_factory=TlsConfig)
    """TLS for both listeners."""

    state_dir: Path = Field(default_factory=_default_state_dir)
    """The directory for the daemon's files and the embedded PostgreSQL.

    Default: `/var/lib/dbopsd` for root, otherwise `$XDG_STATE_HOME/dbopsd`
    (`~/.local/state/dbopsd`).
    """

    control_url: SecretStr | None = None
    """The PostgreSQL database of the control store, `postgresql://…`. Secret.

    Unset: a SQLite file in the state directory. Several daemons, or workers on other machines, need
    the same PostgreSQL database.
    """

    workers: Annotated[int, Field(ge=0, le=64)] = 1
    """How many worker processes `dbopsd serve` runs. 0: none; use `dbopsd worker` instead."""

    shutdown_delay_s: Annotated[float, Field(ge=0, le=300)] = 0.5
    """How long calls are served after SIGTERM while readiness is off, in seconds.

    Load balancers then stop sending before connections are refused. Set it above the interval of
    your load balancer's probes.
    """

    shutdown_grace_s: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """How long running calls may then take to complete, in seconds."""

    max_message_bytes: ByteSize = Field(default=ByteSize(4 * 1024 * 1024), ge=1024, le=2**31 - 1)
    """The maximum size of a gRPC request, in bytes or such as "4MiB"."""

    max_streams_per_connection: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """How many gRPC calls may run at once on a connection; others wait in the client."""

    max_calls_per_client: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    """How many calls of one caller or address may run at once; others are rejected."""

    max_connections: Annotated[int, Field(ge=16, le=1_000_000)] = 1000
    """How many connections each listener keeps open. Above that, the least used are closed.

    Each connection takes a file descriptor. If the system's limit is too low, fewer connections are
    kept. `dbopsd check-config` prints how many descriptors are needed.
    """

    http_hosts: tuple[str, ...] = ()
    """Accepted names in the `Host` header of HTTP requests; others get status 421.

    IP addresses, `localhost`, the machine's name and the host of `http_listen` are always accepted.
    `*.example.com` means every name below it, `*` any name.
    """

    @field_validator("http_hosts")
    @classmethod
    def _host_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not _HOST_NAME.fullmatch(name):
                raise ValueError(f"has '{name}', which is no name of a host, without a port")
        return value

    @field_validator("control_url")
    @classmethod
    def _postgresql_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _check_url(value.get_secret_value())
        return value

    @field_validator("state_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        if not value.is_absolute():
            raise ValueError(f"'{value}' depends on where the daemon is started: name it from / on")
        return value

    @model_validator(mode="after")
    def _one_listener_a_port(self) -> Self:
        if self.grpc_listen == self.http_listen and not self.grpc_listen.endswith(":0"):
            raise ValueError(f"grpc_listen and http_listen are both '{self.grpc_listen}'")
        return self


def _check_url(url: str) -> None:
    """Raise `ValueError` for what is no URL of a PostgreSQL database; it quotes nothing of it."""
    if not re.match(r"postgres(ql)?://.", url):
        raise ValueError("is not a URL such as postgresql://user@host/database")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("is not a URL: its host cannot be read") from None
    escape = "; in a password, write @ : / ? # [ ] % as %40 %3A %2F %3F %23 %5B %5D %25"
    if parts.netloc.count("@") > 1 or "@" in parts.path + parts.fragment:
        raise ValueError(f"has an '@' too many{escape}")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"has a port that is none{escape}")
    if not parts.hostname and "host" not in parse_qs(parts.query):
        raise ValueError("names no host: postgresql://user@host/database")
    if not parts.path.strip("/"):
        raise ValueError("names no database: postgresql://user@host/database")
