"""The context of the tasks of a child process."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from opentelemetry.metrics import Meter
from opentelemetry.trace import Tracer

from dbopsd.migrate.importer.processes.messages import Setup

if TYPE_CHECKING:
    from dbopsd.db.session import Session


class Context:
    """One session, opened on first use and kept from task to task."""

    def __init__(
        self,
        setup: Setup,
        *,
        tracer: Tracer,
        meter: Meter,
        progress: Callable[[int], None],
        go_on: Callable[[], None] = lambda: None,
    ) -> None:
        self._setup = setup
        self._tracer = tracer
        self._meter = meter
        self._stack = AsyncExitStack()
        self._session: Session | None = None
        self._progress = progress
        self.go_on = go_on
        """Says that the task goes on, so that its process is not ended for using much time."""

    def progress(self, units: int) -> None:
        """Tell how many units have been done since it was last called."""
        self.go_on()
        self._progress(units)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.forget_session()

    async def session(self) -> "Session":
        """The session. Raises `ConnectFailed`."""
        if self._session is None:
            # Loading the driver takes longer than most files take to be looked at.
            from dbopsd.db.dedicated import dedicated_session  # noqa: PLC0415

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
