"""A dump's files on their way to the store and back, without a server."""

import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dbopsd.backup.catalog.commit import CommitRecord, RowCounts, Stream, TableRows
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.codec.errors import BackupDamaged
from dbopsd.backup.logical.dump_stream import DumpRequest, DumpStream
from dbopsd.backup.logical.errors import DumpFailed, DumpIncomplete, ScratchFull
from dbopsd.backup.logical.stored_dump import StoredDump, _Rows
from dbopsd.backup.logical.toc import Toc, TocEntry, parse_toc
from dbopsd.backup.parts import read_parts
from dbopsd.backup.repository import Repository, open_repository
from tests.support.backup_histories import record
from tests.support.operation_run import OperationRun
from tests.support.stored_backups import backup_config

FOLDER = "main/7500000000000000001/backups/logical-1/"
# Stands for pg_dump: its directory is its last argument but the tables.
HEAD = """#!{python}
import os, sys, time
directory = next(a for a in sys.argv if a.startswith("--file="))[7:]
os.mkdir(directory)
def put(name, content):
    with open(os.path.join(directory, name), "wb") as file:
        file.write(content)
"""


@pytest.fixture
async def repository(tmp_path: Path) -> AsyncIterator[Repository]:
    async with open_repository("main", backup_config(tmp_path)) as repository:
        yield repository


@pytest.fixture
def dump(repository: Repository, tmp_path: Path) -> Callable[..., Any]:
    async def take(script: str, **fields: Any) -> tuple[DumpStream, dict[str, Stream]]:
        tool = tmp_path / "pg_dump"
        tool.write_text(HEAD.format(python=sys.executable) + script)
        tool.chmod(0o700)
        run = OperationRun(cast("Any", SimpleNamespace(name="main")), tmp_path / "run")
        stream = DumpStream(
            repository, FOLDER, await repository.keys.create(), lambda _done: None, **fields
        )
        request = DumpRequest("shop", tool, "service=x", {}, "1-1", (), tmp_path / "dump")
        streams = await stream.take(run, request)
        return stream, {each.name: each for each in streams}

    return take


async def content_of(repository: Repository, stream: Stream) -> bytes:
    found = [bytes(e) async for e in read_parts(repository.store, repository.keys, stream.parts)]
    return b"".join(found)


async def test_every_file_is_stored_and_taken_from_the_disk(
    dump: Callable[..., Any], repository: Repository, tmp_path: Path
) -> None:
    _, streams = await dump(
        'put("1.dat", b"x" * 3_000_000)\nput("2.dat", b"")\nput("blobs.toc", b"b")\n'
        'put("toc.dat", b"PGDMP")\n'
    )
    assert {name: len(await content_of(repository, each)) for name, each in streams.items()} == {
        "1.dat": 3_000_000,
        "2.dat": 0,
        "blobs.toc": 1,
        "toc.dat": 5,
    }
    assert list((tmp_path / "dump").iterdir()) == []


async def test_what_was_read_of_a_growing_file_is_given_back_to_the_disk(
    dump: Callable[..., Any], repository: Repository
) -> None:
    # It goes on only once what it wrote before takes no room any more.
    stream, streams = await dump(
        """
path = os.path.join(directory, "1.dat")
with open(path, "wb", buffering=0) as file:
    for number in range(12):
        file.write(bytes([number]) * 2**21)
        while os.stat(path).st_blocks * 512 > 2**20:
            time.sleep(0.01)
put("toc.dat", b"PGDMP")
"""
    )
    content = await content_of(repository, streams["1.dat"])
    assert content == b"".join(bytes([number]) * 2**21 for number in range(12))
    assert stream.most_scratch_bytes < 2**22


async def test_a_file_is_whole_only_when_its_writer_has_closed_it(
    dump: Callable[..., Any], repository: Repository
) -> None:
    _, streams = await dump(
        """
first = open(os.path.join(directory, "1.dat"), "wb", buffering=0)
first.write(b"begin ")
put("2.dat", b"whole")
while os.path.exists(os.path.join(directory, "2.dat")):
    time.sleep(0.01)
first.write(b"end")
first.close()
put("toc.dat", b"PGDMP")
"""
    )
    assert await content_of(repository, streams["1.dat"]) == b"begin end"


async def test_a_dump_that_fails_says_why(dump: Callable[..., Any]) -> None:
    with pytest.raises(DumpFailed, match="query failed: ERROR: no such thing"):
        await dump(
            'put("1.dat", b"x")\nsys.exit("pg_dump: error: query failed: ERROR: no such thing")'
        )


async def test_a_disk_that_is_nearly_full_ends_the_dump(dump: Callable[..., Any]) -> None:
    with pytest.raises(ScratchFull, match="less than 256 MiB are free"):
        await dump("time.sleep(600)", free_bytes=lambda _path: 10)


def test_rows_are_counted_to_the_mark_of_their_end() -> None:
    for text, count in ((b"", 0), (b"a\tb\n", 1), (b"\\\\.\n\n\\N\n", 3)):
        rows = _Rows()
        for start in range(0, len(text), 2):
            rows.count(text[start : start + 2])
        with pytest.raises(BackupDamaged, match="the end of its rows is missing"):
            rows.total("1.dat")
        rows.count(b"\\.")
        rows.count(b"\n\n\n")
        assert rows.total("1.dat") == count


def of_dump(*tables: TableRows) -> CommitRecord:
    """A record of a dump of `shop`, in which these were counted."""
    made = record(BackupKind.LOGICAL, datetime(2026, 11, 30, tzinfo=UTC), dbname="shop")
    return replace(made, row_counts=RowCounts(Lsn(0), tables))


def test_rows_that_are_not_those_of_the_snapshot_are_no_backup() -> None:
    toc = Toc("18.6", (TocEntry(7, "TABLE DATA", "public", "users", "7.dat", frozenset()),))
    dump = StoredDump(Path("/nowhere"), toc, {"7.dat": 3})
    dump.require_content(of_dump(TableRows("shop", "public", "users", 3)))
    with pytest.raises(DumpIncomplete, match=r"public\.users has 3 rows in it, not 4"):
        dump.require_content(of_dump(TableRows("shop", "public", "users", 4)))
    with pytest.raises(DumpIncomplete, match=r"public\.other has no rows at all in it, not 0"):
        dump.require_content(of_dump(TableRows("shop", "public", "other", 0)))
    with pytest.raises(BackupDamaged, match="did not read all of it"):
        dump.require_read(["7.dat"])


def test_a_dump_of_a_schema_has_every_table_and_no_rows() -> None:
    schema_only = replace(of_dump(), row_counts=None, schema_only=True)
    table = TocEntry(1, "TABLE", "public", "users", "", frozenset())
    dump = StoredDump(Path("/nowhere"), Toc("18.6", (table,)))
    dump.require_content(schema_only)
    dump.require_tables("shop", [("public", "users")])
    with pytest.raises(DumpIncomplete, match=r"table public\.other is not in it"):
        dump.require_tables("shop", [("public", "users"), ("public", "other")])
    rows = TocEntry(7, "TABLE DATA", "public", "users", "7.dat", frozenset())
    with_rows = StoredDump(Path("/nowhere"), Toc("18.6", (table, rows)))
    with pytest.raises(DumpIncomplete, match=r"schema alone, and has rows of table public\.users"):
        with_rows.require_content(schema_only)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "too early"),
        (b"nothing of the kind", "no archive"),
        (b"PGDMP\x01\x11\x00\x04\x08\x03", "format 1.17"),
        (b"PGDMP\x01\x0d\x00\x04\x08\x03", "format 1.13"),
        (b"PGDMP\x01\x10\x00\x04\x08\x01", "no dump in directory format"),
        (b"PGDMP\x01\x10\x00\x04\x08\x03\x00", "too early"),
    ],
)
def test_what_is_no_table_of_contents_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_toc(content)


def entry(id_: int, kind: str, name: str, *needs: int, schema: str = "public") -> TocEntry:
    return TocEntry(id_, kind, schema, name, "", frozenset(needs))


def test_a_table_has_what_is_its_own_and_not_what_is_others() -> None:
    toc = Toc(
        "18.6",
        (
            entry(1, "SCHEMA", "app", schema=""),
            entry(2, "TYPE", "mood"),
            entry(3, "TABLE", "users", 2),
            entry(4, "SEQUENCE", "users_id_seq"),
            entry(5, "SEQUENCE OWNED BY", "users_id_seq", 3, 4),
            entry(6, "DEFAULT", "users id", 3, 4),
            entry(7, "TABLE", "orders", 1, schema="app"),
            entry(8, "VIEW", "glad", 3),
            entry(9, "TABLE DATA", "users", 3),
            entry(10, "SEQUENCE SET", "users_id_seq", 4),
            entry(11, "CONSTRAINT", "users users_pkey", 3),
            entry(12, "FK CONSTRAINT", "orders orders_user_fkey", 7, 11, 3),
            entry(13, "COMMENT", "CONSTRAINT users_pkey", 11),
        ),
    )
    chosen = toc.of_tables([("public", "users")])
    assert [each.id for each in chosen] == [3, 4, 5, 6, 9, 10, 11, 13]
    assert [each.id for each in toc.with_needed(chosen, lambda _each: True)] == [
        2,
        3,
        4,
        5,
        6,
        9,
        10,
        11,
        13,
    ]
    orders = toc.of_tables([("app", "orders")])
    assert [each.id for each in orders] == [7]
    assert [each.id for each in toc.with_needed(orders, lambda _each: True)] == [1, 7]
    both = toc.of_tables([("app", "orders"), ("public", "users")])
    assert 12 in [each.id for each in both]
