"""Files that are kept in unusual ways, and tables that are very wide."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.support.hostile.case import Case, fill, run, sql


def _with_uncheckpointed_wal(path: Path) -> None:
    """The newest rows are in the WAL only, as after a crash of the application."""
    made = path.with_name(f"{path.name}.made")
    with closing(sqlite3.connect(made, isolation_level=None)) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("create table t(id integer primary key, s text)")
        connection.execute("insert into t values(1,'checkpointed')")
        connection.execute("pragma wal_checkpoint(truncate)")
        connection.execute("insert into t values(2,'in the WAL only')")
        connection.execute("create index later on t(s)")
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{made}{suffix}", f"{path}{suffix}")
    made.unlink()


def _with_hot_journal(path: Path) -> None:
    """Killed in the middle of a transaction: the file holds what must be rolled back."""
    made = path.with_name(f"{path.name}.made")
    with closing(sqlite3.connect(made, isolation_level=None)) as connection:
        connection.execute("create table t(id integer primary key, s text)")
        rows = ((number, "committed" * 20) for number in range(300))
        connection.execute("begin")
        connection.executemany("insert into t values(?,?)", rows)
        connection.execute("commit")
        connection.execute("pragma cache_size = 1")
        connection.execute("begin")
        connection.execute("update t set s = 'never committed'")
        connection.execute("insert into t select id + 1000, s from t")
        for suffix in ("", "-journal"):
            shutil.copyfile(f"{made}{suffix}", f"{path}{suffix}")
        connection.execute("rollback")
    made.unlink()


def _in_rollback_of_wal_mode(path: Path) -> None:
    """In WAL mode, and without a WAL beside it: a copy that somebody made."""
    run(
        path,
        "pragma journal_mode = wal",
        "create table t(id integer primary key, s text)",
        "insert into t values(1,'a')",
    )


def _wide(columns: int, value: int | None) -> Case:
    def build(path: Path) -> None:
        names = ", ".join(f"c{number} integer" for number in range(columns))
        marks = ", ".join("?" * columns)
        rows: list[tuple[object, ...]] = [(value,) * columns, (1, *(None,) * (columns - 1))]
        fill(path, f"create table wide({names})", f"insert into wide values({marks})", rows)
        run(path, "create table t(id integer primary key, s text)", "insert into t values(1,'a')")

    impossible = "" if value is None else "row rowid=1 of table 'wide' does not fit into PostgreSQL"
    return Case(
        f"columns_{columns}_{'empty' if value is None else 'full'}",
        "more columns than PostgreSQL, or one of its rows, has room for",
        build,
        impossible="wide" if columns > _MOST_COLUMNS else impossible,
    )


def _short_texts(path: Path) -> None:
    """Too short to be kept elsewhere, and too many for a page."""
    names = ", ".join(f"c{number} text" for number in range(700))
    marks = ", ".join("?" * 700)
    rows = [(number, *("longer words" if number == 3 else None,) * 700) for number in range(1, 6)]
    fill(
        path,
        f"create table wide(id integer primary key, {names})",
        f"insert into wide values(?, {marks})",
        rows,
    )


_MOST_COLUMNS: Final = 1600
"""In PostgreSQL; the bytes of a row without NULLs are fewer than those of 1600 bigints."""


def _nothing_at_all(path: Path) -> None:
    path.write_bytes(b"")


def _odd_file_name(path: Path) -> None:
    run(path, "create table t(id integer primary key)", "insert into t values(1)")


_TEXTS: Final = (
    "create table t(id integer primary key, s text, k text unique, b blob)",
    "insert into t values(1,'ä😀','x',x'00ff'),(2,'','ü',NULL),(3,'a'||char(13),'z',x'')",
    "create index by_s on t(s desc)",
    "create view v as select s || 'ß' as s from t where k <> 'ü'",
)

CASES: Final = (
    sql("utf16le", "the text is UTF-16", "pragma encoding = 'UTF-16le'", *_TEXTS),
    sql("utf16be", "the text is UTF-16", "pragma encoding = 'UTF-16be'", *_TEXTS),
    sql(
        "utf16_surrogates",
        "half a surrogate pair and an odd number of bytes",
        "pragma encoding = 'UTF-16le'",
        "create table t(id integer primary key, s text)",
        "insert into t values(1,cast(x'00d8' as text)),(2,'fine'),(3,cast(x'00dc4100' as text)),"
        "(4,cast(x'3dd800de' as text)),(5,cast(x'410042' as text))",
    ),
    Case("wal_not_checkpointed", "the newest rows are in the WAL", _with_uncheckpointed_wal),
    Case("hot_journal", "rows that were never committed are in the file", _with_hot_journal),
    Case("wal_mode_without_wal", "a reader has to make the WAL's files", _in_rollback_of_wal_mode),
    sql(
        "vacuumed_by_itself",
        "free pages, pointer maps",
        "pragma auto_vacuum = full",
        "create table t(id integer primary key, s text)",
        "with recursive n(x) as (select 1 union all select x + 1 from n where x < 2000)"
        " insert into t select x, 'row ' || x from n",
        "delete from t where id % 3 = 0",
        "drop table if exists other",
    ),
    sql(
        "small_pages",
        "values over many overflow pages",
        "pragma page_size = 512",
        "create table t(id integer primary key, s text, b blob)",
        "insert into t values(1, replace(hex(zeroblob(20000)), '00', 'xyz'), randomblob(30000))",
    ),
    sql(
        "large_pages",
        "the largest page size there is",
        "pragma page_size = 65536",
        "create table t(id integer primary key, s text)",
        "insert into t values(1, 'a')",
    ),
    sql("no_tables", "a database without tables", "pragma user_version = 1"),
    Case(
        "zero_bytes",
        "a file of no bytes is an empty database to SQLite",
        _nothing_at_all,
        impossible="empty",
    ),
    sql("views_only", "nothing but a view", "create view v as select 1 as one, 'x' as x"),
    Case(
        "odd_file_name",
        "the file's name means something in a URI",
        _odd_file_name,
        file_name="my data%20? #1 &mode=rw 'ä'.sqlite3",
    ),
    Case(
        "columns_700_short_texts",
        "one row of many, in which each value would go, is larger than a page",
        _short_texts,
        impossible="row id=3 of table 'wide' does not fit into PostgreSQL",
    ),
    _wide(1000, None),
    _wide(1500, None),
    _wide(1500, 2**40),
    _wide(2000, None),
)
