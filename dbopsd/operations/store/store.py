"""The control store: opened on first use, reconnected after an outage."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from dbos import DBOSClient, DBOSPortableJSONSerializer
from opentelemetry.trace import Tracer
from sqlalchemy import event

from dbopsd.operations.store.migrations import migrate, version_of
from dbopsd.operations.store.notifications import (
    FifoNotifications,
    Subscription,
    Topic,
    listen,
    notify,
)
from dbopsd.operations.store.spans import trace_statements
from dbopsd.operations.store.sql_engine import (
    SQLITE,
    clock,
    describe_url,
    make_engine,
    make_room_for_sqlite,
    sqlite_url,
    translated,
)
from dbopsd.operations.store.tables import VERSION

APPLICATION = "dbopsd"
"""DBOS's name of us: work belongs to it, whichever version and process takes it."""

_LOOK_S: Final = 30.0
_NOTIFICATIONS: Final = "notifications"
# PostgreSQL's undefined table and undefined schema.
_NO_TABLES: Final = ("42P01", "3F000")


class ControlStore:
    """Blocking: call it from threads. Every method may raise `ControlStoreUnavailable`.

    `url` is that of a PostgreSQL database; without one, a SQLite file at `path` is used. That it
    is of our version still is looked at every `look_s` seconds at most.
    """

    def __init__(
        self, url: str | None, path: Path, tracer: Tracer, *, look_s: float = _LOOK_S
    ) -> None:
        self.url = url or sqlite_url(path)
        self.where = describe_url(self.url)
        self._path = path
        self.engine = make_engine(self.url)
        trace_statements(self.engine, tracer)
        self.is_sqlite = self.engine.dialect.name == SQLITE
        self.now: Callable[[], sa.ColumnElement[int]] = clock(self.engine)
        self._ready = False
        self._look_s = look_s
        self._next_look = 0.0
        self._opening = threading.Lock()
        self._client: DBOSClient | None = None
        self._unpublished: dict[sa.Connection, set[Topic]] = {}
        self._fifos = FifoNotifications(path.with_name(_NOTIFICATIONS))

    @property
    def client(self) -> DBOSClient:
        """DBOS, for enqueueing and asking; it runs nothing here."""
        if self._client is None:
            self._client = DBOSClient(
                system_database_engine=self.engine,
                application_name=APPLICATION,
                serializer=DBOSPortableJSONSerializer(),
                lazy=True,
                retry_connection_errors=False,
            )
        return self._client

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """A transaction, committed at its end; the tables are there."""
        with translated(self.where):
            self.open()
            try:
                with self.engine.begin() as connection:
                    try:
                        yield connection
                    finally:
                        topics = self._unpublished.pop(connection, set())
            except sa.exc.DBAPIError as exc:
                if _lacks_tables(exc):
                    self._ready = False
                raise
        for topic in topics:
            self._fifos.publish(topic)

    def publish(self, connection: sa.Connection, topic: Topic) -> None:
        """Notify every listener once the transaction on `connection` has committed."""
        if self.is_sqlite:
            self._unpublished.setdefault(connection, set()).add(topic)
        else:
            notify(connection, topic)

    def publish_now(self, topic: Topic) -> None:
        """Notify every listener."""
        if self.is_sqlite:
            self._fifos.publish(topic)
        else:
            with self.transaction() as connection:
                notify(connection, topic)

    def subscribe(self, listener: str) -> Subscription:
        """What the others publish from now on, for a listener of that name."""
        self.open()
        if self.is_sqlite:
            with translated(self.where):
                return self._fifos.subscribe(listener)
        return listen(self.engine, self.where)

    def open(self) -> None:
        """Make sure that the tables are there and of our version; cheap once they are."""
        if self._ready:
            if time.monotonic() < self._next_look:
                return
            # Before the look: one thread looks, the others go on meanwhile.
            self._next_look = time.monotonic() + self._look_s
            with translated(self.where):
                if version_of(self.engine) == VERSION:
                    return
            self._ready = False
        with self._opening, translated(self.where):
            if self._ready:
                return  # another thread opened it meanwhile
            if self.is_sqlite:
                make_room_for_sqlite(self._path)
            migrate(self.engine, self.url, self.where)
            self._next_look = time.monotonic() + self._look_s
            self._ready = True

    def close(self) -> None:
        """Close the connections, those that threads still use once they are given back."""
        event.listen(self.engine.pool, "checkin", _close)
        self.engine.dispose()


def _lacks_tables(error: sa.exc.DBAPIError) -> bool:
    """Whether somebody made the database anew, or dropped what is in it."""
    state = getattr(error.orig, "sqlstate", None)
    return state in _NO_TABLES or str(error.orig).startswith("no such table")


def _close(connection: Any, _record: object) -> None:
    if connection is not None:
        connection.close()
