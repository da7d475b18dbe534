"""SQL of mappings and of files that is written to harm: it harms its own operation alone."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dbops.v1 import operations_pb2
from dbops_client import DbopsClient, Operation

from bench.proc import cpu_s, family
from tests.support.daemon import Daemon
from tests.support.demo.daemon import worker_processes
from tests.support.family import alive
from tests.support.import_daemon import import_daemon
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServer

State = operations_pb2.OperationMetadata
END_S = 120.0
STAGES = ("", "snapshot", "inspect", "profile", "plan", "stage", "copy", "verify")
# A daemon and a worker at rest use less than a tenth of a core, even where each second counts.
AT_REST_CPU_S = 0.5

ENDLESS = "WITH RECURSIVE q(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM q)"
SMALL = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'x'), (2, 'y');"
LARGE_TEXT = "length(replace(hex(zeroblob(5000000)), '0', 'ab'))"


@dataclass
class Importer:
    daemon: Daemon
    dsn: str
    files: Path
    worker: int

    def client(self) -> DbopsClient:
        return DbopsClient(self.daemon.grpc_address, timeout_s=END_S)

    def file(self, name: str, script: str = SMALL) -> Path:
        path = self.files / f"{name}.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(script)
        return path

    def ended(self, source: Path, toml: str = "", **options: Any) -> Operation:
        """An import, once it has ended; its worker has not."""
        with self.client() as client:
            started = client.imports.run(
                "main", str(source), schema="limited", mapping=toml, **options
            )
            ended = client.operations.wait(started.name, within_s=END_S)
        self.check_nothing_left(ended)
        return ended

    def check_nothing_left(self, operation: Operation) -> None:
        """Nothing runs, nothing computes, nothing is left, and the worker is the same."""
        token = operation.name.removeprefix("operations/")
        eventually_blocking(lambda: alive(token) == [], 10, "its processes are gone")
        eventually_blocking(
            lambda: self._cpu_of_a_second() < AT_REST_CPU_S, 20, "no processor time is used"
        )
        assert worker_processes(self.daemon) == [self.worker]
        scratch = self.daemon.state_dir / "scratch" / token
        eventually_blocking(lambda: not scratch.exists(), 10, "its files are gone")
        with psycopg.connect(self.dsn) as connection:
            left = connection.execute(
                "SELECT nspname FROM pg_namespace WHERE nspname ~ '^(dbops_(new|try)_|limited)'"
            ).fetchall()
        assert left == []

    def _cpu_of_a_second(self) -> float:
        before = self._cpu_s()
        time.sleep(1.0)
        return self._cpu_s() - before

    def _cpu_s(self) -> float:
        # What ends meanwhile has no number any more.
        found = 0.0
        for pid in family(self.daemon.pid):
            try:
                found += cpu_s(pid)
            except OSError:
                continue
        return found


@pytest.fixture(scope="module")
def importer(server: PostgresServer) -> Iterator[Importer]:
    limits = 'import_memory_limit = "600MB"\nimport_cpu_limit_s = 4\n'
    with import_daemon(server, limits) as running:
        with DbopsClient(running.daemon.grpc_address, timeout_s=END_S) as client:
            eventually_blocking(lambda: list(client.workers.list()), 60, "a worker is there")
        (worker,) = worker_processes(running.daemon)
        yield Importer(running.daemon, running.dsn, running.files, worker)


def where(condition: str) -> str:
    return f"[tables.t]\nwhere = {json.dumps(condition)}\n"


def expression(text: str) -> str:
    return f"[tables.t.columns.a]\ntype = 'text'\nexpression = {json.dumps(text)}\n"


@pytest.mark.parametrize(
    ("toml", "reason", "said"),
    [
        (
            where("fts3_tokenizer('simple', x'4141414141414141') IS NOT NULL"),
            "INVALID_MAPPING",
            "calls fts3_tokenizer(), which SQL of a mapping may not",
        ),
        pytest.param(
            expression("load_extension('/tmp/x')"), "INVALID_MAPPING", "calls load_extension()",
            marks=pytest.mark.thorough,
        ),
        (where(f"id IN ({ENDLESS} SELECT n FROM q)"), "IMPORT_CPU_LIMIT", "at 'plan'"),
        pytest.param(
            where("id IN (SELECT n FROM endless)"), "IMPORT_CPU_LIMIT", "at 'plan'",
            marks=pytest.mark.thorough,
        ),
        (expression(f"({ENDLESS} SELECT max(n) FROM q)"), "IMPORT_CPU_LIMIT", "at 'copy'"),
        pytest.param(
            expression("zeroblob(1000000000)"), "TABLE_UNREADABLE", "out of memory",
            marks=pytest.mark.thorough,
        ),
        (
            where("length((WITH RECURSIVE q(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM q LIMIT"
                  " 60) SELECT group_concat(hex(zeroblob(n + 400000))) FROM q)) > 0"),
            "",
            "",
        ),
        pytest.param(
            where("length((WITH RECURSIVE q(n) AS (SELECT zeroblob(9000000) UNION ALL SELECT"
                  " zeroblob(length(n) + 1) FROM q) SELECT json_group_array(hex(n)) FROM q)) > 0"),
            "IMPORT_MEMORY_LIMIT",
            "at 'plan'",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            where("(SELECT count(*) FROM (WITH RECURSIVE q(n, z) AS (SELECT 1, zeroblob(9000000)"
                  " UNION SELECT n + 1, zeroblob(9000000 + n) FROM q) SELECT * FROM q)) > 0"),
            "IMPORT_",
            "at 'plan'",
            marks=pytest.mark.thorough,
        ),
    ],
    ids=[
        *("fts3_tokenizer", "load_extension", "endless condition", "endless view"),
        *("endless expression", "zeroblob", "much", "too long", "ever more"),
    ],
)  # fmt: skip
def test_sql_of_a_mapping(importer: Importer, toml: str, reason: str, said: str) -> None:
    source = importer.file(
        f"mapping{time.monotonic_ns()}", f"{SMALL} CREATE VIEW endless AS {ENDLESS} SELECT n FROM q"
    )
    if not reason:
        with importer.client() as client:
            started = client.imports.plan("main", str(source), mapping=toml)
            ended = client.operations.wait(started.name, within_s=END_S)
        assert ended.error is None
        return
    ended = importer.ended(source, toml)
    assert ended.error is not None
    assert ended.error.reason.startswith(reason), str(ended.error)
    assert said in str(ended.error)


def schema_edited(path: Path, name: str, sql: str) -> None:
    """Have the file say what SQLite would not take."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (sql, name))
        connection.commit()


@pytest.mark.thorough
def test_generated_columns_that_never_end(importer: Importer) -> None:
    source = importer.file(
        "generated",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, g AS (id)); INSERT INTO t (id) VALUES (1), (2)",
    )
    # One call takes hours: SQLite asks nobody within, whether it is to be interrupted.
    slow = "instr(hex(zeroblob(9000000)), hex(zeroblob(4000000)) || 'c')"
    schema_edited(source, "t", f"CREATE TABLE t (id INTEGER PRIMARY KEY, g AS ({slow}))")
    ended = importer.ended(source)
    assert ended.error is not None
    assert ended.error.reason == "IMPORT_CPU_LIMIT", str(ended.error)


def test_a_schema_that_calls_what_it_may_not(importer: Importer) -> None:
    source = importer.file(
        "schema", "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b AS (upper(a)));"
        "INSERT INTO t (a) VALUES ('x')",
    )  # fmt: skip
    schema_edited(
        source,
        "t",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT DEFAULT (load_extension('x')),"
        " b AS (fts3_tokenizer('simple', a)), CHECK (fts3_tokenizer('simple') IS NOT NULL))",
    )
    with importer.client() as client:
        started = client.imports.plan("main", str(source))
        ended = client.operations.wait(started.name, within_s=END_S)
    # The report names its virtual column, or the whole file; nothing is called.
    assert ended.done
    assert worker_processes(importer.daemon) == [importer.worker]


def corrupt(path: Path) -> None:
    content = bytearray(path.read_bytes())
    # The pages of rows, from their kind and their numbers of cells on.
    for page in range(2, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(content)


def test_pages_that_are_none(importer: Importer) -> None:
    source = importer.file(
        "corrupt",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT);"
        "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 2000)"
        " INSERT INTO t SELECT i, 'row ' || i FROM s",
    )
    corrupt(source)
    ended = importer.ended(source, integrity="OFF")
    assert ended.error is not None
    assert ended.error.reason in ("SOURCE_UNREADABLE", "TABLE_UNREADABLE"), str(ended.error)


def locked(importer: Importer, stack: ExitStack) -> Path:
    """A file whose writer does not let go."""
    source = importer.file("locked")
    writer = stack.enter_context(closing(sqlite3.connect(source, isolation_level=None)))
    writer.execute("BEGIN EXCLUSIVE")
    return source


def many_tables(importer: Importer, _stack: ExitStack) -> Path:
    tables = "".join(f"CREATE TABLE t{i} (a PRIMARY KEY, b UNIQUE);" for i in range(4000))
    return importer.file("tables", f"BEGIN; {tables} COMMIT")


def slow_column(importer: Importer, _stack: ExitStack) -> Path:
    return importer.file(
        "column",
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, g AS ({LARGE_TEXT}));"
        "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 1000)"
        " INSERT INTO t (id) SELECT i FROM s",
    )


def small(importer: Importer, _stack: ExitStack) -> Path:
    return importer.file("small")


def many_rows(importer: Importer, _stack: ExitStack) -> Path:
    return importer.file(
        "rows",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT);"
        "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 400000)"
        " INSERT INTO t SELECT i, 'row ' || i FROM s",
    )


@pytest.mark.parametrize(
    "how", ["cancelled", pytest.param("timed out", marks=pytest.mark.thorough)]
)
@pytest.mark.parametrize(
    ("stage", "make", "toml"),
    [
        ("snapshot", locked, ""),
        pytest.param("inspect", many_tables, "", marks=pytest.mark.thorough),
        pytest.param("profile", slow_column, "", marks=pytest.mark.thorough),
        ("plan", small, where(f"id IN ({ENDLESS} SELECT n FROM q)")),
        ("copy", small, expression(f"({ENDLESS} SELECT max(n) FROM q)")),
        ("verify", many_rows, ""),
    ],
    ids=lambda each: each if isinstance(each, str) and "[" not in each else "",
)
def test_nothing_computes_after_the_end(
    importer: Importer,
    how: str,
    stage: str,
    make: Callable[[Importer, ExitStack], Path],
    toml: str,
) -> None:
    with ExitStack() as stack:
        (importer.files / "x").touch()
        for path in importer.files.iterdir():
            path.unlink()
        source = make(importer, stack)
        client = stack.enter_context(importer.client())
        options = {"operation_timeout_s": 2.0} if how == "timed out" else {}
        started = client.imports.run("main", str(source), schema="limited", mapping=toml, **options)

        def there() -> bool:
            found = client.operations.get(started.name)
            return found.done or STAGES.index(found.metadata.stage) >= STAGES.index(stage)

        eventually_blocking(there, END_S, f"it is at {stage}")
        if how == "cancelled":
            client.operations.cancel(started.name)
        ended = client.operations.wait(started.name, within_s=END_S)
        importer.check_nothing_left(ended)
    assert ended.metadata.state == (State.CANCELLED if how == "cancelled" else State.FAILED)
    if how == "timed out":
        assert ended.error is not None
        assert ended.error.reason == "OPERATION_TIMED_OUT"
