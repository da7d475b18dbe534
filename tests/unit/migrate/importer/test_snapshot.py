"""The copy of a file in every state that a file may be in, and what is said where there is none."""

import contextlib
import hashlib
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dbopsd.migrate.importer.model.errors import (
    HotJournal,
    NotSqlite,
    SnapshotCancelled,
    SnapshotFailed,
    SnapshotNoSpace,
    SourceCorrupt,
    SourceError,
    SourceLocked,
    SourceNotFound,
    SourceUnreadable,
    SourceUnstable,
)
from dbopsd.migrate.importer.model.requests import Integrity
from dbopsd.migrate.importer.snapshot.open_sqlite import open_immutable
from dbopsd.migrate.importer.snapshot.take_snapshot import Snapshot
from dbopsd.migrate.importer.snapshot.take_snapshot import take_snapshot as take_beneath
from dbopsd.security.errors import PathOutsideRoots
from tests.support.patience import eventually_blocking
from tests.support.scratch import new_directory
from tests.support.snapshots import take_snapshot
from tests.support.swapping import swapping

ROWS = 2000
_LOCKING = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print(flush=True)
sys.stdin.read()
"""
NOBODY = 65534


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The source's."""
    path = tmp_path / "a folder with 100 %#?s in it"
    path.mkdir()
    return path


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    path = tmp_path / "scratch"
    path.mkdir()
    return path


@contextmanager
def writing(path: Path, mode: str = "DELETE") -> Iterator[sqlite3.Connection]:
    """A connection in autocommit, to a new database or an old one."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("PRAGMA synchronous=OFF")
        yield connection


def fill(connection: sqlite3.Connection, rows: int = ROWS) -> None:
    connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, s TEXT)")
    connection.execute("CREATE INDEX i ON t(s)")
    connection.execute(
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        " INSERT INTO t SELECT i, printf('%0200d', i) FROM n",
        (rows,),
    )


def make(path: Path, mode: str = "DELETE") -> Path:
    with writing(path, mode) as connection:
        fill(connection)
    return path


def count(snapshot: Snapshot) -> int:
    with closing(open_immutable(snapshot.path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return connection.execute("SELECT count(*) FROM t").fetchone()[0]


def everything(folder: Path) -> dict[str, tuple[str, int]]:
    """What a folder holds, to the last bit, and when each file was last written to."""
    return {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.iterdir()
    }


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    before = everything(folder), folder.stat().st_mtime_ns
    yield
    assert (everything(folder), folder.stat().st_mtime_ns) == before


def abandon(path: Path, target: Path, *suffixes: str) -> Path:
    """The database as it would be if everybody who has it open died now."""
    for suffix in ("", *suffixes):
        shutil.copyfile(f"{path}{suffix}", f"{target}{suffix}")
    return target


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of root; whoever has none stays who they are."""
    me = os.geteuid()
    if me != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(me)


@pytest.mark.parametrize("mode", ["DELETE", "TRUNCATE", "PERSIST", "WAL"])
def test_a_file_that_nobody_has_open_is_copied_and_left_alone(
    folder: Path, scratch: Path, mode: str
) -> None:
    source = make(folder / "app.db", mode)
    with unchanged(folder):
        snapshot = take_snapshot(source, scratch)
    assert count(snapshot) == ROWS
    assert snapshot.recovered == ""
    assert snapshot.source_bytes == source.stat().st_size == snapshot.size_bytes
    assert 0 < snapshot.held_s < snapshot.took_s
    (copy,) = scratch.iterdir()
    assert copy.name == "snapshot"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o700
    assert stat.S_IMODE(snapshot.path.stat().st_mode) == 0o600
    assert not snapshot.empty


@pytest.mark.parametrize("suffixes", [["-wal"], ["-wal", "-shm"]])
def test_a_wal_file_that_a_killed_writer_left_is_played_back_in_the_copy(
    tmp_path: Path, folder: Path, scratch: Path, suffixes: list[str]
) -> None:
    with writing(tmp_path / "live.db", "WAL") as connection:
        fill(connection)
        connection.execute("BEGIN")
        connection.execute("PRAGMA cache_size=5")
        connection.execute("UPDATE t SET s = 'never committed'")
        source = abandon(tmp_path / "live.db", folder / "app.db", *suffixes)
        connection.execute("ROLLBACK")
    with unchanged(folder):
        snapshot = take_snapshot(source, scratch)
    assert snapshot.recovered == "wal"
    assert count(snapshot) == ROWS
    with closing(open_immutable(snapshot.path)) as connection:
        assert snapshot.path.read_bytes()[18:20] == b"\1\1", "it is in WAL mode no more"
        ((worst,),) = connection.execute("SELECT max(s) FROM t").fetchall()
        assert worst == f"{ROWS:0200d}"


def test_the_state_of_a_wal_file_is_that_of_the_last_commit(folder: Path, scratch: Path) -> None:
    with writing(folder / "app.db", "WAL") as connection:
        fill(connection)
        connection.execute("PRAGMA wal_checkpoint")
        connection.execute("DELETE FROM t WHERE id > 10")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM t")
        with unchanged(folder):
            snapshot = take_snapshot(folder / "app.db", scratch)
        connection.execute("ROLLBACK")
    assert count(snapshot) == 10


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
@pytest.mark.parametrize("beside", ["-wal", "-journal"])
@pytest.mark.parametrize("content", [b"", b"x", bytes(512), os.urandom(5000)])
def test_files_beside_it_with_nothing_to_play_back_are_no_hindrance(
    folder: Path, scratch: Path, mode: str, beside: str, content: bytes
) -> None:
    source = make(folder / "app.db", mode)
    Path(f"{source}{beside}").write_bytes(content)
    with unchanged(folder):
        assert count(take_snapshot(source, scratch)) == ROWS


def test_an_empty_wal_file_of_an_open_database_stays_empty_in_the_copy(
    folder: Path, scratch: Path
) -> None:
    source = folder / "app.db"
    with writing(source, "WAL") as connection:
        fill(connection)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert Path(f"{source}-wal").stat().st_size == 0
        snapshot = take_snapshot(
            source, scratch, progress=lambda _done, _total: connection.execute("DELETE FROM t")
        )
        assert snapshot.recovered == ""
        assert count(snapshot) == ROWS


def test_writers_in_wal_mode_go_on_while_the_file_is_copied(folder: Path, scratch: Path) -> None:
    with writing(folder / "app.db", "WAL") as connection:
        fill(connection)
        steps: list[tuple[int, int]] = []

        def progress(done: int, total: int) -> None:
            steps.append((done, total))
            connection.execute("DELETE FROM t WHERE id = (SELECT max(id) FROM t)")
            # Not while it is copied: that would move pages under the copier's hands.
            checkpoint = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            assert checkpoint[0] == 1
            # Another who comes and goes does not take the locks away.
            with writing(folder / "app.db", "WAL") as other:
                other.execute("DELETE FROM t WHERE id = (SELECT max(id) FROM t)")

        snapshot = take_snapshot(folder / "app.db", scratch, progress=progress)
        assert steps[-1][0] == steps[-1][1]
        # What was committed once the copying had begun may be in it, from the oldest on.
        assert ROWS - 2 * len(steps) <= count(snapshot) <= ROWS
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    assert [path.name for path in folder.iterdir()] == ["app.db"]


def test_the_last_to_close_a_wal_database_leaves_its_files_while_they_are_copied(
    folder: Path, scratch: Path
) -> None:
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(writing(folder / "app.db", "WAL"))
        fill(connection)
        snapshot = take_snapshot(
            folder / "app.db", scratch, progress=lambda _done, _total: stack.close()
        )
    assert count(snapshot) == ROWS


def test_a_writer_with_a_rollback_journal_waits_for_the_copy_alone(
    folder: Path, scratch: Path
) -> None:
    source = make(folder / "app.db")
    with writing(source) as connection:
        tried: list[str] = []

        def progress(_done: int, _total: int) -> None:
            with pytest.raises(sqlite3.OperationalError, match="locked") as error:
                connection.execute("DELETE FROM t")
            tried.append(str(error.value))
            with writing(source) as other:
                assert other.execute("SELECT count(*) FROM t").fetchone() == (ROWS,)

        snapshot = take_snapshot(source, scratch, progress=progress)
        assert tried
        connection.execute("DELETE FROM t")
    assert count(snapshot) == ROWS


def test_a_transaction_that_has_not_reached_the_file_is_not_in_the_way(
    folder: Path, scratch: Path
) -> None:
    source = make(folder / "app.db")
    with writing(source) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM t")
        assert (folder / "app.db-journal").stat().st_size > 0
        snapshot = take_snapshot(source, scratch)
        connection.execute("COMMIT")
    assert snapshot.recovered == ""
    assert count(snapshot) == ROWS


def spilled(path: Path, target: Path) -> Path:
    """A copy of a database in the middle of a transaction that has reached the file already."""
    with writing(path) as connection:
        connection.execute("PRAGMA cache_size=5")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE t SET s = 'half done'")
        abandon(path, target, "-journal")
        connection.execute("ROLLBACK")
    return target


def test_a_hot_journal_is_played_back_in_the_copy(
    tmp_path: Path, folder: Path, scratch: Path
) -> None:
    source = spilled(make(tmp_path / "live.db"), folder / "app.db")
    with closing(open_immutable(source)) as connection, contextlib.suppress(sqlite3.Error):
        # Without the journal it is in the middle of things.
        assert connection.execute("SELECT count(*) FROM t WHERE s = 'half done'").fetchone()[0]
    with unchanged(folder):
        snapshot = take_snapshot(source, scratch)
    assert snapshot.recovered == "journal"
    assert count(snapshot) == ROWS
    with closing(open_immutable(snapshot.path)) as connection:
        assert connection.execute("SELECT max(s) FROM t").fetchone() == (f"{ROWS:0200d}",)


def name_super_journal(journal: Path, name: Path) -> None:
    """What SQLite writes at the journal's end when a transaction is one over several files."""
    encoded = os.fsencode(name)
    pending_page = (0x40000000 // 4096 + 1).to_bytes(4, "big")
    total = sum(byte - 256 if byte > 127 else byte for byte in encoded) % 2**32
    with journal.open("ab") as file:
        file.write(pending_page + encoded + len(encoded).to_bytes(4, "big"))
        file.write(total.to_bytes(4, "big") + bytes.fromhex("d9d505f920a163d7"))


@pytest.mark.parametrize("names_it", [True, False])
def test_a_journal_of_several_files_is_played_back_if_they_were_not_committed(
    tmp_path: Path, folder: Path, scratch: Path, names_it: bool
) -> None:
    source = spilled(make(tmp_path / "live.db"), folder / "app.db")
    together = folder / "ä.db-mj12345678"
    # SQLite does away with one that no journal is left of.
    together.write_bytes(os.fsencode(f"{source}-journal") + b"\0" if names_it else b"")
    name_super_journal(Path(f"{source}-journal"), together)
    with unchanged(folder):
        snapshot = take_snapshot(source, scratch)
    assert snapshot.recovered == "journal"
    with closing(open_immutable(snapshot.path)) as connection:
        assert connection.execute("SELECT max(s) FROM t").fetchone() == (f"{ROWS:0200d}",)


def test_a_journal_whose_super_journal_is_not_there_is_for_its_owner_to_settle(
    tmp_path: Path, folder: Path, scratch: Path
) -> None:
    source = spilled(make(tmp_path / "live.db"), folder / "app.db")
    name_super_journal(Path(f"{source}-journal"), folder / "gone.db-mj12345678")
    with unchanged(folder), pytest.raises(HotJournal, match=r"several files.*gone\.db-mj1234567"):
        take_snapshot(source, scratch)
    assert not list(scratch.iterdir())


def test_a_folder_that_cannot_be_written_to_is_enough() -> None:
    base = new_directory("snapshot-")
    try:
        folder, scratch = base / "source", base / "scratch"
        folder.mkdir()
        scratch.mkdir()
        make(base / "live.db", "WAL")
        with writing(base / "live.db", "WAL") as connection:
            connection.execute("DELETE FROM t WHERE id > 5")
            source = abandon(base / "live.db", folder / "app.db", "-wal")
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
        scratch.chmod(0o777)
        with unchanged(folder), as_nobody():
            assert count(take_snapshot(source, scratch)) == 5
    finally:
        folder.chmod(0o700)
        shutil.rmtree(base)


def test_a_directory_that_is_swapped_for_a_link_leads_to_no_other_file(
    folder: Path, scratch: Path
) -> None:
    roots = [folder / "imports"]
    for place, rows in ((roots[0] / "deep", 3), (folder / "secret", 7)):
        place.mkdir(parents=True)
        with closing(sqlite3.connect(place / "app.db")) as connection:
            connection.execute("CREATE TABLE t(id)")
            connection.executemany("INSERT INTO t VALUES (?)", [(row,) for row in range(rows)])
            connection.commit()
    seen: set[int] = set()

    def attempt() -> None:
        source = str(roots[0] / "deep" / "app.db")
        with contextlib.suppress(SourceError, PathOutsideRoots):
            seen.add(count(take_beneath(source, roots, scratch, lock_timeout_s=0.1)))
        shutil.rmtree(scratch / "snapshot", ignore_errors=True)

    with swapping(roots[0] / "deep", folder / "secret"):
        for _ in range(100):
            attempt()
        eventually_blocking(lambda: attempt() or bool(seen), 60)
    assert seen == {3}


def test_a_journal_may_not_ask_for_files_elsewhere(
    tmp_path: Path, folder: Path, scratch: Path
) -> None:
    """It names another file. Whether there is such a one outside the roots is not told."""
    source = spilled(make(tmp_path / "live.db"), folder / "app.db")
    named = tmp_path / "app.db-mj12345678"
    name_super_journal(Path(f"{source}-journal"), named)
    for _ in range(2):
        with pytest.raises(HotJournal, match="is not there"):
            take_beneath(str(source), [folder], scratch)
        named.touch()
    assert count(take_beneath(str(source), [tmp_path], scratch)) == ROWS


def test_a_file_without_permission_is_named() -> None:
    base = new_directory("snapshot-")
    try:
        scratch = base / "scratch"
        scratch.mkdir()
        scratch.chmod(0o777)
        make(base / "app.db").chmod(0o000)
        with as_nobody(), pytest.raises(SourceUnreadable, match="permission denied"):
            take_snapshot(base / "app.db", scratch)
        (base / "app.db").chmod(0o644)
        (base / "app.db-wal").touch(0o000)
        with as_nobody(), pytest.raises(SourceUnreadable, match=r"app\.db-wal: permission denied"):
            take_snapshot(base / "app.db", scratch)
        with as_nobody(), pytest.raises(SnapshotFailed, match="permission denied"):
            take_snapshot(base / "app.db", base)
    finally:
        shutil.rmtree(base)


def test_a_database_that_is_locked_for_long_is_waited_for_only_so_long(
    folder: Path, scratch: Path
) -> None:
    source = make(folder / "app.db")
    holder = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            _LOCKING,
            str(source),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        holder.stdout.readline()
        with pytest.raises(SourceLocked) as error:
            take_snapshot(source, scratch, lock_timeout_s=0.3)
        assert error.value.holder == holder.pid
        assert f"process {holder.pid} held the lock for 0.3 s" in str(error.value)
        asked = iter([False, False, True])
        with pytest.raises(SnapshotCancelled):
            take_snapshot(source, scratch, cancelled=lambda: next(asked))
        holder.stdin.close()
        assert count(take_snapshot(source, scratch)) == ROWS


def test_an_exclusive_connection_in_wal_mode_is_waited_for_too(folder: Path, scratch: Path) -> None:
    source = make(folder / "app.db", "WAL")
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("DELETE FROM t WHERE id = 1")
        connection.commit()
        with pytest.raises(SourceLocked):
            take_snapshot(source, scratch, lock_timeout_s=0.1)


def test_what_is_not_there_or_not_a_file_is_named(folder: Path, scratch: Path) -> None:
    with pytest.raises(SourceNotFound, match="does not exist"):
        take_snapshot(folder / "nothing.db", scratch)
    with pytest.raises(SourceUnreadable, match="it is a directory"):
        take_snapshot(folder, scratch)
    os.mkfifo(folder / "pipe")
    with pytest.raises(SourceUnreadable, match="it is a pipe"):
        take_snapshot(folder / "pipe", scratch)
    make(folder / "app.db")
    (folder / "app.db-wal").symlink_to("app.db")
    with pytest.raises(SourceUnreadable, match=r"app\.db-wal: it is a symbolic link"):
        take_snapshot(folder / "app.db", scratch)
    (folder / "app.db-wal").unlink()
    with pytest.raises(SourceNotFound, match="does not exist"):
        take_snapshot(folder / "no" / "folder.db", scratch)
    with pytest.raises(SourceUnreadable, match="not a directory"):
        take_snapshot(folder / "app.db" / "x", scratch)
    with pytest.raises(SnapshotFailed, match="no such file or directory"):
        take_snapshot(folder / "app.db", scratch / "nowhere")
    assert not list(scratch.iterdir())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"x", "it is text"),
        ("CREATE TABLE täble(x);\n".encode() * 500, "it is text.*sqlite3 NEW < FILE"),
        (os.urandom(8192), "random.*encrypted.*decrypt it first"),
        (os.urandom(2 * 2**20), "encrypted"),
        (bytes(4096), "zeros"),
        (b"\x1f\x8b\x08" + os.urandom(100), "gzip"),
        (b"PK\x03\x04" + os.urandom(100), "ZIP"),
        (b"** This file contains an SQLite 2.1 database **" + bytes(1000), "SQLite 2"),
        (b"\x89PNG\r\n" + bytes(500), "begins with the bytes 89 50 4e 47"),
        (b"SQLite format 3\0", "only its first bytes"),
        (b"SQLite format 3\0" + os.urandom(8176), "only its first bytes.*encrypted"),
    ],
)
def test_what_is_not_sqlite_is_told_apart(
    folder: Path, scratch: Path, content: bytes, said: str
) -> None:
    source = folder / "app.db"
    source.write_bytes(content)
    with unchanged(folder), pytest.raises(NotSqlite, match=said) as error:
        take_snapshot(source, scratch)
    assert "\n" not in str(error.value)
    assert not list(scratch.iterdir())


@pytest.mark.parametrize("beside", [(), ("-wal", "-journal")])
def test_an_empty_file_is_a_database_without_tables(
    folder: Path, scratch: Path, beside: tuple[str, ...]
) -> None:
    source = folder / "app.db"
    source.touch()
    for suffix in beside:
        Path(f"{source}{suffix}").write_bytes(b"of another database")
    with unchanged(folder):
        snapshot = take_snapshot(source, scratch)
    assert snapshot.empty
    with closing(open_immutable(snapshot.path)) as connection:
        assert connection.execute("SELECT * FROM sqlite_schema").fetchall() == []


@pytest.mark.parametrize("integrity", list(Integrity))
def test_a_truncated_file_is_damaged_whatever_is_checked(
    folder: Path, scratch: Path, integrity: Integrity
) -> None:
    source = make(folder / "app.db")
    os.truncate(source, source.stat().st_size // 2)
    with pytest.raises(SourceCorrupt, match=r"is damaged: .*malformed.*recover"):
        take_snapshot(source, scratch, integrity=integrity)
    assert not list(scratch.iterdir())


def overwrite(source: Path, table: str, content: bytes) -> None:
    """Put `content` over the beginning of a page of a table or an index, not its first one."""
    with closing(sqlite3.connect(source)) as connection:
        ((page,),) = connection.execute(
            "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' LIMIT 1 OFFSET 3",
            (table,),
        ).fetchall()
    with source.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(content)


@pytest.mark.parametrize(
    ("integrity", "damaged", "found"),
    [
        (Integrity.QUICK, "t", True),
        (Integrity.FULL, "t", True),
        (Integrity.OFF, "t", False),
    ],
)
def test_damaged_pages_are_found_by_the_checks(
    folder: Path, scratch: Path, integrity: Integrity, damaged: str, found: bool
) -> None:
    source = make(folder / "app.db")
    overwrite(source, damaged, bytes(4096))
    if not found:
        assert take_snapshot(source, scratch, integrity=integrity).size_bytes
        return
    with pytest.raises(SourceCorrupt) as error:
        take_snapshot(source, scratch, integrity=integrity)
    assert 1 <= len(error.value.problems) <= 5
    assert "\n" not in str(error.value)
    assert error.value.metadata["source"] == str(source)


def test_an_index_that_disagrees_with_its_table_is_found_by_the_full_check(
    folder: Path, scratch: Path
) -> None:
    source = make(folder / "app.db")
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("CREATE TABLE u(s TEXT)")
        root = "(SELECT rootpage FROM sqlite_schema WHERE name = 'u')"
        connection.execute(f"UPDATE sqlite_schema SET rootpage = {root} WHERE name = 'u'")
        connection.execute(
            "UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t(id)' WHERE name='i'"
        )
        connection.commit()
    assert take_snapshot(source, scratch, integrity=Integrity.QUICK).size_bytes
    shutil.rmtree(scratch / "snapshot")
    with pytest.raises(SourceCorrupt, match="index i"):
        take_snapshot(source, scratch, integrity=Integrity.FULL)


@pytest.mark.parametrize("integrity", [Integrity.QUICK, Integrity.FULL])
def test_values_that_break_constraints_are_no_damage(
    folder: Path, scratch: Path, integrity: Integrity
) -> None:
    source = folder / "app.db"
    with writing(source) as connection:
        connection.execute("CREATE TABLE t(a INTEGER CHECK (a > 0), b TEXT)")
        connection.execute("CREATE TABLE strict(a INTEGER, b TEXT)")
        connection.execute("PRAGMA ignore_check_constraints=ON")
        connection.execute("INSERT INTO t VALUES (-1, NULL), (1, 'x')")
        connection.execute("INSERT INTO strict VALUES ('text', 1)")
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'b TEXT)', 'b TEXT NOT NULL)')"
            " WHERE name = 't'"
        )
        connection.execute("UPDATE sqlite_schema SET sql = sql || ' STRICT' WHERE name = 'strict'")
    with closing(sqlite3.connect(source)) as connection:
        told = connection.execute("PRAGMA quick_check").fetchall()
        assert len(told) >= 3, "SQLite itself complains"
    assert count_all(take_snapshot(source, scratch, integrity=integrity)) == 2


def count_all(snapshot: Snapshot) -> int:
    with closing(open_immutable(snapshot.path)) as connection:
        return connection.execute("SELECT count(*) FROM t").fetchone()[0]


def test_a_table_that_needs_what_is_not_here_is_named_and_the_others_are_checked(
    folder: Path, scratch: Path
) -> None:
    source = folder / "app.db"
    with writing(source) as connection:
        connection.create_collation("icu", lambda one, other: (one > other) - (one < other))
        fill(connection)
        connection.execute('CREATE TABLE "odd ""one"(s TEXT COLLATE icu PRIMARY KEY) WITHOUT ROWID')
        connection.execute("""INSERT INTO "odd ""one" VALUES ('a'), ('b')""")
    snapshot = take_snapshot(source, scratch, integrity=Integrity.FULL)
    assert snapshot.unchecked == ('odd "one',)
    assert take_snapshot(source, scratch) == snapshot, "also when it is read back"
    shutil.rmtree(scratch / "snapshot")
    overwrite(source, "t", bytes(4096))
    with pytest.raises(SourceCorrupt):
        take_snapshot(source, scratch, integrity=Integrity.FULL)


def test_a_whole_copy_is_taken_as_it_is_the_next_time(folder: Path, scratch: Path) -> None:
    source = make(folder / "app.db")
    snapshot = take_snapshot(source, scratch)
    source.unlink()
    assert take_snapshot(source, scratch) == snapshot
    assert snapshot.path.is_relative_to(scratch)


def test_a_copy_in_the_making_is_not_taken_for_a_whole_one(folder: Path, scratch: Path) -> None:
    source = make(folder / "app.db")
    for name in ("source.db", "source.db-wal", "snapshot.json"):
        path = scratch / "snapshot.making" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    assert count(take_snapshot(source, scratch)) == ROWS
    assert [path.name for path in scratch.iterdir()] == ["snapshot"]


def test_progress_is_of_bytes_up_to_all_of_them(folder: Path, scratch: Path) -> None:
    source = folder / "app.db"
    with writing(source, "WAL") as connection:
        fill(connection, 100_000)
        told: list[tuple[int, int]] = []
        snapshot = take_snapshot(
            source, scratch, progress=lambda done, total: told.append((done, total))
        )
    assert len(told) > 2
    assert told == sorted(told)
    assert told[-1] == (snapshot.source_bytes, snapshot.source_bytes)


@pytest.mark.parametrize("looks", [0, 1, 2, 3])
def test_a_cancelled_copy_leaves_nothing(folder: Path, scratch: Path, looks: int) -> None:
    """At its beginning, in the middle, and while it is checked."""
    source = folder / "app.db"
    with writing(source) as connection:
        fill(connection, 80_000)
    asked = iter([False] * looks)
    with pytest.raises(SnapshotCancelled):
        take_snapshot(source, scratch, cancelled=lambda: next(asked, True))
    assert not list(scratch.iterdir())


def touch_behind_its_back(source: Path) -> Callable[[int, int], None]:
    """Writes to the file as no process does that knows SQLite's locks."""

    def touch(_done: int, _total: int) -> None:
        status = source.stat()
        os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns + 1))

    return touch


def test_a_file_that_changes_in_spite_of_the_locks_is_refused(folder: Path, scratch: Path) -> None:
    source = make(folder / "app.db")
    with pytest.raises(SourceUnstable, match="changed 5 times"):
        take_snapshot(source, scratch, progress=touch_behind_its_back(source))
    assert not list(scratch.iterdir())


def test_a_writer_who_comes_in_wal_mode_in_the_middle_has_it_copied_again(
    folder: Path, scratch: Path
) -> None:
    source = make(folder / "app.db", "WAL")
    with contextlib.ExitStack() as stack:

        def come(_done: int, _total: int) -> None:
            connection = stack.enter_context(writing(source, "WAL"))
            connection.execute("DELETE FROM t WHERE id = (SELECT max(id) FROM t)")

        snapshot = take_snapshot(source, scratch, progress=come)
        assert snapshot.recovered == "wal"
        assert count(snapshot) < ROWS


def test_space_is_looked_for_before_anything_is_copied(folder: Path, scratch: Path) -> None:
    source = make(folder / "app.db")
    size = shutil.disk_usage(scratch).free + 4096 * 1000
    os.truncate(source, size // 4096 * 4096)
    with pytest.raises(SnapshotNoSpace) as error:
        take_snapshot(source, scratch)
    assert error.value.needed_bytes > size - 4096
    assert str(error.value.needed_bytes) in str(error.value)
    assert str(error.value.free_bytes) in str(error.value)
    assert not list(scratch.iterdir())
