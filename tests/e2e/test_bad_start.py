"""What keeps the daemon from starting is one line on standard error, and exit code 2."""

import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dbopsd.db.server.leftovers import server_processes
from tests.e2e.conftest import Answer, database, run
from tests.support.daemon import BIN, Daemon
from tests.support.dbops_command import Ended, check_config
from tests.support.scratch import new_directory

PRLIMIT = shutil.which("prlimit") or "prlimit"
# Never asked: what is wrong is found before anything is started.
NOWHERE = "host=127.0.0.1 port=1 user=dbopsd password=hunter2 dbname=app"


@pytest.fixture
def directory() -> Iterator[Path]:
    made = new_directory("dbopsd-e2e-")
    yield made
    shutil.rmtree(made)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def only_line(answer: Answer | Ended) -> str:
    assert (answer.code, answer.out) == (2, "")
    (line,) = answer.err.splitlines()
    assert line.startswith("dbopsd: ")
    assert "hunter2" not in line
    return line.removeprefix("dbopsd: ")


# What `serve` is asked of: a file that cannot be taken, and what only the program's parts can know.
SERVED = ("unknown key", "unknown check", "own collectors")
# One of each kind; what is said of which mistake is tests/unit/test_config.py's.
WRONG_FILES = {
    "unknown key": ("[server]\ngrpc_lisen = '127.0.0.1:0'", "did you mean 'grpc_listen'?"),
    "bad unit": ("[server]\nmax_message_bytes = '4 parsecs'", "'server.max_message_bytes'"),
    "not TOML": ("[server\n", "not TOML"),
    "not loopback": ("[server]\ngrpc_listen = '0.0.0.0:50051'", "insecure_listen"),
    "unknown check": (
        database("main", NOWHERE, "health.thresholds.conections.warning = 1"),
        "unknown check; there are reachable, login, backup_age",
    ),
    "own collectors": (
        database("main", NOWHERE) + "\n[metrics]\ncollectors_dir = '/nonexistent'\nrole = 'reader'",
        "metrics.collectors_dir: '/nonexistent' cannot be read",
    ),
}


def test_too_few_descriptors(directory: Path) -> None:
    file = directory / "dbopsd.toml"
    file.write_text(database("main", NOWHERE))
    for command in ("serve", "check-config"):
        limited = (PRLIMIT, "--nofile=128:128", str(BIN / "dbopsd"), command)
        said = only_line(run(*limited, "--config", str(file)))
        assert "server.max_connections" in said
        assert "the limit of file descriptors is 128" in said


@pytest.fixture(scope="module")
def answers() -> Iterator[dict[str, Answer]]:
    """What `dbopsd serve` says of wrong files; asked at once, for most of it is waiting."""
    directory = new_directory("dbopsd-e2e-")

    def ask(wrong: str) -> Answer:
        file = directory / f"{wrong}.toml"
        file.write_text(WRONG_FILES[wrong][0])
        state_dir = directory / "state" / wrong
        environment = {"DBOPSD_SERVER__STATE_DIR": str(state_dir)}
        answer = run("dbopsd", "serve", "--config", str(file), timeout=60, **environment)
        assert not state_dir.exists()
        return answer

    with ThreadPoolExecutor(4) as threads:
        yield dict(zip(SERVED, threads.map(ask, SERVED), strict=True))
    shutil.rmtree(directory)


@pytest.mark.parametrize("wrong", SERVED)
def test_a_wrong_file(answers: dict[str, Answer], wrong: str) -> None:
    assert WRONG_FILES[wrong][1] in only_line(answers[wrong])


@pytest.mark.parametrize("wrong", WRONG_FILES)
def test_check_config_says_the_same(directory: Path, wrong: str) -> None:
    text, says = WRONG_FILES[wrong]
    file = directory / "dbopsd.toml"
    file.write_text(text)
    assert says in only_line(check_config(file))


def test_the_program_says_it_too(directory: Path) -> None:
    file = directory / "dbopsd.toml"
    file.write_text(WRONG_FILES["unknown check"][0])
    as_program = only_line(run("dbopsd", "check-config", "--config", str(file)))
    assert as_program == only_line(check_config(file))


def test_a_file_that_is_not_there(directory: Path) -> None:
    file = directory / "nosuch.toml"
    # By the environment, as containers name it.
    assert only_line(run("dbopsd", "serve", DBOPSD_CONFIG=str(file))) == f"{file}: no such file"


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"DBOPSD_SERVERS__GRPC_LISTEN": "127.0.0.1:0"}, "did you mean 'server'?"),
        (
            {"DBOPSD_SERVER__SHUTDOWN_GRACE_S": "soon"},
            "DBOPSD_SERVER__SHUTDOWN_GRACE_S: 'server.shutdown_grace_s'",
        ),
    ],
)
def test_a_wrong_environment(environment: Mapping[str, str], says: str) -> None:
    assert says in only_line(check_config(**environment))


def test_wrong_usage_is_2_too() -> None:
    answer = run("dbopsd", "serv")
    assert (answer.code, answer.out) == (2, "")
    assert "No such command 'serv'" in answer.err


@pytest.mark.parametrize(
    ("listener", "databases"),
    [("grpc_listen", ""), ("http_listen", database("main", NOWHERE))],
    ids=["gRPC, embedded", "HTTP, own"],
)
def test_a_port_in_use(listener: str, databases: str, taken_port: int) -> None:
    with Daemon(databases, server={listener: f"127.0.0.1:{taken_port}"}) as daemon:
        code = daemon.wait()
        line = only_line(Answer(code, daemon.output_text(), daemon.log_text()))
        assert line == (
            f"cannot listen on 127.0.0.1:{taken_port}: the port is in use by another process; "
            "choose other addresses with [server] grpc_listen and http_listen"
        )
        assert server_processes(daemon.data_dir) == []


def test_one_port_for_both_listeners() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with Daemon(server={"grpc_listen": address, "http_listen": address}) as daemon:
        code = daemon.wait()
        line = only_line(Answer(code, daemon.output_text(), daemon.log_text()))
        assert address in line
        assert server_processes(daemon.data_dir) == []


@pytest.mark.parametrize("state_dir", ["/dev/null/state", "/proc/state"])
def test_a_state_directory_that_cannot_be_made(state_dir: str) -> None:
    with Daemon(state_dir=Path(state_dir)) as daemon:
        code = daemon.wait()
        line = only_line(Answer(code, daemon.output_text(), daemon.log_text()))
        assert str(Path(state_dir).parent) in line


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become an ordinary user")
def test_a_state_directory_of_somebody_else(directory: Path) -> None:
    directory.chmod(0o755)
    with Daemon(state_dir=directory / "state", user="nobody") as daemon:
        code = daemon.wait()
        line = only_line(Answer(code, daemon.output_text(), daemon.log_text()))
        assert str(directory) in line
        assert "cannot be written" in line
    assert list(directory.iterdir()) == []
