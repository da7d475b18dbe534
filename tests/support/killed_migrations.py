"""Migrations that are killed, and a watcher of what is recorded of them and what is there.

It looks at the ledger and the catalog in one snapshot, over and over.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

OFF = "-- dbops: transaction=off\n"
PAUSE = "SELECT pg_sleep(0.03);\n"
MIGRATIONS = 9
# Of each migration the last run that left something, and the tables that are there. A table of one
# that is not in a transaction has the number of the statement that makes it in its name.
WATCHED = """
SELECT DISTINCT ON (r.key) r.key, r.direction, r.result, r.statements_done, (
    SELECT coalesce(array_agg(c.relname::text ORDER BY 1), '{}') FROM pg_class c
    WHERE c.relkind = 'r' AND c.relname LIKE 't' || r.key || '\\_%'
), (
    SELECT coalesce(bool_and(i.indisvalid), false)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
    WHERE c.relname = 't' || r.key || '_1'
)
FROM dbops.migration_runs r WHERE r.result <> 'failed' ORDER BY r.key, r.id DESC
"""
UNRECORDED = """
SELECT c.relname FROM pg_class c WHERE c.relkind = 'r' AND c.relname ~ '^t[0-9]'
AND split_part(substr(c.relname, 2), '_', 1) NOT IN (SELECT key FROM dbops.migration_runs)
"""
DONE = """
SELECT key, sum(CASE direction WHEN 'up' THEN 1 ELSE -1 END)::int
FROM dbops.migration_runs WHERE result = 'done' GROUP BY key ORDER BY key
"""


def write_migrations(directory: Path) -> None:
    """Every third is not in a transaction, and builds indexes besides."""
    for number in range(1, MIGRATIONS + 1):
        name = f"t{number:03d}"
        tables = [f"CREATE TABLE {name}_{each} (id int);\n" for each in (1, 3)]
        fill = f"INSERT INTO {name}_1 SELECT generate_series(1, 500);\n"
        drops = [f"DROP TABLE {name}_{each};\n" for each in (3, 1)]
        if number % 3:
            up = tables[0] + PAUSE + tables[1] + PAUSE + fill
            down = drops[0] + PAUSE + drops[1]
        else:
            index = f"CREATE INDEX CONCURRENTLY {name}_i ON {name}_1 ((id % 7));\n"
            up = OFF + tables[0] + fill + tables[1] + PAUSE + index + PAUSE
            up += f"REINDEX INDEX CONCURRENTLY {name}_i;\n"
            up += f"CREATE INDEX CONCURRENTLY ON {name}_1 (id);\n"
            down = f"{OFF}DROP INDEX CONCURRENTLY {name}_i;\n" + drops[0] + PAUSE + drops[1]
        (directory / f"{number:03d}_m.sql").write_text(up)
        (directory / f"{number:03d}_m_rollback.sql").write_text(down)


class Watcher(threading.Thread):
    """Keeps what it saw that may not be."""

    def __init__(self, dsn: str) -> None:
        super().__init__()
        self._dsn = dsn
        self._over = threading.Event()
        self.looks = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        while not self._over.is_set():
            try:
                with psycopg.connect(self._dsn, autocommit=True) as connection:
                    while not self._over.wait(0.002):
                        self._look(connection)
            except psycopg.OperationalError:
                # The server is killed, too.
                self._over.wait(0.02)

    def close(self) -> None:
        self._over.set()
        self.join()

    def _look(self, connection: psycopg.Connection[Any]) -> None:
        try:
            rows = connection.execute(WATCHED).fetchall()
            unrecorded = connection.execute(UNRECORDED).fetchall()
        except psycopg.errors.UndefinedTable:
            return  # there is no ledger yet
        self.looks += 1
        for key, direction, result, statements_done, tables, valid in rows:
            made = {int(table.rpartition("_")[2]) for table in tables}
            recorded = _recorded(int(key), direction, statements_done)
            if made != recorded:
                self.wrong.append(f"{key}: {recorded} is recorded, and {made} is there")
            if (direction, result) == ("up", "done") and int(key) % 3 == 0 and not valid:
                self.wrong.append(f"{key} is done with an invalid index")
        if unrecorded:
            self.wrong.append(f"{unrecorded} is not recorded")


def _recorded(number: int, direction: str, statements_done: int) -> set[int]:
    """The tables that are there by what is recorded of the last run."""
    if number % 3:
        return {1, 3} if direction == "up" else set()
    if direction == "up":
        return {each for each in (1, 3) if each <= statements_done}
    return {table for table, dropped_by in ((3, 2), (1, 4)) if statements_done < dropped_by}


@contextmanager
def watched(dsn: str) -> Iterator[Watcher]:
    watcher = Watcher(dsn)
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.close()


def assert_all_there(dsn: str) -> None:
    """Every migration is applied, and none ran twice."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert _done(connection) == [(f"{number:03d}", 1) for number in range(1, MIGRATIONS + 1)]
        for number in range(1, MIGRATIONS + 1):
            counted = connection.execute(f"SELECT count(*) FROM t{number:03d}_1").fetchone()  # type: ignore[arg-type]
            assert counted == (500,), "a file ran twice"
        indexes = connection.execute(
            "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " WHERE c.relname ~ '^t[0-9]'"
        ).fetchall()
        assert len(indexes) == 2 * (MIGRATIONS // 3), indexes
        assert all(valid for _, valid in indexes)


def assert_nothing_there(dsn: str) -> None:
    """Every migration was rolled back as often as it was applied."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert _done(connection) == [(f"{number:03d}", 0) for number in range(1, MIGRATIONS + 1)]
        left = connection.execute("SELECT relname FROM pg_class WHERE relname ~ '^t[0-9]'")
        assert left.fetchall() == []


def _done(connection: psycopg.Connection[Any]) -> list[Any]:
    return connection.execute(DONE).fetchall()
