"""A blocking connection with a limit on waiting, for threads and their pools."""

import select
import time
from typing import Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.rows import TupleRow

# The server's own `statement_timeout` is to come first; a server that hangs has none.
_ANSWER_S: Final = 12.0

T = TypeVar("T")


class BoundedConnection(psycopg.Connection[TupleRow]):
    """Closes itself where the server does not answer: a thread must not wait for ever."""

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """What the server answers. Raises `OperationalError`, and is closed then."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        began = time.monotonic()
        try:
            return super().wait(gen, interval, _ANSWER_S)
        except psycopg.OperationalError:
            if time.monotonic() - began < _ANSWER_S:
                raise
            # Not `close`, which is for a server that answers.
            self.pgconn.finish()
            raise psycopg.errors.ConnectionTimeout(
                f"the server did not answer within {_ANSWER_S:g} s"
            ) from None

    @property
    def closed_by_server(self) -> bool:
        """Whether a connection at rest is gone, as far as this machine knows; asks nobody.

        At rest it receives nothing but its end; a notice beside it costs no more than a new one.
        """
        if self.closed:
            return True
        poller = select.poll()
        poller.register(self.fileno(), select.POLLIN)
        return bool(poller.poll(0))

    def received(self) -> list[str]:
        """The payloads of the notifications that have arrived; never waits.

        Raises `OperationalError` once the connection is gone.
        """
        self.pgconn.consume_input()
        payloads = []
        while (notification := self.pgconn.notifies()) is not None:
            payloads.append(notification.extra.decode(errors="replace"))
        return payloads
