"""A standby is promoted while its primary lives: health says so, and nothing more is written."""

import asyncio
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from dbopsd.db.errors import SplitBrain
from tests.faults.conftest import StartDaemon, State
from tests.faults.writing import CREATE, UNIQUE, first_write, write
from tests.support.daemon import BIN, Daemon, clean_environment
from tests.support.patience import eventually, eventually_blocking
from tests.support.replication import ReplicationPair
from tests.support.scratch import new_directory


async def test_everybody_is_told_and_writes_wait_until_one_is_gone(
    start_daemon: StartDaemon, replication_pair: ReplicationPair
) -> None:
    pair = replication_pair
    pair.primary.execute(CREATE)
    pair.primary.execute(UNIQUE)
    pair.wait_until_caught_up()
    daemon = await start_daemon(pair.dsn())
    await write(daemon.database)
    async with daemon.asked() as answers:
        await asyncio.to_thread(pair.promote)
        await daemon.becomes(State.UNHEALTHY)
        health = await daemon.get_health()
        assert {each.check: each.reason for each in health.checks}["primaries"] == "SPLIT_BRAIN"
        assert "two primaries" in health.explanation
        assert not await daemon.serves("databases/main")
        assert await daemon.http_status("/api/health/database") == 503
        before = pair.primary.execute("SELECT count(*) FROM written")
        for _ in range(20):
            with pytest.raises(SplitBrain):
                await write(daemon.database)
        assert pair.primary.execute("SELECT count(*) FROM written") == before
        await asyncio.to_thread(pair.primary.stop)
        await first_write(daemon.database)
        await eventually(lambda: daemon.check("primaries").reason == "")
    answers.check()


@pytest.fixture
def source() -> Iterator[Path]:
    directory = new_directory("dbopsd-sqlite-")
    path = directory / "app.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
        connection.execute("INSERT INTO notes VALUES (1, 'new')")
    connection.close()
    yield path
    shutil.rmtree(directory)


@contextmanager
def running_daemon(pair: ReplicationPair, source: Path) -> Iterator[Daemon]:
    roots = json.dumps([str(source.parent)])
    config = f"[databases.main]\ndsn = {json.dumps(pair.dsn())}\nimport_roots = {roots}\n"
    with Daemon(config, server={"workers": 1}) as daemon:
        daemon.wait_until_serving(60)
        eventually_blocking(
            lambda: "dbopsd.app.worker_process: worker" in daemon.log_text(), 60, "a worker works"
        )
        yield daemon


def start_import(daemon: Daemon, source: Path, schema: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [
            str(BIN / "dbops"),
            "import",
            "run",
            str(source),
            "--database=main",
            f"--schema={schema}",
            "--timeout=60",
        ],
        env=clean_environment(DBOPS_SERVER=daemon.grpc_address),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_import_is_stopped_before_it_publishes_and_none_begins(
    replication_pair: ReplicationPair, source: Path
) -> None:
    pair = replication_pair
    pair.primary.execute("CREATE SCHEMA app; CREATE TABLE app.notes (text text)")
    pair.primary.execute("INSERT INTO app.notes VALUES ('old')")
    with running_daemon(pair, source) as daemon:
        with psycopg.connect(pair.primary.dsn()) as reader:
            # Publishing needs the table for itself.
            reader.execute("SELECT FROM app.notes")
            running = start_import(daemon, source, "app")
            waits = (
                "SELECT count(*) FROM pg_locks"
                " WHERE relation = 'app.notes'::regclass AND NOT granted"
            )
            eventually_blocking(
                lambda: pair.primary.execute(waits) == [(1,)], 60, "the import is to publish"
            )
            pair.promote()
            _, errors = running.communicate(timeout=60)
            assert running.returncode == 1
            assert "SPLIT_BRAIN" in errors
        assert pair.primary.execute("SELECT text FROM app.notes") == [("old",)]
        assert pair.standby.execute("SELECT text FROM app.notes") == [("old",)]

        refused = start_import(daemon, source, "other")
        _, errors = refused.communicate(timeout=60)
        assert refused.returncode == 1
        assert "SPLIT_BRAIN" in errors
        for server in (pair.primary, pair.standby):
            assert server.execute("SELECT to_regnamespace('other')") == [(None,)]
