"""The real `dbopsd serve`, as a process of its own, with its own configuration and state."""

import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from dbopsd.db.server.leftovers import server_processes
from tests.support.patience import eventually_blocking
from tests.support.scratch import new_directory

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
START_TIMEOUT_S = 30.0
END_TIMEOUT_S = 20.0

_SERVING = re.compile(r"serving gRPC on port (\d+) and HTTP on port (\d+)")
# What would reach into a daemon's or a tool's behaviour from the shell that runs the tests.
_FOREIGN = ("DBOPSD_", "DBOPS_", "OTEL_", "PG", "GRPC_", "COLUMNS", "LINES")


def clean_environment(**more: str) -> dict[str, str]:
    """The tests' environment without what configures dbopsd, libpq or OpenTelemetry."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(_FOREIGN)}
    return {**kept, "PATH": f"{BIN}{os.pathsep}{kept.get('PATH', os.defpath)}", **more}


class Daemon:
    """`dbopsd serve`, running from its making on; use it as a context manager, or `close()` it.

    `config` is TOML beyond `[server]`, whose keys are given by `server`. Both listeners take free
    ports unless told otherwise. `state_dir` is one of the daemon's own, removed with it, unless
    given. `user` runs it as another account, with a Python that the account can reach. With
    `config=None` there is no file: all but the state directory is as `dbopsd serve` alone has it.
    `module` is run in place of the installed program: `tests.support.demo` has kinds of operations.
    `descriptors` is its limit of them, SOFT:HARD.
    """

    def __init__(
        self,
        config: str | None = "",
        *,
        server: Mapping[str, str | int | float | bool] | None = None,
        state_dir: Path | None = None,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
        module: str | None = None,
        descriptors: str | None = None,
    ) -> None:
        self._directory = new_directory("dbopsd-e2e-")
        self.state_dir = state_dir or self._directory / "state"
        self.config_file = self._directory / "dbopsd.toml"
        self._log_path = self._directory / "stderr"
        self._output_path = self._directory / "stdout"
        keys = {
            "grpc_listen": "127.0.0.1:0",
            "http_listen": "127.0.0.1:0",
            "state_dir": str(self.state_dir),
            # A worker costs two seconds of a core to start: who needs one asks for it.
            "workers": 0,
            # And nobody sends here who would have to learn that it stops.
            "shutdown_delay_s": 0,
            **(server or {}),
        }
        # A JSON scalar is a TOML scalar.
        lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
        self.config_file.write_text("\n".join(["[server]", *lines, config or "", ""]))
        arguments = ["--config", str(self.config_file)] if config is not None else []
        if user is not None:
            account = pwd.getpwnam(user)
            os.chown(self.config_file, account.pw_uid, account.pw_gid)
            if state_dir is None:
                self.state_dir.mkdir(mode=0o700)
                os.chown(self.state_dir, account.pw_uid, account.pw_gid)
        self.config_file.chmod(0o600)
        limited = [] if descriptors is None else ["prlimit", f"--nofile={descriptors}"]
        with self._log_path.open("wb") as log, self._output_path.open("wb") as output:
            self._process = subprocess.Popen(
                [*limited, *command_for(user, module), "serve", *arguments],
                cwd="/",
                user=user,
                group=None if user is None else pwd.getpwnam(user).pw_gid,
                extra_groups=None if user is None else [],
                env=clean_environment(
                    DBOPSD_SERVER__STATE_DIR=str(self.state_dir),
                    **({} if user is None else {"PYTHONPATH": os.pathsep.join(sys.path)}),
                    **({} if module is None else {"PYTHONPATH": str(ROOT)}),
                    **(environment or {}),
                ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
            )
        self._ports: tuple[int, int] | None = None

    def wait_until_serving(self, timeout: float = START_TIMEOUT_S) -> Self:
        """Return once both listeners are open; AssertionError with its log if it ends instead."""

        def found() -> re.Match[str] | bool | None:
            return _SERVING.search(self.log_text()) or self._process.poll() is not None

        eventually_blocking(found, timeout, "the daemon serves")
        ports = _SERVING.search(self.log_text())
        assert ports, f"the daemon ended with {self.exit_code}: {self.log_text()}"
        self._ports = (int(ports[1]), int(ports[2]))
        return self

    @property
    def grpc_port(self) -> int:
        assert self._ports, "wait_until_serving() first"
        return self._ports[0]

    @property
    def http_port(self) -> int:
        assert self._ports, "wait_until_serving() first"
        return self._ports[1]

    @property
    def grpc_address(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number if one ended it."""
        return self._process.poll()

    @property
    def data_dir(self) -> Path:
        """The embedded server's data directory."""
        return self.state_dir / "postgresql" / "data"

    @property
    def rss_bytes(self) -> int:
        """Its resident memory now."""
        return self._status_bytes("VmRSS")

    @property
    def anonymous_bytes(self) -> int:
        """Its resident memory now but for pages of files, which the kernel can drop."""
        return self._status_bytes("RssAnon")

    @property
    def descriptors(self) -> int:
        """How many file descriptors it has open."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    def log_text(self) -> str:
        """All that it has written to standard error."""
        return self._log_path.read_text(errors="replace")

    def output_text(self) -> str:
        """All that it has written to standard output."""
        return self._output_path.read_text(errors="replace")

    def embedded_dsn(self) -> str:
        """The DSN of the embedded server, as the log tells people to use it."""
        found = re.search(r'the embedded PostgreSQL runs: psql "([^"]+)"', self.log_text())
        assert found, self.log_text()
        return found[1]

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, timeout: float = END_TIMEOUT_S) -> int:
        """Its exit code, once it has ended by itself."""
        return self._process.wait(timeout)

    def terminate(self, timeout: float = END_TIMEOUT_S) -> int:
        """SIGTERM, and its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self) -> int:
        """SIGKILL, and its exit code: -9, unless it had ended before."""
        self._process.kill()
        return self.wait()

    def close(self) -> None:
        """End it, however it does, with the embedded server, and remove its directory."""
        if self.running:
            self.signal(signal.SIGTERM)
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.kill()
        if self.data_dir.is_dir():
            end_servers(self.data_dir)
        shutil.rmtree(self._directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _status_bytes(self, field: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split(f"{field}:")[1].split()[0]) * 1024


def end_servers(data_dir: Path) -> None:
    """End what still works in `data_dir`, should a daemon have left it behind."""
    for pid in server_processes(data_dir):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    eventually_blocking(lambda: not server_processes(data_dir), 10, f"nothing works in {data_dir}")


def command_for(user: str | None = None, module: str | None = None) -> list[str]:
    """How `dbopsd` is started: the installed program, or its module for another account.

    The installed one's Python may lie in a 0700 home, the system's does not.
    """
    if module is not None:
        return [sys.executable, "-m", module]
    if user is None:
        return [str(BIN / "dbopsd")]
    system = f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    for python in (sys.executable, system):
        try:
            subprocess.run([python, "-c", ""], user=user, check=True, cwd="/")
        except (OSError, subprocess.CalledProcessError):
            continue
        return [python, "-m", "dbopsd"]
    raise LookupError(f"there is no Python that '{user}' may run")
