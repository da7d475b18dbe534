"""A psycopg connection that can always be closed, even if the server hangs."""

import asyncio
import contextlib
import json
import os
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.types.json import set_json_loads

# How long a server may take to act on a cancel request, from taking it to the statement's end.
# psycopg waits 5 s for either, in which a caller that gave up would be held.
_CANCEL_TIMEOUT_S = 1.0
DRIVER_STYLES: Final = {"DateStyle": "ISO", "IntervalStyle": "postgres"}
"""The styles of dates and intervals that the driver reads: it refuses values in any other."""


@dataclass(frozen=True)
class _LenientJson:
    """Reads JSON in spite of bytes that are no text of its encoding.

    The driver keeps a loader for each, for ever, and takes functions that are made anew for
    different ones.
    """

    encoding: str

    def __call__(self, data: str | bytes) -> Any:
        return json.loads(data if isinstance(data, str) else str(data, self.encoding, "replace"))


class Connection(psycopg.AsyncConnection[tuple[Any, ...]]):
    """An autocommit connection: every BEGIN and COMMIT is a statement that somebody wrote."""

    # When it was made, by time.monotonic().
    connected_at: float = 0.0
    # When a statement last ended on it, by time.monotonic().
    last_used: float = 0.0
    # The server attributes of every span on this connection, created once by its tracer.
    span_attributes: dict[str, str | int] | None = None
    # Registered once: a look at the socket is one system call then.
    _poll: "select.poll | None" = None

    @classmethod
    async def connect(  # type: ignore[override]  # one use in this project: narrower on purpose
        cls,
        conninfo: str = "",
        *,
        on_connected: Callable[[float], None] | None = None,
        **parameters: Any,
    ) -> Self:
        """Connect; `on_connected` gets the time that it took, in seconds."""
        started = time.monotonic()
        # Unprepared: the driver's own upkeep of prepared statements (DEALLOCATE ALL after a
        # ROLLBACK) would reach the server past the session, without a span.
        try:
            connection = await super().connect(
                conninfo, autocommit=True, prepare_threshold=None, **parameters
            )
        except (psycopg.Error, asyncio.CancelledError) as exc:
            # The driver's frames hold both the half-open connection and the error: a cycle, which
            # leaves a socket at a hung server for each attempt until the collector comes by.
            exc.__context__ = None
            raise exc.with_traceback(None) from None
        await connection._make_readable()  # noqa: SLF001 - its own class
        connection.connected_at = connection.last_used = time.monotonic()
        if on_connected is not None:
            on_connected(connection.connected_at - started)
        return connection

    async def _make_readable(self) -> None:
        """Have the server write dates and intervals as the driver reads them.

        A role or a database may have other styles. The order of day and month in what the server
        reads stays.
        """
        for name, style in DRIVER_STYLES.items():
            current = self.info.parameter_status(name)
            if current is not None and current.partition(",")[0] != style:
                await self.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, style))

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:
        """Ask the server to end the running statement; cut the connection if it does not listen.

        psycopg calls this when the task that waits for a statement is cancelled, and then waits for
        the statement's end.
        """
        loop = asyncio.get_running_loop()
        loop.call_later(_CANCEL_TIMEOUT_S, self._sever_unless_ended, self.last_used)
        try:
            await super().cancel_safe(timeout=min(timeout, _CANCEL_TIMEOUT_S))
        except psycopg.Error:
            self.sever()
            raise

    def replace_bad_text(self) -> None:
        """From now on, bytes that are no text of the connection's encoding become U+FFFD.

        The server has such: a role or a database that was named by a client of another encoding has
        its name in the catalogs of every database, as it came.
        """
        encoding = self.info.encoding
        # Of a database without an encoding, most texts are UTF-8 nevertheless.
        encoding = "utf-8" if encoding == "ascii" else encoding

        class Lenient(Loader):
            def load(self, data: Buffer) -> str:
                return str(data, encoding, "replace")

        for kind in ("text", "name", "varchar", "bpchar"):
            self.adapters.register_loader(kind, Lenient)

        set_json_loads(_LenientJson(encoding), self)

    @property
    def has_news(self) -> bool:
        """Whether the idle connection has something to read: most often, that it has ended."""
        try:
            if self._poll is None:
                self._poll = select.poll()
                self._poll.register(self.fileno(), select.POLLIN)
            return bool(self._poll.poll(0))
        except (OSError, psycopg.OperationalError):
            return True

    def sever(self) -> None:
        """Shut the socket down at once, without a word to the server.

        Whoever waits on the connection then gets an error immediately: the only way out that
        does not depend on the other side.
        """
        with (
            contextlib.suppress(OSError, psycopg.OperationalError),
            self._duplicate_socket() as end,
        ):
            end.shutdown(socket.SHUT_RDWR)

    def _sever_unless_ended(self, last_used: float) -> None:
        # A backend that hangs takes no cancel request, which the postmaster has taken for it.
        if self.last_used == last_used:
            self.sever()

    def _duplicate_socket(self) -> socket.socket:
        # Shutting a duplicate down shuts the connection, and leaves libpq its own descriptor.
        return socket.socket(fileno=os.dup(self.fileno()))
