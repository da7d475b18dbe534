"""Workers that hang, die, vanish with their daemon or cannot start, and who goes on for them."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbops.v1 import operations_pb2

from tests.support.daemon import Daemon
from tests.support.demo import ledger
from tests.support.demo.client import DemoClient, State, failure_of, response_of
from tests.support.demo.daemon import demo_daemon, start_worker, worker_processes
from tests.support.family import alive
from tests.support.patience import eventually_blocking

START_S = 60.0

Worker = operations_pb2.Worker


@pytest.fixture
def ledger_path(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def unsupervised() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Workers to be ended after the test."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for each in started:
        if each.poll() is None:
            each.kill()
        each.wait()


def the_worker(daemon: Daemon) -> int:
    """The process id of its one worker."""

    def one() -> int:
        (pid,) = worker_processes(daemon)
        return pid

    return eventually_blocking(one, START_S, "there is one worker")


@pytest.mark.thorough
def test_a_worker_that_hangs_is_killed_and_one_that_keeps_dying_gives_up(
    database_dsn: str, ledger_path: Path
) -> None:
    with (
        demo_daemon(database_dsn, operations={"max_lost_workers": 3}) as running,
        DemoClient(running.wait_until_serving().grpc_address, ledger_path) as client,
    ):
        name = client.start_once_open(steps=2, step_seconds=60, child=True)
        client.runs(name)
        client.in_stage(name, "stepping")
        hanging = the_worker(running)

        os.kill(hanging, signal.SIGSTOP)
        began = time.monotonic()
        eventually_blocking(lambda: hanging not in worker_processes(running), 20, "it is killed")
        assert 8 < time.monotonic() - began < 15
        assert "has hung for 10 s" in running.log_text()
        client.runs(name, attempt=2, timeout_s=30)
        assert time.monotonic() - began < 30 + 15, "taken over within 30 s, on a busy machine"

        for attempt in (2, 3):
            client.runs(name, attempt=attempt, timeout_s=START_S)
            # Before, it would be a loss in no stage.
            client.in_stage(name, "stepping")
            os.kill(the_worker(running), signal.SIGKILL)
        ended = client.becomes(name, State.FAILED, START_S)
        assert failure_of(ended) == ("ABORTED", "WORKERS_LOST")
        assert "lost 3 workers in stage 'stepping'" in ended.error.message
        assert client.entries(name)[-1].what == ledger.CLEANED
        assert alive(name.removeprefix("operations/")) == []


@pytest.mark.thorough
def test_a_worker_that_was_away_changes_nothing_any_more(
    database_dsn: str,
    ledger_path: Path,
    tmp_path: Path,
    unsupervised: list[subprocess.Popen[bytes]],
) -> None:
    with (
        demo_daemon(database_dsn, workers=0) as running,
        DemoClient(running.wait_until_serving().grpc_address, ledger_path) as client,
    ):
        logs = [tmp_path / "one", tmp_path / "other"]
        unsupervised.extend(start_worker(running, log) for log in logs)
        eventually_blocking(
            lambda: all("works; process" in log.read_text() for log in logs), START_S, "both work"
        )
        name = client.start_once_open(steps=2, step_seconds=3, child=True)
        client.runs(name)
        has_it = client.entries(name)[0].pid
        frozen = next(each for each in unsupervised if each.pid == has_it)
        other = next(each for each in unsupervised if each.pid != has_it)

        frozen.send_signal(signal.SIGSTOP)
        client.runs(name, attempt=2, timeout_s=30)
        states = {each.pid: each.state for each in client.workers()}
        assert states == {frozen.pid: Worker.LOST, other.pid: Worker.ACTIVE}
        frozen.send_signal(signal.SIGCONT)

        assert frozen.wait(20) == 3
        log = logs[unsupervised.index(frozen)].read_text()
        assert log.count("was not heard of for too long") == 1
        ended = client.becomes(name, State.SUCCEEDED)
        assert response_of(ended).attempts == 2
        assert list(response_of(ended).step_attempts) == [2, 2]
        assert alive(name.removeprefix("operations/")) == []
        # The step that it woke up in may still have come to its end, and nothing after it.
        entries = client.entries(name)
        began_again = next(i for i, entry in enumerate(entries) if entry.attempt == 2)
        late = [each for each in entries[began_again:] if each.pid != other.pid]
        assert [(each.step, each.what) for each in late] in ([], [(1, ledger.END)])


def test_what_a_daemon_ran_goes_on_after_it_however_it_ends(
    database_dsn: str, ledger_path: Path, tmp_path: Path
) -> None:
    state_dir = tmp_path / "state"
    with (
        demo_daemon(database_dsn, state_dir=state_dir) as running,
        DemoClient(running.wait_until_serving().grpc_address, ledger_path) as client,
    ):
        name = client.start_once_open(steps=2, step_seconds=60, child=True)
        client.runs(name, timeout_s=START_S)
        of_it = name.removeprefix("operations/")
        assert running.kill() == -signal.SIGKILL
        eventually_blocking(lambda: not worker_processes(running), 15, "its worker ends")
        eventually_blocking(lambda: not alive(of_it), 5, "so do its programs")

    operations = {"max_lost_workers": 1}
    with (
        demo_daemon(database_dsn, state_dir=state_dir, operations=operations) as running,
        DemoClient(running.wait_until_serving().grpc_address, ledger_path) as client,
    ):
        # It went in order, and counts as nobody's loss.
        client.runs(name, attempt=2, timeout_s=START_S)
        began = time.monotonic()
        assert running.terminate() == 0
        assert time.monotonic() - began < 10
        assert worker_processes(running) == []
        assert alive(of_it) == []

    with (
        demo_daemon(database_dsn, state_dir=state_dir, operations=operations) as running,
        DemoClient(running.wait_until_serving().grpc_address, ledger_path) as client,
    ):
        client.runs(name, attempt=3, timeout_s=START_S)
        os.kill(the_worker(running), signal.SIGTERM)
        client.runs(name, attempt=4, timeout_s=START_S)
        client.cancel(name)
        ended = client.becomes(name, State.CANCELLED)
        assert failure_of(ended) == ("CANCELLED", "OPERATION_CANCELLED")
        assert alive(of_it) == []


@pytest.mark.thorough
def test_a_worker_that_cannot_start_is_tried_ever_less_often(
    database_dsn: str, ledger_path: Path
) -> None:
    with (
        demo_daemon(database_dsn) as running,
        DemoClient(running.wait_until_serving().grpc_address, ledger_path) as client,
    ):
        client.becomes(client.start_once_open(), State.SUCCEEDED, START_S)
        good = running.config_file.read_text()
        running.config_file.write_text(f"{good}\n[no-such-table]\n")

        os.kill(the_worker(running), signal.SIGKILL)

        ends = re.compile(r"^(\S+) ERROR .* worker \S+ ended \(exit status 2\)", re.MULTILINE)
        eventually_blocking(lambda: len(ends.findall(running.log_text())) >= 3, 60)
        assert running.log_text().count("no-such-table") == len(ends.findall(running.log_text()))
        assert "Traceback" not in running.log_text()
        running.config_file.write_text(good)
        client.becomes(client.start(), State.SUCCEEDED, START_S)


def test_an_operation_that_kills_two_workers_in_a_stage_is_given_up(
    database_dsn: str, ledger_path: Path
) -> None:
    with (
        demo_daemon(database_dsn) as running,
        DemoClient(running.wait_until_serving().grpc_address, ledger_path) as client,
    ):
        name = client.start_once_open(mishap="poison")
        ended = client.becomes(name, State.FAILED, 2 * START_S)
        assert failure_of(ended) == ("ABORTED", "WORKERS_LOST")
        assert "lost 2 workers" in ended.error.message
        begins = [entry for entry in client.entries(name) if entry.what == ledger.BEGIN]
        assert [entry.attempt for entry in begins] == [1, 2]
        client.becomes(client.start(), State.SUCCEEDED, START_S)


def test_the_operations_beside_one_that_kills_workers_succeed(
    database_dsn: str, ledger_path: Path
) -> None:
    with (
        demo_daemon(database_dsn) as running,
        DemoClient(running.wait_until_serving().grpc_address, ledger_path) as client,
    ):
        beside = [client.start_once_open(mishap="held up") for _ in range(3)]
        for name in beside:
            client.runs(name, timeout_s=START_S)
        poison = client.start(mishap="poison")
        # With all four, in the same stage.
        died = "ended (SIGKILL): starting another"
        eventually_blocking(
            lambda: running.log_text().count(died) == 2, 2 * START_S, "two workers died of it"
        )
        Path(f"{ledger_path}.released").touch()

        ended = client.becomes(poison, State.FAILED, 3 * START_S)
        assert failure_of(ended) == ("ABORTED", "WORKERS_LOST")
        for name in beside:
            # They were at work in the same stage when two workers died, and died of nothing.
            client.becomes(name, State.SUCCEEDED, 2 * START_S)
        # The third attempt of each ran alone, of which the poisonous one died.
        assert {client.metadata(name).attempt for name in beside} == {3}
        assert running.log_text().count("it runs alone") == 4
        assert client.metadata(poison).attempt == 4
