"""The file of the values that an import keeps apart: whole and exact, or not there at all."""

import base64
import json
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dbops.v1 import operations_pb2
from dbops_client import DbopsClient

from tests.e2e.conftest import run
from tests.support.import_daemon import QUARANTINE, ImportDaemon, Imported, import_daemon
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServer

TIMEOUT_S = 90.0
BLOB = bytes(range(256)) * 3
# In `n` a blob, a text, a large real; in `s` what is no UTF-8 and a NUL; in `m` a NULL and a text
# that is empty.
ODD = """
CREATE TABLE "Ünïcode t" (id TEXT PRIMARY KEY, n INTEGER, s TEXT, m INTEGER NOT NULL);
INSERT INTO "Ünïcode t" VALUES
    ('fine', 1, 'fine', 1), ('text', 'two
lines "and" ' || char(0x2028), 'ok', 1), ('real', 1e300, 'ok', 1),
    ('é\\', 1, CAST(x'61ff62' AS TEXT), 1), ('nul', 1, 'a' || char(0) || 'b', 1);
"""


@pytest.fixture(scope="module")
def importer(server: PostgresServer) -> Iterator[ImportDaemon]:
    with import_daemon(server) as running:
        yield running


def rejects_directory(importer: ImportDaemon) -> Path:
    return importer.daemon.state_dir / "rejects"


def read(path: str) -> list[dict[str, Any]]:
    """The objects of a file of rejects."""
    content = Path(path).read_bytes()
    assert content.endswith(b"\n")
    return [json.loads(line) for line in content.split(b"\n")[:-1]]


def apart(importer: ImportDaemon, source: Path, schema: str) -> Imported:
    """An import that keeps bad rows apart."""
    return importer.run_unjudged(source, schema, *QUARANTINE)


def in_table(importer: ImportDaemon, report: dict[str, Any]) -> list[tuple[Any, ...]]:
    with psycopg.connect(importer.dsn) as connection:
        return connection.execute(
            "SELECT source_table, key, column_name, reason, value, raw FROM dbops.import_rejects"
            " WHERE import_id = %s",
            (report["operation"].removeprefix("operations/"),),
        ).fetchall()


def in_file(path: str) -> list[tuple[Any, ...]]:
    """What a file has, as the table has it."""
    names = ("table", "key", "column", "reason", "value", "raw_base64")
    found = []
    for each in read(path):
        assert tuple(each) == names
        encoded = each.pop("raw_base64")
        raw = None if encoded is None else base64.b64decode(encoded, validate=True)
        found.append((*each.values(), raw))
    return found


def test_the_bytes_of_every_value_come_back(importer: ImportDaemon) -> None:
    source = importer.files / "odd.db"
    with closing(sqlite3.connect(source)) as connection:
        connection.executescript(ODD)
        connection.execute('INSERT INTO "Ünïcode t" VALUES (?, ?, ?, ?)', ("blob", BLOB, "ok", 1))
        connection.execute("CREATE TABLE other (id INTEGER PRIMARY KEY, n INTEGER)")
        connection.execute("INSERT INTO other VALUES (1, ''), (2, 2)")
        # Older than the constraint: SQLite checks it for new rows only.
        connection.execute("CREATE TABLE gap (id INTEGER PRIMARY KEY, must TEXT)")
        connection.execute("INSERT INTO gap VALUES (1, NULL), (2, 'there')")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'must TEXT', 'must TEXT NOT NULL')"
        )
        connection.commit()
    report = apart(importer, source, "odd").report
    assert report["outcome"] == "SUCCEEDED_WITH_REJECTS", report["problem"]
    found = in_file(report["rejectsFile"])
    assert sorted(found, key=repr) == sorted(in_table(importer, report), key=repr)
    raws = {(table, key, column): raw for table, key, column, _, _, raw in found}
    assert raws == {
        ("Ünïcode t", "id='blob'", "n"): BLOB,
        ("Ünïcode t", "id='text'", "n"): 'two\nlines "and" \u2028'.encode(),
        ("Ünïcode t", "id='real'", "n"): b"1e+300",
        ("Ünïcode t", "id='é\\'", "s"): b"a\xffb",
        ("Ünïcode t", "id='nul'", "s"): b"a\0b",
        ("other", "id=1", "n"): b"",
        ("gap", "id=1", "must"): None,
    }
    reasons = {reason for _, _, _, reason, _, _ in found}
    assert {"INVALID_UTF8", "NUL_CHARACTER", "NULL_IN_NOT_NULL"} <= reasons
    operation = report["operation"].removeprefix("operations/")
    path = rejects_directory(importer) / f"{operation}.jsonl"
    assert report["rejectsFile"] == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    described = run(
        *("dbops", "import", "describe", report["operation"]),
        DBOPS_SERVER=importer.daemon.grpc_address,
    )
    assert f"Rejected values, in a file on the worker's machine: {path}" in described.out


@pytest.mark.thorough
def test_more_of_them_than_memory_is_to_hold(importer: ImportDaemon) -> None:
    source = importer.files / "many.db"
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
        rows = ((number, f"no {number}") for number in range(1, 4_568))
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        # Of such a size they come a few at a time.
        connection.execute("CREATE TABLE large (id INTEGER PRIMARY KEY, n INTEGER)")
        rows_large = ((number, bytes([number]) * 11 * 2**20) for number in range(1, 6))
        connection.executemany("INSERT INTO large VALUES (?, ?)", rows_large)
        connection.commit()
    report = apart(importer, source, "many").report
    found = read(report["rejectsFile"])
    assert [each["key"] for each in found if each["table"] == "t"] == [
        f"id={number}" for number in range(1, 4_568)
    ]
    large = [each for each in found if each["table"] == "large"]
    assert [each["key"] for each in large] == [f"id={number}" for number in range(1, 6)]
    for number, each in enumerate(large, 1):
        assert base64.b64decode(each["raw_base64"]) == bytes([number]) * 11 * 2**20


def make_bad(path: Path, rows: int = 3) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
        connection.execute("INSERT INTO t VALUES (0, 0)")
        bad = ((number, "bad") for number in range(1, rows + 1))
        connection.executemany("INSERT INTO t VALUES (?, ?)", bad)
        connection.commit()
    return path


def test_an_import_without_rejects_has_no_file(importer: ImportDaemon) -> None:
    report = apart(importer, make_bad(importer.files / "none.db", rows=0), "none").report
    assert report["outcome"] == "SUCCEEDED"
    assert report["rejectsFile"] == ""
    operation = report["operation"].removeprefix("operations/")
    assert not (rejects_directory(importer) / f"{operation}.jsonl").exists()


def test_nothing_is_published_where_the_file_cannot_be_written(importer: ImportDaemon) -> None:
    source = make_bad(importer.files / "unwritable.db")
    directory = rejects_directory(importer)
    shutil.rmtree(directory, ignore_errors=True)
    directory.write_text("in the way")
    try:
        done = apart(importer, source, "unwritable")
        assert done.code == 1
        assert done.report["outcome"] == "FAILED"
        assert done.report["rejectsFile"] == ""
        assert str(directory) in done.report["problem"]
        assert "REJECTS_UNWRITABLE" in done.errors
        with psycopg.connect(importer.dsn) as connection:
            schemas = connection.execute(
                r"SELECT 1 FROM pg_namespace WHERE nspname ~ '^(unwritable|dbops_(new|try)_.*)$'"
            ).fetchall()
        assert schemas == []
        assert in_table(importer, done.report) == []
    finally:
        directory.unlink()
    assert len(read(apart(importer, source, "unwritable").report["rejectsFile"])) == 3


@pytest.mark.thorough
def test_a_cancelled_import_leaves_no_file(importer: ImportDaemon) -> None:
    source = make_bad(importer.files / "cancelled.db")
    apart(importer, source, "cancelled")
    with (
        psycopg.connect(importer.dsn) as holder,
        DbopsClient(importer.daemon.grpc_address) as client,
    ):
        # What is to be replaced cannot be, so the import stands still just before its end.
        holder.execute("SELECT FROM cancelled.t")
        started = client.imports.run("main", str(source), schema="cancelled", bad_rows="QUARANTINE")
        operation = started.name.removeprefix("operations/")
        path = rejects_directory(importer) / f"{operation}.jsonl"
        eventually_blocking(path.exists, TIMEOUT_S, "the file is there")
        started.cancel()
        started.wait(timeout_s=TIMEOUT_S)
    assert started.metadata.state == operations_pb2.OperationMetadata.CANCELLED
    assert list(path.parent.glob(f"{operation}*")) == []
