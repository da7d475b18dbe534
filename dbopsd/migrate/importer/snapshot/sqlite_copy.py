"""Recovers the copy of a database with SQLite, and checks it for damage."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from dbopsd.migrate.importer.model.errors import (
    HotJournal,
    NotSqlite,
    SnapshotCancelled,
    SourceCorrupt,
    SourceUnreadable,
)
from dbopsd.migrate.importer.model.requests import Integrity
from dbopsd.migrate.importer.model.source_schema import quote_sqlite
from dbopsd.migrate.importer.processes.limits import is_out_of_time
from dbopsd.migrate.importer.snapshot.open_sqlite import open_for_recovery, open_immutable

_PROBLEMS_NAMED: Final = 5
# SQLite stops at its limit, and most of what it finds may be no damage.
_PROBLEMS_LOOKED_AT: Final = 1_000_000
# What the checks also tell: values that break a constraint of their table, in a file that is whole.
# The import finds those itself, and knows what to do about them.
_NO_DAMAGE: Final = (
    "NULL value in ",
    "CHECK constraint failed in ",
    "NUMERIC value in ",
    "TEXT value in ",
    "non-INTEGER value in ",
    "non-INT value in ",
    "non-REAL value in ",
    "non-TEXT value in ",
    "non-BLOB value in ",
)


def recover(copy: Path, source: str, *, journal: bool) -> None:
    """Play back the journal or the `-wal` file beside `copy`, and remove it.

    `journal` says that it is a journal. Raises `HotJournal`, `NotSqlite`, `SourceCorrupt`,
    `SourceUnreadable`; `sqlite3.OperationalError` where the disk is in the way.
    """
    with contextlib.closing(open_for_recovery(copy)) as connection:
        try:
            # The caller syncs the copy in the end.
            connection.execute("PRAGMA synchronous=OFF")
            # A database in WAL mode would need its `-wal` file wherever it is read.
            connection.execute("PRAGMA journal_mode=DELETE")
            # The size that the header tells is believed only by reading.
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.DatabaseError as error:
            if journal and not _is_of_the_disk(error):
                raise HotJournal(source, str(error)) from error
            raise _translated(error, source) from error
    for suffix in ("-journal", "-wal"):
        if Path(f"{copy}{suffix}").exists():
            raise HotJournal(source, "SQLite leaves it where it is")


def check(
    copy: Path, source: str, integrity: Integrity, cancelled: Callable[[], bool]
) -> tuple[str, ...]:
    """Check `copy` for damage.

    Returns the tables that could not be looked at, because this SQLite lacks a collation or a
    module that they use. Raises `SourceCorrupt`, `NotSqlite`, `SourceUnreadable`,
    `SnapshotCancelled`.
    """
    with contextlib.closing(
        open_immutable(copy, cancelled=cancelled, stand_ins=False)
    ) as connection:
        try:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if integrity is Integrity.OFF:
                return ()
            connection.execute("PRAGMA ignore_check_constraints=ON")
            # Each cell's place within its page, too.
            connection.execute("PRAGMA cell_size_check=ON")
            pragma = "quick_check" if integrity is Integrity.QUICK else "integrity_check"
            return _look(connection, source, pragma)
        except sqlite3.DatabaseError as error:
            raise _translated(error, source) from error


def _look(connection: sqlite3.Connection, source: str, pragma: str) -> tuple[str, ...]:
    try:
        _raise_problems(_problems(connection, pragma, _PROBLEMS_LOOKED_AT), source)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_ERROR:
            raise
    else:
        return ()
    unchecked = []
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    for (table,) in tables:
        try:
            _raise_problems(_problems(connection, pragma, quote_sqlite(table)), source)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_ERROR:
                raise
            unchecked.append(table)
    return tuple(unchecked)


def _problems(connection: sqlite3.Connection, pragma: str, argument: object) -> Iterator[str]:
    for (line,) in connection.execute(f"PRAGMA {pragma}({argument})"):
        if line != "ok" and not line.startswith(_NO_DAMAGE):
            yield line


def _raise_problems(problems: Iterator[str], source: str) -> None:
    first: list[str] = []
    for problem in problems:
        # Several may come as one, under a heading.
        first.extend(line for line in problem.splitlines() if not line.startswith("***"))
        if len(first) >= _PROBLEMS_NAMED:
            break
    if first:
        raise SourceCorrupt(source, tuple(first[:_PROBLEMS_NAMED]))


def _translated(error: sqlite3.DatabaseError, source: str) -> Exception:
    match error.sqlite_errorcode & 0xFF:
        case sqlite3.SQLITE_INTERRUPT if not is_out_of_time():
            return SnapshotCancelled(source)
        case sqlite3.SQLITE_NOTADB:
            return NotSqlite(
                source, "only its first bytes are SQLite's; it may be encrypted, or damaged"
            )
        case sqlite3.SQLITE_CORRUPT:
            # A schema may be malformed to this version alone, and be written by a later one.
            problem = f"{error} (to SQLite {sqlite3.sqlite_version})"
            return SourceCorrupt(source, (problem,))
        case sqlite3.SQLITE_INTERRUPT:
            return error
        case _ if _is_of_the_disk(error):
            return error
        case _:
            return SourceUnreadable(source, f"SQLite says: {error}")


def _is_of_the_disk(error: sqlite3.DatabaseError) -> bool:
    return error.sqlite_errorcode & 0xFF in (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
    )
