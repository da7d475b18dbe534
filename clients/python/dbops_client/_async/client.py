"""The client: a channel, and a sub-client for each resource."""

from typing import Self

import grpc.aio

from dbops_client._address import DEFAULT_TARGET
from dbops_client._async.advice import AsyncAdviceClient
from dbops_client._async.alerts import AsyncAlertsClient
from dbops_client._async.backups import AsyncBackupsClient
from dbops_client._async.health import AsyncDatabasesClient, AsyncHealthClient
from dbops_client._async.imports import AsyncImportsClient
from dbops_client._async.metrics import (
    AsyncMetricsClient,
    AsyncSessionsClient,
    AsyncSettingsClient,
)
from dbops_client._async.migrations import AsyncMigrationsClient
from dbops_client._async.operations import AsyncOperationsClient
from dbops_client._async.schedules import (
    AsyncDutiesClient,
    AsyncSchedulesClient,
    AsyncWorkersClient,
)
from dbops_client._async.statements import AsyncStatementsClient
from dbops_client._async_transport import AsyncTransport
from dbops_client._channel import DEFAULT_TIMEOUT_S, StrPath
from dbops_client._metadata import Token


class AsyncDbopsClient:
    """dbopsd's API for asyncio.

    It may be made before an event loop runs; from the first call on it belongs to the loop of that
    call.

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
        channel: grpc.aio.Channel | None = None,
    ) -> None:
        self._transport = transport = AsyncTransport(
            target,
            token=token,
            tls=tls,
            ca=ca,
            certificate=certificate,
            key=key,
            timeout_s=timeout_s,
            channel=channel,
        )
        self.databases = AsyncDatabasesClient(transport)
        self.health = AsyncHealthClient(transport)
        self.metrics = AsyncMetricsClient(transport)
        self.alerts = AsyncAlertsClient(transport)
        self.sessions = AsyncSessionsClient(transport)
        self.settings = AsyncSettingsClient(transport)
        self.advice = AsyncAdviceClient(transport)
        self.statements = AsyncStatementsClient(transport)
        self.backups = AsyncBackupsClient(transport)
        self.imports = AsyncImportsClient(transport)
        self.migrations = AsyncMigrationsClient(transport)
        self.operations = AsyncOperationsClient(transport)
        self.schedules = AsyncSchedulesClient(transport)
        self.workers = AsyncWorkersClient(transport)
        self.duties = AsyncDutiesClient(transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; a watch that is still read from raises CallCancelledError."""
        await self._transport.close()
