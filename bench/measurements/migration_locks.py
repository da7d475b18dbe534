"""How long writers wait while a migration tries to get locks on the tables that they write to.

200 writes a second; an open transaction has written to a table. The migration alters that table, or
three of which it is the last, so that two are locked already while it waits; short transactions
hold the second one now and then. The way is never free, so that the migration gives up, and then it
is free after 10 s.
"""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from bench.child import Child
from bench.daemon import Daemon
from bench.measurement import Measurement, Row, at_least, at_most
from bench.migrations import Applied, apply, migrating_daemon
from bench.workbench import Workbench
from tests.support.servers import PostgresServer

_WRITES_PER_S = 200
_STALL_BOUND_MS = 600.0
_TABLES = ("orders", "parcels", "invoices")
_MAKE = """
  CREATE TABLE {table} (id int PRIMARY KEY, v int);
  INSERT INTO {table} SELECT g, 0 FROM generate_series(1, 1000) AS g;
"""
# Below and above what is left of the budget by then.
_SHORT_HOLD_S = (0.05, 0.45)
_HOLDER = "billing"


def _run(bench: Workbench) -> list[Row]:
    server = bench.postgres()
    for table in _TABLES:
        server.execute(_MAKE.format(table=table))
    files = bench.directory("migrations")
    daemon = migrating_daemon(bench, server.dsn(), files)
    writers = bench.child("writers", server.dsn(), str(_WRITES_PER_S), *_TABLES)
    rows: list[Row] = []
    for version, tables in ((1, _TABLES[-1:]), (2, _TABLES)):
        _write_migration(files, version, tables)
        rows += _measure(bench, server, daemon, writers, tables)
    return rows


def _measure(
    bench: Workbench,
    server: PostgresServer,
    daemon: Daemon,
    writers: Child,
    tables: tuple[str, ...],
) -> list[Row]:
    what = "one table" if len(tables) == 1 else f"{len(tables)} tables"
    held_s = bench.of(full=10.0, quick=4.0)
    bench.say(f"{what}, the way is never free")
    writers.ask("start")
    with _open_transaction(server, tables[-1]) as holder, _short_transactions(server, tables):
        refused = apply(daemon.target, "--lock-wait", str(held_s / 2))
        pid = holder.info.backend_pid
    stalls = [writers.ask("stop")]
    bench.say(f"{what}, the way is free after {held_s:g} s")
    writers.ask("start")
    with _open_transaction(server, tables[-1]) as holder, _short_transactions(server, tables):
        release = threading.Timer(held_s, holder.rollback)
        free_at = time.monotonic() + held_s
        release.start()
        applied = apply(daemon.target)
        late_s = time.monotonic() - free_at
        release.join()
    stalls.append(writers.ask("stop"))
    writes, slow = (sum(each[key] for each in stalls) for key in ("writes", "slow"))
    return [
        Row(
            f"longest wait of a writer, {what}",
            max(each["longest_ms"] for each in stalls),
            "ms",
            at_most(_STALL_BOUND_MS),
            f"{writes:.0f} writes, {slow:.0f} of them above {_STALL_BOUND_MS:.0f} ms",
        ),
        Row(
            f"applied, {what}",
            applied.succeeded,
            "of 1",
            at_least(1),
            f"{late_s:.1f} s after the way was free; {_tries(applied)}",
        ),
        Row(
            f"refused with the name of who is in the way, {what}",
            _names(refused, pid),
            "of 1",
            at_least(1),
            f"{refused.report.get('problem') or refused.said}",
        ),
    ]


def _write_migration(files: Path, version: int, tables: tuple[str, ...]) -> None:
    statements = [f"ALTER TABLE {table} ADD COLUMN w{version} int;\n" for table in tables]
    (files / f"{version:03}_more_columns.sql").write_text("".join(statements))


@contextmanager
def _open_transaction(
    server: PostgresServer, table: str
) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """One that has written to a row of the table that no writer writes to."""
    with psycopg.connect(server.dsn(application_name=_HOLDER)) as holder:
        holder.execute(sql.SQL("INSERT INTO {} VALUES (0, 0)").format(sql.Identifier(table)))
        yield holder
        holder.rollback()


@contextmanager
def _short_transactions(server: PostgresServer, tables: tuple[str, ...]) -> Iterator[None]:
    """Transactions, one after the other, on the second of several tables."""
    ended = threading.Event()

    def hold_again_and_again() -> None:
        with psycopg.connect(server.dsn(application_name="reports")) as connection:
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(tables[1]))
            while not ended.is_set():
                connection.execute(query)
                ended.wait(random.uniform(*_SHORT_HOLD_S))
                connection.rollback()
                ended.wait(random.uniform(*_SHORT_HOLD_S))

    thread = threading.Thread(target=hold_again_and_again)
    if len(tables) > 1:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if len(tables) > 1:
            thread.join()


def _names(refused: Applied, pid: int) -> bool:
    """Whether it failed, and names the open transaction's session."""
    blockers = refused.report.get("blockers", [])
    found = [each for each in blockers if each["pid"] == pid and each["application"] == _HOLDER]
    return refused.exit_code == 1 and bool(found) and _HOLDER in refused.report["problem"]


def _tries(applied: Applied) -> str:
    if not applied.report.get("migrations"):
        return applied.said
    last = applied.report["migrations"][-1]
    return f"{last['lockAttempts']} attempts"


MEASUREMENT = Measurement(
    title="Writers while migrations wait for locks on their tables", run=_run, limit_s=240.0
)
