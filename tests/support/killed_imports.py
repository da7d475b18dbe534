"""Imports that are killed: a daemon with its database, and what must be left of each of them."""

import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from dbops.v1 import migrate_pb2, operations_pb2
from dbops_client import DbopsClient, Operation

from tests.support.daemon import Daemon
from tests.support.family import alive
from tests.support.installations import DEFAULT_VERSION
from tests.support.patience import eventually_blocking
from tests.support.scratch import new_directory
from tests.support.servers import PostgresServer, PostgresServers

State = operations_pb2.OperationMetadata
ROWS = 200_000
END_S = 120.0
STOPPED_S = 2.0
"""Within which nothing works any more on an import that was cancelled."""
STAGES = (
    *("", "snapshot", "inspect", "profile", "plan", "stage"),
    *("copy", "verify", "keys and indexes", "statistics", "publish"),
)
LEFT = r"""
SELECT nspname FROM pg_namespace WHERE nspname ~ '^dbops_(new|try)_'
UNION ALL SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('app')
"""


@dataclass
class Killed:
    """A daemon that may be killed, its database, and the file that is imported over and over."""

    daemon: Daemon
    server: PostgresServer
    dsn: str
    source: Path
    config: str
    state_dir: Path

    def start(self) -> None:
        """The daemon, again, once it has been killed."""
        self.daemon.close()
        self.daemon = new_daemon(self.config, self.state_dir)

    def client(self) -> DbopsClient:
        return DbopsClient(self.daemon.grpc_address, timeout_s=60)

    def begin(self, **options: Any) -> str:
        """An import into a schema where nothing is yet."""
        self.forget()
        with self.client() as client:
            return client.imports.run("main", str(self.source), schema="app", **options).name

    def operation(self, name: str) -> Operation[Any]:
        with self.client() as client:
            return client.operations.get(name)

    def reaches(self, name: str, stage: str) -> None:
        """Return once it is that far, or farther."""

        def there() -> bool:
            found = self.operation(name)
            return found.done or STAGES.index(found.metadata.stage) >= STAGES.index(stage)

        eventually_blocking(there, END_S, f"it is at {stage}")

    def ends(self, name: str) -> Operation[Any]:
        """The operation, once it has ended, however often the daemon does meanwhile."""

        def ended() -> Operation[Any] | None:
            found = self.operation(name)
            return found if found.done else None

        found = eventually_blocking(ended, END_S, "it ends")
        assert found is not None
        return found

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(statement).fetchall()

    def left(self) -> list[tuple[Any, ...]]:
        """What is to be seen of an import that failed."""
        # From the first import on.
        recorded = self.rows("SELECT to_regclass('dbops.imports') IS NOT NULL") == [(True,)]
        records = self.rows("SELECT import_id FROM dbops.imports") if recorded else []
        return [*self.rows(LEFT), *records]

    def forget(self) -> None:
        """Nothing of earlier imports is there."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            schemas = connection.execute(
                "SELECT quote_ident(nspname) FROM pg_namespace"
                r" WHERE nspname ~ '^(app$|dbops_(new|old)_)'"
            ).fetchall()
            for (schema,) in schemas:
                connection.execute(f"DROP SCHEMA {schema} CASCADE")
            if connection.execute("SELECT to_regclass('dbops.imports')").fetchone() != (None,):
                connection.execute("DELETE FROM dbops.imports")

    def processes(self, name: str) -> list[str]:
        """Those of the import itself, each with its number before a colon."""
        return alive(name.removeprefix("operations/"))

    def assert_all_or_nothing(self, name: str, what: str) -> str:
        """How it ended."""
        ended = self.ends(name)
        eventually_blocking(lambda: not self.processes(name), 10, "its processes are gone")
        scratch = self.state_dir / "scratch" / name.removeprefix("operations/")
        eventually_blocking(lambda: not scratch.exists(), 10, "its files are gone")
        if ended.error is None:
            report = ended.result()
            assert report.outcome == migrate_pb2.ImportReport.SUCCEEDED, what
            assert report.rows == report.copied_rows == report.verified_rows == ROWS + 1000, what
            self.assert_equal(what)
        else:
            assert self.left() == [], f"{what}: {ended.error}"
        return State.State.Name(ended.metadata.state)

    def assert_equal(self, what: str) -> None:
        with closing(sqlite3.connect(self.source)) as connection:
            for table in ("facts", "owners"):
                expected = connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
                assert self.rows(f"SELECT * FROM app.{table} ORDER BY id") == expected, what
        left = self.rows(r"SELECT nspname FROM pg_namespace WHERE nspname ~ '^dbops_(new|try)_'")
        assert left == [], what


def new_daemon(config: str, state_dir: Path) -> Daemon:
    running = Daemon(config, server={"workers": 1, "shutdown_grace_s": 5}, state_dir=state_dir)
    return running.wait_until_serving()


def make_source(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE owners (id INTEGER PRIMARY KEY, name TEXT UNIQUE);"
            "CREATE TABLE facts (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES owners,"
            " text TEXT, number REAL);"
            "CREATE INDEX facts_by_owner ON facts (owner);"
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
            " INSERT INTO owners SELECT i, 'owner ' || i FROM n;"
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})"
            " INSERT INTO facts SELECT i * 3, i % 1000 + 1, 'fact ' || i, i / 7.0 FROM n;"
        )


@contextmanager
def killable_imports(servers: PostgresServers) -> Iterator[Killed]:
    """A daemon of its own on a server of its own."""
    server = servers.disposable(DEFAULT_VERSION)
    files = new_directory("dbopsd-imports-")
    source = files / "source.db"
    make_source(source)
    dsn = server.dsn(dbname=server.create_database())
    config = (
        f"[databases.main]\ndsn = {json.dumps(dsn)}\nimport_roots = [{json.dumps(str(files))}]\n"
        "[operations]\nheartbeat_s = 0.5\ntakeover_after_s = 3\nmax_lost_workers = 100\n"
    )
    state_dir = files / "state"
    found = Killed(new_daemon(config, state_dir), server, dsn, source, config, state_dir)
    yield found
    found.daemon.close()
    servers.discard(server)
    shutil.rmtree(files, ignore_errors=True)


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
