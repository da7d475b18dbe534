"""`dbopsd serve` as its users start it, in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from bench.proc import children, command
from dbopsd.db.server import exec_as

_ROOT = Path(__file__).parents[1]
_STOP_S = 30.0


class Daemon:
    """A running `dbopsd serve`, configured by `settings`: keys of the environment, without prefix.

    `module` is run in place of `dbopsd`: `tests.support.demo` has kinds of operations. A context
    manager: left, it has stopped. Should the bench die, the kernel stops it.
    """

    def __init__(
        self,
        state_dir: Path,
        module: str = "dbopsd",
        *,
        environment: Mapping[str, str] | None = None,
        **settings: str,
    ) -> None:
        self.port = free_port()
        self.target = f"127.0.0.1:{self.port}"
        self._log = state_dir.with_name(f"{state_dir.name}.log")
        variables = {
            **_without_settings(os.environ),
            "DBOPSD_SERVER__GRPC_LISTEN": self.target,
            "DBOPSD_SERVER__HTTP_LISTEN": "127.0.0.1:0",
            "DBOPSD_SERVER__STATE_DIR": str(state_dir),
            **{f"DBOPSD_{key}": value for key, value in settings.items()},
            **(environment or {}),
        }
        program = [sys.executable, "-m", module, "serve"]
        death = [str(int(signal.SIGTERM)), str(os.getpid()), "-1", "-1"]
        with self._log.open("ab") as log:
            self.started_at = time.monotonic()
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(exec_as.__file__), *death, *program],
                cwd=_ROOT,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def worker_pid(self) -> int:
        """That of the one worker that it keeps up."""
        (pid,) = (pid for pid in children(self.pid) if b"worker" in command(pid))
        return pid

    def stop(self) -> None:
        """Stop as on SIGTERM; kill what does not."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """A developer's own settings of dbopsd or OpenTelemetry are not what is measured."""
    return {
        key: value for key, value in environment.items() if not key.startswith(("DBOPSD_", "OTEL_"))
    }


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
