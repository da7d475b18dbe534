"""An observer beside the daemon: when a server first says what is waited for."""

import threading
import time
from typing import Self

import psycopg

_POLL_S = 0.005
_STATEMENT_TIMEOUT_S = 60.0


class Watcher:
    """Asks `question` (one boolean) over and over, connecting anew until it answers yes.

    A context manager around whatever makes it so. Moments are by time.monotonic().
    """

    def __init__(self, dsn: str, question: str = "SELECT true") -> None:
        self._dsn = psycopg.conninfo.make_conninfo(dsn, connect_timeout=2)
        self._question = question
        self._seen = threading.Event()
        self._ended = threading.Event()
        self._at = 0.0
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)

    def wait(self) -> float:
        """When the answer was yes; TimeoutError if it does not come to that."""
        if not self._seen.wait(_STATEMENT_TIMEOUT_S):
            raise TimeoutError(f"never true: {self._question}")
        return self._at

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.is_set():
            try:
                with psycopg.connect(self._dsn, autocommit=True) as connection:
                    self._ask(connection)
            except psycopg.OperationalError:
                time.sleep(_POLL_S)
            else:
                return

    def _ask(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        while not self._ended.is_set():
            if connection.execute(self._question).fetchone() == (True,):  # type: ignore[arg-type]
                self._at = time.monotonic()
                self._seen.set()
                return
            time.sleep(_POLL_S)
