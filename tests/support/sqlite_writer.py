"""A program that writes to a SQLite database, and what must be so in each state that it commits.

`python -m tests.support.sqlite_writer PATH MODE` commits in a journal mode until SIGTERM, and then
prints how often, and how long the longest commit took. `… PATH MODE dirty` has a transaction reach
the file, says so, and waits for its end by another hand.
"""

import contextlib
import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.support.daemon import ROOT

MODES = ("DELETE", "TRUNCATE", "PERSIST", "WAL")
_ACCOUNTS = 1000
_BALANCE = 100


def create(path: Path, mode: str, ballast_bytes: int = 0) -> None:
    """Accounts, whose sum never changes, and a ledger, whose length is in the counter."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE accounts(id INTEGER PRIMARY KEY, balance, pad)")
        connection.execute("CREATE TABLE ledger(n INTEGER PRIMARY KEY, moved, pad)")
        connection.execute("CREATE TABLE counter(n)")
        connection.execute("CREATE TABLE ballast(b)")
        connection.execute("INSERT INTO counter VALUES (0)")
        accounts = ((number, _BALANCE) for number in range(_ACCOUNTS))
        connection.executemany("INSERT INTO accounts VALUES (?, ?, randomblob(1000))", accounts)
        blobs = ((1000,) for _ in range(ballast_bytes // 1000))
        connection.executemany("INSERT INTO ballast VALUES (randomblob(?))", blobs)
        connection.execute("COMMIT")


def commits_of(connection: sqlite3.Connection) -> int:
    """How many transactions a state has, once it is certain that it is a committed one."""
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    (total,) = connection.execute("SELECT sum(balance) FROM accounts").fetchone()
    assert total == _ACCOUNTS * _BALANCE
    (commits,) = connection.execute("SELECT n FROM counter").fetchone()
    ledger = connection.execute("SELECT count(*), coalesce(max(n), 0) FROM ledger").fetchone()
    assert ledger == (commits, commits)
    return commits


class Writer:
    """The program, from its first commit on."""

    def __init__(self, path: Path, mode: str, *, dirty: bool = False) -> None:
        self._process = subprocess.Popen(
            (
                *(sys.executable, "-m", "tests.support.sqlite_writer", str(path), mode),
                *(("dirty",) if dirty else ()),
            ),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def stop(self) -> dict[str, float]:
        """End it in good order: how many `commits` there were, and the `longest_s` of them."""
        self._process.terminate()
        output, _ = self._process.communicate(timeout=30)
        assert self._process.returncode == 0
        return json.loads(output)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def writer(path: Path, mode: str, *, dirty: bool = False) -> Iterator[Writer]:
    """A writer that is killed at the end of the context, if it still runs then."""
    running = Writer(path, mode, dirty=dirty)
    try:
        yield running
    finally:
        running.kill()


def _write(connection: sqlite3.Connection) -> None:
    # One page of it at a time would be all that a commit ever writes.
    some = [random.randrange(_ACCOUNTS) for _ in range(20)]
    connection.execute("BEGIN IMMEDIATE")
    for number in some:
        other = (number + random.randrange(1, _ACCOUNTS)) % _ACCOUNTS
        connection.execute("UPDATE accounts SET balance = balance - 1 WHERE id = ?", (number,))
        connection.execute("UPDATE accounts SET balance = balance + 1 WHERE id = ?", (other,))
    connection.execute("UPDATE counter SET n = n + 1")
    connection.execute("INSERT INTO ledger SELECT n, ?, randomblob(500) FROM counter", (len(some),))
    connection.execute("COMMIT")


def _main(path: str, mode: str, how: str = "") -> None:
    asked_to_end = False

    def ask(_number: int, _frame: object) -> None:
        nonlocal asked_to_end
        asked_to_end = True

    signal.signal(signal.SIGTERM, ask)
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("PRAGMA synchronous=NORMAL")
        # So that pages reach the file before the commit does.
        connection.execute("PRAGMA cache_size=10")
        _write(connection)
        if how == "dirty":
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE accounts SET balance = -1, pad = randomblob(1000)")
            print("ready", flush=True)
            signal.pause()
        print("ready", flush=True)
        commits, longest = 1, 0.0
        while not asked_to_end:
            began = time.monotonic()
            _write(connection)
            longest = max(longest, time.monotonic() - began)
            commits += 1
        print(json.dumps({"commits": commits, "longest_s": longest}))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        _main(*sys.argv[1:])
