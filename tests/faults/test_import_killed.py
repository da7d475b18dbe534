"""Imports whose worker, API, processes or server are killed: every row once, or nothing at all."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dbops.v1 import migrate_pb2
from dbops_client import FailedPreconditionError

from tests.support.demo.daemon import worker_processes
from tests.support.killed_imports import (
    END_S,
    STAGES,
    STOPPED_S,
    Killed,
    State,
    kill,
    killable_imports,
)
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServers
from tests.support.soak import Soak


@pytest.fixture(scope="module")
def killed(servers: PostgresServers) -> Iterator[Killed]:
    with killable_imports(servers) as found:
        yield found


def kill_worker(killed: Killed, _name: str, _chance: random.Random) -> None:
    for pid in worker_processes(killed.daemon):
        kill(pid)


def kill_api(killed: Killed, _name: str, _chance: random.Random) -> None:
    killed.daemon.kill()
    killed.start()


def kill_process(killed: Killed, name: str, chance: random.Random) -> None:
    found = killed.processes(name)
    if found:
        kill(int(chance.choice(found).partition(":")[0]))


def restart_server(killed: Killed, _name: str, chance: random.Random) -> None:
    killed.server.stop(chance.choice(["fast", "immediate"]))
    time.sleep(chance.uniform(0, 1))
    killed.server.start()


def end_backend(killed: Killed, _name: str, chance: random.Random) -> None:
    killed.server.terminate_backends(chance.choice(["dbopsd import", "dbopsd import process"]))


FAULTS: dict[str, Callable[[Killed, str, random.Random], None]] = {
    "worker": kill_worker,
    "process": kill_process,
    "api": kill_api,
    "backend": end_backend,
    "server": restart_server,
}


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_whatever_dies_every_row_arrives_once(killed: Killed, soak: Soak) -> None:
    chance = soak.random()
    for round_ in range(soak.scale(3, 60)):
        fault = chance.choice(list(FAULTS))
        name = killed.begin()
        stage = chance.choice([*STAGES, "copy", "copy", "verify"])
        what = f"--seed={soak.seed}, round {round_}: {fault} killed at {stage}"
        killed.reaches(name, stage)
        time.sleep(chance.uniform(0, 0.5))
        FAULTS[fault](killed, name, chance)
        end = killed.assert_all_or_nothing(name, what)
        assert end == "SUCCEEDED", what


def test_parts_that_are_copied_are_not_copied_again(killed: Killed) -> None:
    name = killed.begin()
    parts = "SELECT source_table, part, xmin::text FROM dbops.import_parts ORDER BY 1, 2"

    def some() -> list[Any]:
        return killed.rows(parts)

    before = eventually_blocking(some, END_S, "a part is copied")
    kill_worker(killed, name, random.Random(0))
    after: list[Any] = []

    def staged() -> bool:
        found = killed.rows(parts)
        after[:] = found or after
        return killed.operation(name).done

    eventually_blocking(staged, END_S, "it ends")
    assert killed.operation(name).metadata.attempt >= 2
    assert set(before) <= set(after), "what was recorded stayed as it was"
    assert killed.assert_all_or_nothing(name, "worker killed while copying") == "SUCCEEDED"


def test_an_import_cut_off_after_its_publication_tells_the_same(killed: Killed) -> None:
    """The API and the worker die between the publication and the operation's end."""
    name = killed.begin(skip_verification=False)
    short = name.removeprefix("operations/")

    def is_published() -> bool:
        query = f"SELECT state FROM dbops.imports WHERE import_id = '{short}'"
        return killed.rows(query) == [("PUBLISHED",)]

    eventually_blocking(is_published, END_S, "it is published")
    kill_worker(killed, name, random.Random(0))
    assert killed.assert_all_or_nothing(name, "worker killed after publication") == "SUCCEEDED"


def with_standby(killed: Killed, name: str) -> None:
    """Have every COMMIT wait for a standby of that name, or for none."""
    killed.server.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
    killed.server.execute("SELECT pg_reload_conf()")


@pytest.mark.thorough
def test_a_revert_whose_worker_dies_before_it_can_tell_has_succeeded(killed: Killed) -> None:
    """The worker dies while its COMMIT waits, which the server lets through afterwards."""
    name = killed.begin(mode=migrate_pb2.RunImportRequest.REPLACE)
    assert killed.ends(name).error is None

    def is_waiting() -> bool:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        return killed.rows(query) != [(0,)]

    with_standby(killed, "nobody")
    try:
        with killed.client() as client:
            reverting = client.imports.revert("main", name).name
        eventually_blocking(is_waiting, END_S, "its COMMIT waits for a standby")
        kill_worker(killed, reverting, random.Random(0))
    finally:
        with_standby(killed, "")
    ended = killed.ends(reverting)
    assert ended.error is None
    assert ended.metadata.attempt > 1
    report = ended.result()
    assert sorted(report.removed_tables) == ["facts", "owners"]
    assert killed.rows("SELECT FROM pg_tables WHERE schemaname = 'app'") == []


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_cancelling_leaves_nothing_at_any_stage(killed: Killed, soak: Soak) -> None:
    short = ("snapshot", "copy", "keys and indexes")
    for stage in soak.scale(short, STAGES[1:] * 5):
        if cancel_at(killed, stage) < STOPPED_S:
            continue
        # Other tests may have had the machine for a moment, but not twice in three times.
        again = [cancel_at(killed, stage) for _ in range(2)]
        assert max(again) < STOPPED_S, f"{stage}: its work went on for {again} s"


def cancel_at(killed: Killed, stage: str) -> float:
    """How long an import's work went on after it was cancelled at a stage, in seconds."""
    name = killed.begin()
    killed.reaches(name, stage)
    took_s = stop(killed, name)
    ended = killed.ends(name)
    if ended.error is None:
        killed.assert_equal("the cancelling came too late")
        return 0.0
    assert ended.metadata.state == State.CANCELLED
    assert killed.assert_all_or_nothing(name, f"cancelled at {stage}") == "CANCELLED"
    assert killed.processes(name) == []
    return took_s


def stop(killed: Killed, name: str) -> float:
    """Cancel, and return once none of its processes and none of its statements is left.

    What cleans up after it comes later, on connections of its own.
    """
    at_work = (
        "SELECT query FROM pg_stat_activity WHERE application_name LIKE 'dbopsd import%%'"
        " AND state <> 'idle' AND backend_start < to_timestamp(%s)"
    )
    with killed.client() as client, psycopg.connect(killed.dsn, autocommit=True) as connection:
        asked = time.time()
        began = time.monotonic()
        with contextlib.suppress(FailedPreconditionError):  # it has ended by now
            client.operations.cancel(name)
        eventually_blocking(
            lambda: (
                not (killed.processes(name) or connection.execute(at_work, (asked,)).fetchall())
            ),
            END_S,
            "its work has stopped",
        )
        return time.monotonic() - began


def test_a_backend_that_hangs_does_not_hold_a_cancelling(killed: Killed) -> None:
    name = killed.begin()
    killed.reaches(name, "stage")
    short = name.removeprefix("operations/")
    # What is behind an import's own lock: with it, making the primary key stands still.
    find = f"SELECT staging_schema FROM dbops.imports WHERE import_id = '{short}'"
    ((schema,),) = eventually_blocking(lambda: killed.rows(find), END_S, "it is staged")
    waiting = (
        "SELECT pid FROM pg_stat_activity"
        " WHERE application_name = 'dbopsd import' AND wait_event_type = 'Lock'"
    )
    with psycopg.connect(killed.dsn) as holder:
        holder.execute(f'SELECT FROM "{schema}".facts LIMIT 1')
        (hung,) = eventually_blocking(lambda: killed.rows(waiting), END_S, "it waits")[0]
        os.kill(hung, signal.SIGSTOP)
        try:
            with killed.client() as client:
                began = time.monotonic()
                client.operations.cancel(name)
            eventually_blocking(lambda: not killed.processes(name), END_S, "its processes end")
            # The driver alone would wait five seconds for the backend's answer.
            assert time.monotonic() - began < 4
        finally:
            os.kill(hung, signal.SIGCONT)
    assert killed.assert_all_or_nothing(name, "a backend hung") == "CANCELLED"


@pytest.fixture
def full_scratch(killed: Killed) -> Iterator[Path]:
    """Operations have a disk of 4 MiB to work on."""
    path = killed.state_dir / "scratch"
    path.mkdir(exist_ok=True)
    mount = ("mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(path))
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield path
    subprocess.run(("umount", "--lazy", str(path)), check=True)


def test_a_disk_without_room_for_the_copy(killed: Killed, full_scratch: Path) -> None:
    name = killed.begin()
    ended = killed.ends(name)
    assert ended.error is not None
    assert ended.error.reason == "SNAPSHOT_NO_SPACE"
    eventually_blocking(lambda: not list(full_scratch.iterdir()), 10, "its files are gone")
    assert killed.left() == []


def make_bad(path: Path, rows: int) -> Path:
    """A file with so many rows whose number is a text of 200 characters, and one that is whole."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bad (id INTEGER PRIMARY KEY, n INTEGER)")
        values = ((number, "x" * 200) for number in range(1, rows + 1))
        connection.executemany("INSERT INTO bad VALUES (?, ?)", [(0, 0), *values])
        connection.commit()
    return path


@pytest.fixture
def full_rejects(killed: Killed) -> Iterator[Path]:
    """There are 64 KiB of room for the values that do not arrive."""
    path = killed.state_dir / "rejects"
    path.mkdir(mode=0o700, exist_ok=True)
    mount = ("mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", str(path))
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield path
    subprocess.run(("umount", "--lazy", str(path)), check=True)


def test_a_disk_without_room_for_the_rejects(killed: Killed, full_rejects: Path) -> None:
    killed.forget()
    source = make_bad(killed.source.with_name("full.db"), 1000)
    with killed.client() as client:
        name = client.imports.run("main", str(source), schema="app", bad_rows="QUARANTINE").name
    ended = killed.ends(name)
    assert ended.error is not None
    assert ended.error.reason == "REJECTS_UNWRITABLE"
    assert "no space left on device" in str(ended.error)
    assert list(full_rejects.iterdir()) == []
    assert killed.left() == []


@pytest.mark.thorough
def test_rejects_are_written_anew_by_the_attempt_that_publishes(killed: Killed) -> None:
    killed.forget()
    source = make_bad(killed.source.with_name("bad.db"), 2500)
    with killed.client() as client:
        first = client.imports.run("main", str(source), schema="app", bad_rows="QUARANTINE").name
        assert killed.ends(first).error is None
        with psycopg.connect(killed.dsn) as holder:
            # Nothing is published while somebody reads what is to be replaced.
            holder.execute("SELECT FROM app.bad")
            name = client.imports.run("main", str(source), schema="app", bad_rows="QUARANTINE").name
            short = name.removeprefix("operations/")
            path = killed.state_dir / "rejects" / f"{short}.jsonl"
            eventually_blocking(path.exists, END_S, "the file is there")
            before = path.stat().st_ino
            # A file of which nobody knows what it has: as if it was not the same.
            path.write_text("cut off")
            kill_worker(killed, name, random.Random(0))
            eventually_blocking(lambda: path.stat().st_ino != before, END_S, "there is a new one")
    ended = killed.ends(name)
    assert ended.metadata.attempt >= 2
    report = ended.result()
    assert report.outcome == migrate_pb2.ImportReport.SUCCEEDED_WITH_REJECTS
    assert report.rejects_file == str(path)
    assert {json.loads(line)["key"] for line in path.read_text().splitlines()} == {
        f"id={number}" for number in range(1, 2501)
    }
    assert [each.name for each in path.parent.glob(f"{short}*")] == [path.name]
