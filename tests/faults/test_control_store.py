"""The control store goes away, hangs and runs full, and nothing that was acknowledged is lost."""

import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from dbopsd.operations.store.tables import VERSION
from tests.support.controlurl import as_url
from tests.support.demo import ledger
from tests.support.demo.client import DemoClient, State, refusal_of, response_of
from tests.support.demo.daemon import demo_daemon, worker_processes
from tests.support.family import alive
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServer

AWAY = ("UNAVAILABLE", "CONTROL_STORE_UNAVAILABLE")
# Of the façade's 8 s, on a busy machine.
ANSWER_S = 9.0
# The claim of an attempt that was interrupted is let go after 10 s.
BACK_AT_WORK_S = 40.0
OPEN_S = 60.0


@pytest.fixture
def control(disposable_server: Callable[..., PostgresServer]) -> PostgresServer:
    """The server of the control store, in its database `control`."""
    server = disposable_server()
    server.execute("CREATE DATABASE control")
    return server


@contextmanager
def health_asked(client: DemoClient) -> Iterator[list[float]]:
    """How long each answer took, in seconds; one that fails is one of a minute."""
    took: list[float] = []
    enough = threading.Event()

    def ask() -> None:
        while not enough.wait(0.02):
            began = time.monotonic()
            try:
                client.health()
            except grpc.RpcError:
                took.append(60.0)
            else:
                took.append(time.monotonic() - began)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield took
    finally:
        enough.set()
        asking.join()


def refused(client: DemoClient, **fields: object) -> tuple[float, tuple[str, str], str]:
    """How long a start took to be refused, how, and in which words."""
    began = time.monotonic()
    with pytest.raises(grpc.RpcError) as error:
        client.start(**fields)  # type: ignore[arg-type]
    return time.monotonic() - began, refusal_of(error.value), error.value.details() or ""


def assert_each_step_ended_once(client: DemoClient, name: str, steps: int) -> None:
    done = response_of(client.get(name))
    assert done.steps_done == steps
    for number, attempt in enumerate(done.step_attempts, start=1):
        ends = [e for e in client.entries(name) if (e.step, e.what) == (number, ledger.END)]
        assert ends[-1].attempt == attempt, "done again when it was done"


@pytest.mark.parametrize("how", ["killed", pytest.param("stopped", marks=pytest.mark.thorough)])
def test_a_control_store_that_is_away_holds_up_operations_alone(
    database_dsn: str, control: PostgresServer, tmp_path: Path, how: str
) -> None:
    url = as_url(control.dsn(dbname="control"))
    with (
        demo_daemon(database_dsn, control_url=url) as running,
        DemoClient(running.wait_until_serving().grpc_address, tmp_path / "ledger") as client,
    ):
        name = client.start_once_open(steps=4, step_seconds=1)
        client.runs(name, step=2)
        before = worker_processes(running)
        with health_asked(client) as took:
            control.stop() if how == "stopped" else control.kill()
            for _ in range(20):
                seconds, why, words = refused(client)
                assert why == AWAY
                assert "Connection refused" in words
                assert seconds < 1
            with pytest.raises(grpc.RpcError) as error:
                client.cancel(name)
            assert refusal_of(error.value) == AWAY
            eventually_blocking(lambda: len(took) >= 100, 20, "health was asked often")
            control.start()
        assert statistics.quantiles(took, n=100)[98] < 0.5

        another = eventually_blocking(lambda: client.start(), 10, "operations start again")
        client.becomes(another, State.SUCCEEDED)
        client.becomes(name, State.SUCCEEDED, BACK_AT_WORK_S)
        assert_each_step_ended_once(client, name, 4)
        assert worker_processes(running) == before, "the worker is still the same"
        lines = [line for line in running.log_text().splitlines() if " WARNING " in line]
        assert len(lines) < 20, running.log_text()


@pytest.mark.thorough
def test_a_control_store_that_hangs_is_waited_for_only_so_long(
    database_dsn: str, control: PostgresServer, tmp_path: Path
) -> None:
    url = as_url(control.dsn(dbname="control"))
    with (
        demo_daemon(database_dsn, control_url=url) as running,
        DemoClient(running.wait_until_serving().grpc_address, tmp_path / "ledger") as client,
    ):
        name = client.start_once_open(steps=3, step_seconds=1)
        client.runs(name, step=2)
        before = worker_processes(running)
        with health_asked(client) as took, control.paused():
            with ThreadPoolExecutor(24) as threads:
                answers = list(threads.map(lambda _: refused(client), range(24)))
            answers.append(refused(client))
            assert [why for _, why, _ in answers] == [AWAY] * 25
            assert max(seconds for seconds, _, _ in answers) < ANSWER_S
        assert statistics.quantiles(took, n=100)[98] < 0.5

        began = time.monotonic()
        another = client.start()
        assert time.monotonic() - began < 2, "what was given up is not done first"
        client.becomes(another, State.SUCCEEDED)
        client.becomes(name, State.SUCCEEDED, BACK_AT_WORK_S)
        assert_each_step_ended_once(client, name, 3)
        assert worker_processes(running) == before, "the worker is still the same"

        client.runs(client.start(step_seconds=60))
        control.pause()
        began = time.monotonic()
        assert running.terminate(40) == 0
        # The grace of 5 s, and what is left to the worker after it.
        assert time.monotonic() - began < 15
        assert worker_processes(running) == []
        control.resume()


@pytest.mark.thorough
def test_a_worker_that_is_cut_off_ends_its_operations_before_others_may_take_them(
    database_dsn: str, control: PostgresServer, tmp_path: Path
) -> None:
    url = as_url(control.dsn(dbname="control"))
    takeover_s = 12
    with (
        demo_daemon(
            database_dsn, control_url=url, operations={"takeover_after_s": takeover_s}
        ) as running,
        DemoClient(running.wait_until_serving().grpc_address, tmp_path / "ledger") as client,
    ):
        name = client.start_once_open(step_seconds=600, child=True)
        client.runs(name, timeout_s=OPEN_S)
        operation = name.removeprefix("operations/")
        assert alive(operation)
        before = worker_processes(running)

        with control.paused():
            # Nobody can tell it that it is lost: it counts for itself.
            eventually_blocking(lambda: not alive(operation), takeover_s, "its programs end")
            assert worker_processes(running) == before

        client.runs(name, attempt=2, timeout_s=BACK_AT_WORK_S)
        client.cancel(name)
        client.becomes(name, State.CANCELLED)


def test_a_daemon_starts_without_its_control_store_and_beside_a_newer_one(
    database_dsn: str, control: PostgresServer, tmp_path: Path
) -> None:
    url = as_url(control.dsn(dbname="control"))
    control.stop()
    with (
        demo_daemon(database_dsn, control_url=url) as running,
        DemoClient(running.wait_until_serving().grpc_address, tmp_path / "ledger") as client,
    ):
        assert client.health()
        assert refused(client)[1] == AWAY
        control.start()
        name = eventually_blocking(lambda: client.start(), 10, "operations start")
        client.becomes(name, State.SUCCEEDED, 40)
        assert running.terminate() == 0

    control.execute(f"UPDATE dbopsd.store_version SET version = {VERSION + 1}", "control")
    with (
        demo_daemon(database_dsn, control_url=url) as running,
        DemoClient(running.wait_until_serving().grpc_address, tmp_path / "ledger") as client,
    ):
        newer = ("UNAVAILABLE", "CONTROL_STORE_NEWER")
        eventually_blocking(lambda: refused(client)[1] == newer, OPEN_S, "the store is read")
        words = refused(client)[2]
        assert f"its version is {VERSION + 1}" in words
        said = "waiting for the control store"
        eventually_blocking(lambda: said in running.log_text(), 40, "the worker waits")
        control.execute(f"UPDATE dbopsd.store_version SET version = {VERSION}", "control")
        client.becomes(client.start(), State.SUCCEEDED, 20)
        assert "starting another" not in running.log_text()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The control store's directory, within a state directory, on a disk of 2 MiB."""
    path = tmp_path / "state" / "control"
    path.mkdir(parents=True)
    mount = ("mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", str(path))
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield path
    subprocess.run(("umount", "--lazy", str(path)), check=True)


def test_a_full_disk_refuses_what_it_cannot_keep_and_loses_nothing(
    database_dsn: str, small_disk: Path, tmp_path: Path
) -> None:
    with (
        demo_daemon(
            database_dsn, state_dir=small_disk.parent, operations={"worker_concurrency": 2}
        ) as running,
        DemoClient(running.wait_until_serving().grpc_address, tmp_path / "ledger") as client,
    ):
        at_work = [client.start_once_open(steps=3, step_seconds=1) for _ in range(2)]
        for name in at_work:
            client.runs(name)
        before = worker_processes(running)
        waiting = [client.start() for _ in range(3)]

        fill(small_disk / "ballast")
        acknowledged: list[str] = []
        refusal: grpc.RpcError | None = None
        while refusal is None:
            try:
                # The log of the last transactions still has room for some.
                acknowledged.append(client.start())
            except grpc.RpcError as error:
                refusal = error
            fill(small_disk / "more ballast")
        assert refusal_of(refusal) == AWAY
        assert "full" in (refusal.details() or "")
        assert client.health()
        said = "is unavailable"
        eventually_blocking(lambda: said in running.log_text(), 10, "the worker says it")

        (small_disk / "ballast").unlink()
        (small_disk / "more ballast").unlink()
        for name in [*at_work, *waiting, *acknowledged]:
            client.becomes(name, State.SUCCEEDED, BACK_AT_WORK_S)
        for name in at_work:
            assert_each_step_ended_once(client, name, 3)
        assert worker_processes(running) == before, "the worker is still the same"


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    try:
        with path.open("ab", buffering=0) as file:
            while file.write(b"\0" * 1024):
                pass
    except OSError:
        pass
