"""The context of the tasks of a child process."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Self

from opentelemetry.metrics import Meter
from opentelemetry.trace import Tracer

from dbopsd.db.dedicated import dedicated_session
from dbopsd.db.session import Session
from dbopsd.migrate.importer.processes.messages import Setup


class Context:
    """One session, opened on first use and kept from task to task."""

    def __init__(
        self,
        setup: Setup,
        *,
        tracer: Tracer,
        meter: Meter,
        progress: Callable[[int], None],
    ) -> None:
        self._setup = setup
        self._tracer = tracer
        self._meter = meter
        self._stack = AsyncExitStack()
        self._session: Session | None = None
        self.progress = progress
        """Tells how many units have been done since it was last called."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.forget_session()

    async def session(self) -> Session:
        """The session. Raises `ConnectFailed`."""
        if self._session is None:
            self._session = await self._stack.enter_async_context(
                dedicated_session(
                    self._setup.login,
                    database=self._setup.database,
                    tracer=self._tracer,
                    meter=self._meter,
                )
            )
        return self._session

    async def forget_session(self) -> None:
        """Close the session: after a failure its state is unknown."""
        self._session = None
        await self._stack.aclose()
        self._stack = AsyncExitStack()
