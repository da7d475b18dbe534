"""A writer whose commits are numbered, and what of them a restore to a moment must have."""

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

import psycopg

from dbopsd.backup.model.requests import RecoveryTarget
from tests.support.servers import PostgresServer

CREATE = """
CREATE TABLE counted (n int PRIMARY KEY);
CREATE TABLE noise (id bigint GENERATED ALWAYS AS IDENTITY, filler text)
"""


@dataclass(frozen=True)
class Commit:
    """The commit of row `n`: its transaction, its time, and a position just after it."""

    n: int
    xid: str
    at: datetime
    after: str
    point: str
    """A restore point between this commit and the next one; empty for most."""


@dataclass
class Line:
    """The commits of one timeline, those before its beginning included, in order."""

    commits: list[Commit] = field(default_factory=list)

    def until(self, n: int) -> list[int]:
        """The rows that are there once row `n` was committed."""
        return [each.n for each in self.commits if each.n <= n]

    def committed_by(self, time: datetime, *, exclusive: bool = False) -> list[int]:
        """The rows that were committed at a time, or before it if it is `exclusive`."""
        return [
            each.n for each in self.commits if (each.at < time if exclusive else each.at <= time)
        ]

    def moment(
        self, chance: random.Random, after: int, timeline: str = ""
    ) -> tuple[RecoveryTarget, list[int]]:
        """A moment of any kind after the commit of row `after`, and the rows that it has."""
        later = [each for each in self.commits if each.n > after]
        # Something follows each but the last one, and all of the WAL is there.
        commit, following = chance.choice(list(pairwise(later)))
        exclusive = chance.random() < 0.3
        kind = chance.choice(["time", "exact time", "lsn", "xid", "name"])
        if kind == "time":
            between = commit.at + (following.at - commit.at) * chance.random()
            target = RecoveryTarget(time=between, exclusive=exclusive, timeline=timeline)
            return target, self.committed_by(between, exclusive=exclusive)
        if kind == "exact time":
            target = RecoveryTarget(time=commit.at, exclusive=exclusive, timeline=timeline)
            return target, self.committed_by(commit.at, exclusive=exclusive)
        if kind == "lsn":
            target = RecoveryTarget(lsn=commit.after, exclusive=exclusive, timeline=timeline)
            return target, self.until(commit.n)
        points = [each for each in later[:-1] if each.point]
        if kind == "name" and points:
            pointed = chance.choice(points)
            target = RecoveryTarget(name=pointed.point, timeline=timeline)
            return target, self.until(pointed.n)
        target = RecoveryTarget(xid=commit.xid, exclusive=exclusive, timeline=timeline)
        return target, self.until(commit.n - 1 if exclusive else commit.n)


class Writer:
    """Commits one row after another in a thread, and rolls some back; another one makes noise.

    `side`: a table that gets each row, too.
    """

    def __init__(self, server: PostgresServer, line: Line, *, side: str = "") -> None:
        self._server = server
        self._line = line
        self._side = side
        self._stopping = threading.Event()
        self._failures: list[BaseException] = []

    @property
    def last(self) -> int:
        """The number of the last row that was committed."""
        return self._line.commits[-1].n if self._line.commits else 0

    def wait_for(self, count: int) -> None:
        """Return once so many more rows are committed."""
        until = self.last + count
        while self.last < until:
            assert not self._failures, self._failures
            time.sleep(0.01)

    def write(self, chance: random.Random) -> None:
        """Write until it is stopped."""
        with self._connected() as connection:
            while not self._stopping.is_set():
                n = self.last + 1
                if chance.random() < 0.2:
                    with contextlib.suppress(psycopg.Rollback), connection.transaction():
                        connection.execute("INSERT INTO counted VALUES (%s)", [-n])
                        raise psycopg.Rollback
                with connection.transaction():
                    row = connection.execute(
                        "INSERT INTO counted VALUES (%s) RETURNING pg_current_xact_id()::text", [n]
                    ).fetchone()
                    if self._side:
                        connection.execute(f"INSERT INTO {self._side} VALUES (%s)", [n])
                assert row is not None
                point = f"point {n} of {time.monotonic_ns()}" if chance.random() < 0.1 else ""
                if point:
                    connection.execute("SELECT pg_create_restore_point(%s)", [point])
                seen = connection.execute(
                    "SELECT pg_xact_commit_timestamp(%s::xid), pg_current_wal_insert_lsn()::text",
                    [row[0]],
                ).fetchone()
                assert seen is not None
                self._line.commits.append(Commit(n, row[0], *seen, point))
                time.sleep(chance.uniform(0, 0.02))

    def make_noise(self) -> None:
        """Fill segments, with short and with long transactions."""
        with self._connected() as connection:
            while not self._stopping.is_set():
                with connection.transaction():
                    connection.execute(
                        "INSERT INTO noise (filler) SELECT repeat(md5(g::text), 30)"
                        " FROM generate_series(1, 300) AS g"
                    )
                time.sleep(0.02)

    @contextlib.contextmanager
    def writing(self, chance: random.Random) -> Iterator["Writer"]:
        """Write during the body."""
        threads = [
            threading.Thread(target=self._kept, args=(self.write, chance)),
            threading.Thread(target=self._kept, args=(self.make_noise,)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join()
        assert not self._failures, self._failures

    @contextlib.contextmanager
    def _connected(self) -> Iterator["psycopg.Connection[tuple[str, ...]]"]:
        with contextlib.closing(psycopg.connect(self._server.dsn(), autocommit=True)) as connection:
            yield connection

    def _kept(self, work: object, *arguments: object) -> None:
        try:
            work(*arguments)  # type: ignore[operator]
        except BaseException as error:
            self._failures.append(error)
