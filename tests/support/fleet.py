"""API replicas and workers of one control store, as real processes, to be killed and restarted."""

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.support.daemon import ROOT, clean_environment
from tests.support.patience import eventually

START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 30.0

_SERVING = re.compile(r"serving gRPC on port (\d+) ")
_WORKING = re.compile(r"worker \S+ works; process \d+")


class Member:
    """One process of a fleet, or the place of one that was killed."""

    def __init__(self, fleet: "Fleet", command: str, number: int) -> None:
        self._fleet = fleet
        self._command = command
        self.name = f"{command}-{number}"
        self._log = fleet.directory / f"{self.name}.log"
        self._offset = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it is at work a while later."""
        assert not self.running, self.name
        self._offset = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.support.demo", self._command),
                    *("--config", str(self._fleet.config_file)),
                ],
                cwd=ROOT,
                env=clean_environment(
                    PYTHONPATH=str(ROOT),
                    # An audit log is one process's, and all of a fleet share a state directory.
                    DBOPSD_AUDIT__PATH=str(self._fleet.directory / self.name / "audit.jsonl"),
                    **self._fleet.environment,
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number if one ended it."""
        return None if self._process is None else self._process.poll()

    @property
    def pid(self) -> int:
        assert self._process is not None, self.name
        return self._process.pid

    @property
    def at_work(self) -> bool:
        """Whether it has said that it serves, or works, since its last start."""
        pattern = _SERVING if self._command == "serve" else _WORKING
        return self.running and pattern.search(self.log_text()) is not None

    @property
    def address(self) -> str | None:
        """Where it serves gRPC; None while it does not."""
        found = _SERVING.search(self.log_text()) if self.running else None
        return f"127.0.0.1:{found[1]}" if found else None

    def log_text(self) -> str:
        """What it has written since its last start."""
        with contextlib.suppress(FileNotFoundError), self._log.open("rb") as log:
            log.seek(self._offset)
            return log.read().decode(errors="replace")
        return ""

    def kill(self) -> None:
        """SIGKILL; returns once it is dead."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(END_TIMEOUT_S)

    def signal(self, number: int) -> None:
        """Send it a signal; returns at once."""
        assert self._process is not None, self.name
        self._process.send_signal(number)

    def terminate(self) -> None:
        """SIGTERM; returns at once."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """Its exit code, once it has ended."""
        process = self._process
        assert process is not None, self.name
        await eventually(lambda: process.poll() is not None, END_TIMEOUT_S, f"{self.name} ends")
        return process.returncode


class Fleet:
    """`replicas` of `serve` without workers of their own, and `workers`; use it as a context.

    All share a state directory, with the control store in it unless `control_url` names another.
    `dsn` is that of the database `main`, which the operations are for. `more` is TOML of tables of
    its own, `environment` are variables of every process.
    """

    def __init__(
        self,
        directory: Path,
        *,
        dsn: str,
        control_url: str | None = None,
        replicas: int = 1,
        workers: int = 1,
        more: str = "",
        takeover_after_s: float = 5,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.environment = environment or {}
        self.directory = directory
        self.config_file = directory / "dbopsd.toml"
        self.ledger = directory / "ledger"
        server = {
            "grpc_listen": "127.0.0.1:0",
            "http_listen": "127.0.0.1:0",
            "state_dir": str(directory / "state"),
            "workers": 0,
            **({} if control_url is None else {"control_url": control_url}),
        }
        operations = {
            "heartbeat_s": 0.5,
            "takeover_after_s": takeover_after_s,
            "max_lost_workers": 1000,
            "worker_concurrency": 8,
        }
        tables = {
            "server": server,
            "operations": operations,
            "databases.main": {"dsn": dsn},
            "databases.main.pool": {"min_size": 0, "max_size": 2},
        }
        lines = []
        for table, keys in tables.items():
            # A JSON scalar is a TOML scalar.
            lines.append(f"[{table}]")
            lines.extend(f"{key} = {json.dumps(value)}" for key, value in keys.items())
        self.config_file.touch(mode=0o600)
        self.config_file.write_text("\n".join([*lines, more, ""]))
        self.replicas = [Member(self, "serve", number) for number in range(replicas)]
        self.workers = [Member(self, "worker", number) for number in range(workers)]

    @property
    def members(self) -> list[Member]:
        return [*self.replicas, *self.workers]

    async def at_work(self, members: list[Member] | None = None) -> None:
        """Return once these, or all, are."""
        for member in self.members if members is None else members:
            await eventually(
                lambda member=member: member.at_work or not member.running,
                START_TIMEOUT_S,
                f"{member.name} is at work",
            )
            assert member.running, (
                f"{member.name} ended with {member.exit_code}: {member.log_text()}"
            )

    def logs(self) -> str:
        """The end of everybody's log, of earlier lives too."""
        return "\n".join(
            f"== {path.stem}\n{path.read_text(errors='replace')[-3000:]}"
            for path in sorted(self.directory.glob("*.log"))
        )

    async def __aenter__(self) -> Self:
        for member in self.members:
            member.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for member in self.members:
            member.terminate()
        started = [member for member in self.members if member.running]
        try:
            await asyncio.gather(*(member.ended() for member in started))
        finally:
            for member in self.members:
                member.kill()
