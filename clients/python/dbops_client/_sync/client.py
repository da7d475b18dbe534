# Generated from _async/client.py: change that, and run 'make client'.
"""The client: a channel, and a sub-client for each resource."""

from typing import Self

import grpc

from dbops_client._address import DEFAULT_TARGET
from dbops_client._channel import DEFAULT_TIMEOUT_S, StrPath
from dbops_client._metadata import Token
from dbops_client._sync.advice import AdviceClient
from dbops_client._sync.alerts import AlertsClient
from dbops_client._sync.backups import BackupsClient
from dbops_client._sync.health import DatabasesClient, HealthClient
from dbops_client._sync.imports import ImportsClient
from dbops_client._sync.metrics import (
    MetricsClient,
    SessionsClient,
    SettingsClient,
)
from dbops_client._sync.migrations import MigrationsClient
from dbops_client._sync.operations import OperationsClient
from dbops_client._sync.schedules import (
    DutiesClient,
    SchedulesClient,
    WorkersClient,
)
from dbops_client._sync.statements import StatementsClient
from dbops_client._transport import Transport


class DbopsClient:
    """dbopsd's API for synchronous code.

    Threads may share one client.

    `target` is `host`, `host:port`, a URL (`https://` and `grpcs://` mean TLS, `http://` and
    `grpc://` plaintext) or a gRPC name such as `unix:/run/dbopsd.sock`. The client uses TLS if the
    URL says so, if `tls` is True (False insists on plaintext), or if a certificate file is given:
    `ca` (the authorities to trust; by default gRPC's own list of public ones), `certificate` and
    `key` (the client's own; together). All are paths of PEM files.
    `token` is sent as a bearer token with each call. A callable is called for it before each call,
    and by a watch whenever it connects.

    `timeout_s` is the deadline of each call in seconds, retries included, and of each stream for
    its first message.

    `channel`, if given, is used instead of one of our own. The client then neither closes it nor
    is responsible for its encryption, retries and keepalive, and `target` and the certificate
    files have no meaning.

    Raises ConfigurationError for arguments that contradict each other, and for a token that would
    cross a network without TLS. Every method raises DbopsError, in the subclass of its gRPC code,
    when the call fails; a call that is safe to repeat was then tried four times if the server was
    UNAVAILABLE. Every method takes `timeout_s`, and `metadata`: pairs that are sent with the call,
    such as W3C `traceparent`.
    """

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
        self._transport = transport = Transport(
            target,
            token=token,
            tls=tls,
            ca=ca,
            certificate=certificate,
            key=key,
            timeout_s=timeout_s,
            channel=channel,
        )
        self.databases = DatabasesClient(transport)
        self.health = HealthClient(transport)
        self.metrics = MetricsClient(transport)
        self.alerts = AlertsClient(transport)
        self.sessions = SessionsClient(transport)
        self.settings = SettingsClient(transport)
        self.advice = AdviceClient(transport)
        self.statements = StatementsClient(transport)
        self.backups = BackupsClient(transport)
        self.imports = ImportsClient(transport)
        self.migrations = MigrationsClient(transport)
        self.operations = OperationsClient(transport)
        self.schedules = SchedulesClient(transport)
        self.workers = WorkersClient(transport)
        self.duties = DutiesClient(transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a watch that is still read from raises CallCancelledError."""
        self._transport.close()
