"""Connections to the control store, and its errors."""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event

from dbopsd.db.bounded_connection import BoundedConnection
from dbopsd.operations.errors import ControlStoreUnavailable
from dbopsd.operations.store.tables import SCHEMA

CONNECT_TIMEOUT_S: Final = 3
_STATEMENT_TIMEOUT_MS: Final = 10_000
_BUSY_TIMEOUT_MS: Final = 10_000
_POOL_SIZE: Final = 8

SQLITE: Final = "sqlite"


def sqlite_url(path: Path) -> str:
    """The URL of the control store in the file at `path`."""
    return f"sqlite:///{path}"


def describe_url(url: str) -> str:
    """The URL as people may see it: without its password."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == SQLITE:
        return str(parsed.database)
    return parsed.set(query={}).render_as_string(hide_password=True)


def make_engine(url: str) -> sa.Engine:
    """An engine that connects when it is first used."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == SQLITE:
        engine = sa.create_engine(parsed, pool_size=_POOL_SIZE, max_overflow=0)
        event.listen(engine, "connect", _set_up_sqlite)
        return engine.execution_options(schema_translate_map={SCHEMA: None})
    engine = sa.create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        # Whatever the server's default: what a conflict was with is read after the conflict.
        isolation_level="READ COMMITTED",
        pool_size=_POOL_SIZE,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT_S,
        pool_recycle=1800,
        connect_args={
            "application_name": "dbopsd control",
            "connect_timeout": CONNECT_TIMEOUT_S,
            # A host that is gone without a word: noticed within about ten seconds.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
            "options": f"-c statement_timeout={_STATEMENT_TIMEOUT_MS} "
            f"-c idle_in_transaction_session_timeout={_STATEMENT_TIMEOUT_MS} "
            # What was acknowledged is on the disk.
            "-c synchronous_commit=on",
        },
    )
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "checkout", _refuse_closed)
    return engine


def _connect(
    _dialect: object, _record: object, arguments: list[Any], parameters: dict[str, Any]
) -> BoundedConnection:
    return BoundedConnection.connect(*arguments, **parameters)


def _refuse_closed(connection: BoundedConnection, _record: object, _proxy: object) -> None:
    """Have the pool take another connection where the server has closed this one.

    What is at rest receives nothing but its end. Looking at the socket costs no statement, which
    `pool_pre_ping` would before each transaction.
    """
    if connection.closed_by_server:
        raise sa.exc.DisconnectionError


def serialised(engine: sa.Engine) -> sa.Engine:
    """`engine`, on SQLite with the write lock from each transaction's begin on.

    For DBOS, which counts what runs and then claims more, with nothing in between but its trust in
    the database: two workers would count the same and exceed the limit for all.
    """
    if engine.dialect.name != SQLITE:
        return engine
    own = engine.execution_options()
    event.listen(own, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return own


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # A transaction takes the write lock at once: two that first read would both fail to write.
    connection.isolation_level = "IMMEDIATE"
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    # What was acknowledged is on the disk.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def make_room_for_sqlite(path: Path) -> None:
    """Create the file and its directory, accessible to this account only.

    A file that exists is never opened here: closing it would drop the locks that SQLite has on it
    in this process, and another process would take its log away under our connections.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    if path.is_dir():
        # SQLite would say only that it cannot open it.
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.chmod(0o600)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Whatever the store's driver raises, raised as `ControlStoreUnavailable`."""
    try:
        yield
    except (sa.exc.SQLAlchemyError, OSError) as exc:
        raise ControlStoreUnavailable(where, _cause(exc)) from exc


def _cause(error: Exception) -> str:
    if isinstance(error, OSError):
        return str(error.strerror or error).lower()
    if isinstance(error, sa.exc.TimeoutError):
        return "all its connections are in use"
    text = str(getattr(error, "orig", None) or error)
    # The first line has what happened; the others repeat the statement.
    return " ".join(text.splitlines()[0].split()) if text else type(error).__name__


def clock(engine: sa.Engine) -> Callable[[], sa.ColumnElement[int]]:
    """The expression of the store's own time in ms since 1970, for each statement anew."""
    if engine.dialect.name == SQLITE:
        text = "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)"
    else:
        text = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"
    return lambda: sa.literal_column(text, sa.BigInteger)
