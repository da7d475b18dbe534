"""Daemons that are killed whole, with their workers, while they apply or roll back migrations.

The daemon that is started after them ends the operation; what is recorded is there, at every
instant, and nothing runs twice.
"""

import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dbops_client import DbopsClient, Operation

from tests.support.daemon import Daemon, end_servers
from tests.support.demo.daemon import worker_processes
from tests.support.killed_migrations import (
    DONE,
    MIGRATIONS,
    assert_all_there,
    assert_nothing_there,
    watched,
    write_migrations,
)
from tests.support.patience import eventually_blocking
from tests.support.scratch import new_directory
from tests.support.servers import PostgresServer
from tests.support.soak import Soak

PATIENCE_S = 120.0


@dataclass
class Site:
    """A daemon with a worker and a folder of migrations, started again after it was killed."""

    config: str
    state_dir: Path
    dsn: str
    daemons: ExitStack

    @property
    def embedded_data(self) -> Path:
        return self.state_dir / "postgresql" / "data"

    def start(self) -> Daemon:
        daemon = Daemon(self.config, server={"workers": 1}, state_dir=self.state_dir)
        self.daemons.callback(_forget, daemon)
        return daemon.wait_until_serving(PATIENCE_S)

    def count_done(self, direction: int) -> int:
        """How many migrations are applied (1), or rolled back again (0)."""
        try:
            with psycopg.connect(self.dsn, autocommit=True) as connection:
                return sum(each[1] == direction for each in connection.execute(DONE).fetchall())
        except psycopg.errors.UndefinedTable:
            return 0


def _forget(daemon: Daemon) -> None:
    """Leave nothing of it, once all is over: the embedded server is its successors', too."""
    for pid in worker_processes(daemon):
        _kill(pid)
    if daemon.running:
        daemon.kill()
    daemon.close()


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def kill_whole(daemon: Daemon, chance: random.Random) -> None:
    """In any order, and the worker a moment after the daemon, which ends by itself then."""
    victims = [daemon.pid, *worker_processes(daemon)]
    chance.shuffle(victims)
    for pid in victims:
        _kill(pid)
        time.sleep(chance.choice([0, 0, chance.uniform(0, 0.05)]))
    daemon.wait()


@contextmanager
def external(disposable_server: Callable[[], PostgresServer]) -> Iterator[Site]:
    server = disposable_server()
    dsn = server.dsn(dbname=server.create_database())
    with _directory() as directory, ExitStack() as daemons:
        yield Site(_config(directory, dsn), directory / "state", dsn, daemons)


@contextmanager
def embedded(_disposable_server: Callable[[], PostgresServer]) -> Iterator[Site]:
    with _directory() as directory, ExitStack() as daemons:
        site = Site(_config(directory, ""), directory / "state", "", daemons)
        daemons.callback(end_servers, site.embedded_data)
        first = site.start()
        site.dsn = first.embedded_dsn()
        first.terminate()
        yield site


@contextmanager
def _directory() -> Iterator[Path]:
    directory = new_directory("dbopsd-migrations-")
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def _config(directory: Path, dsn: str) -> str:
    files = directory / "migrations"
    files.mkdir()
    write_migrations(files)
    return (
        "[databases.main]\n"
        + (f"dsn = {json.dumps(dsn)}\n" if dsn else "")
        + f"migrations_dir = {json.dumps(str(files))}\n"
        "[operations]\nheartbeat_s = 0.5\ntakeover_after_s = 3\nmax_lost_workers = 100\n"
    )


def begin(client: DbopsClient, direction: int) -> Operation[Any]:
    if direction:
        return client.migrations.apply("main")
    return client.migrations.rollback("main", count=MIGRATIONS)


@pytest.mark.soak
@pytest.mark.thorough
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("place", [external, embedded])
def test_whole_daemons_die_and_the_next_one_ends_what_they_began(
    disposable_server: Callable[[], PostgresServer],
    soak: Soak,
    place: Any,
) -> None:
    chance = soak.random()
    ends: Counter[str] = Counter()
    rounds = hits = 0
    with place(disposable_server) as site:
        daemon = site.start()
        for round_ in range(soak.scale(2, 25)):
            if soak.over:
                break
            direction = (round_ + 1) % 2
            what = f"--seed={soak.seed}, round {round_}"
            with watched(site.dsn) as watcher:
                with DbopsClient(daemon.grpc_address, timeout_s=60) as client:
                    name = begin(client, direction).name
                far = chance.randrange(MIGRATIONS)
                eventually_blocking(lambda: site.count_done(direction) >= far, PATIENCE_S, what)  # noqa: B023
                time.sleep(chance.uniform(0, 0.1))
                hits += site.count_done(direction) < MIGRATIONS
                kill_whole(daemon, chance)
                rounds += 1
                if site.embedded_data.is_dir() and chance.random() < 0.5:
                    end_servers(site.embedded_data)
                daemon = site.start()
                with DbopsClient(daemon.grpc_address, timeout_s=60) as client:
                    ended = client.operations.get(name).wait(timeout_s=PATIENCE_S)
                    ends[str(ended.error and ended.error.reason)] += 1
                    if ended.error:
                        begin(client, direction).wait(timeout_s=PATIENCE_S).result()
            assert watcher.wrong == [], what
            assert watcher.looks > 0
            if direction:
                assert_all_there(site.dsn)
            else:
                assert_nothing_there(site.dsn)
    print(f"{rounds} rounds, {hits} of them killed while at work; ends: {dict(ends)}")
    assert hits >= rounds / 2, "most rounds end before anything is killed"
