"""Access to the listeners: TLS, credentials and limits, reloaded when their files change."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from dbopsd.config import AuthConfig, ServerConfig
from dbopsd.security.authenticator import Authenticator
from dbopsd.security.certificates import Certificates
from dbopsd.security.failed_credentials import FailedCredentials
from dbopsd.security.jwks import Jwks
from dbopsd.security.jwt import Jwts
from dbopsd.security.limits import CallLimit
from dbopsd.security.tls import Tls
from dbopsd.security.tokens import Tokens

_log = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 1.0


class Access:
    """What the gRPC and the HTTP server ask of each connection and call."""

    def __init__(
        self,
        auth: AuthConfig,
        tokens: Tokens,
        jwks: Jwks | None,
        tls: Tls | None,
        limit: CallLimit,
        failed_credentials: FailedCredentials,
    ) -> None:
        self._tokens = tokens
        self._jwks = jwks
        self._tasks: list[asyncio.Task[None]] = []
        jwts = Jwts(auth.jwt, jwks) if auth.jwt is not None and jwks is not None else None
        self.authenticator = Authenticator(auth, tokens, Certificates(auth.certificates), jwts)
        self.open_services = frozenset(auth.open_services)
        self.tls = tls
        self.limit = limit
        self.failed_credentials = failed_credentials

    @classmethod
    def load(
        cls,
        server: ServerConfig,
        auth: AuthConfig,
        *,
        failed_credentials: FailedCredentials | None = None,
    ) -> "Access":
        """Read every file that the configuration names. Raises `ConfigurationError`."""
        jwks = None if auth.jwt is None else Jwks(auth.jwt.jwks)
        if jwks is not None:
            jwks.load()
        tls = Tls.load(server.tls) if server.tls.enabled else None
        most = server.max_calls_per_client
        return cls(
            auth,
            Tokens.load(auth),
            jwks,
            tls,
            CallLimit(most),
            failed_credentials or FailedCredentials(most),
        )

    def start(self) -> None:
        """Look after the files from now on, in the background, until `close`."""
        self._tasks.append(asyncio.create_task(_keep_up(self._look), name="access"))
        if self._jwks is not None:
            # Apart: a token that was taken back must not be good until a URL has answered.
            refresh = self._jwks.refresh_url
            self._tasks.append(asyncio.create_task(_keep_up(refresh), name="access-keys"))

    async def close(self) -> None:
        """Stop looking."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._jwks is not None:
            await self._jwks.close()

    async def _look(self) -> None:
        # In a thread: the files may lie where reading takes its time.
        await asyncio.to_thread(self._look_at_files)

    def _look_at_files(self) -> None:
        if self.tls is not None:
            self.tls.refresh()
        self._tokens.refresh()
        if self._jwks is not None:
            self._jwks.refresh_file()


async def _keep_up(look: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await look()
        except Exception:  # noqa: BLE001 - logged, and tried again
            # The callers of now are let in as before, and the next look may do better.
            _log.exception("what TLS and authentication stand on could not be looked after")
        await asyncio.sleep(_LOOK_EVERY_S)
