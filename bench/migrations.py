"""Migrations as users run them: a daemon that has a folder of them, and the `dbops` command."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.daemon import Daemon
from bench.dbops import dbops
from bench.workbench import Workbench

_READY_S = 60.0
_POLL_S = 0.2


class NotReady(Exception):
    """No worker became ready."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What `dbops migrate apply` printed, its exit code, and how long its caller waited."""

    exit_code: int
    report: dict[str, Any]
    said: str
    wall_s: float

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0 and self.report.get("outcome") == "SUCCEEDED"

    @property
    def last(self) -> dict[str, Any]:
        """What it did with its last migration."""
        return dict(self.report["migrations"][-1])


def migrating_daemon(bench: Workbench, dsn: str, files: Path, **settings: str) -> Daemon:
    """`dbopsd serve` with a worker that waits for work, and `files` as the migrations of `main`."""
    daemon = bench.daemon(
        bench.directory("state") / "state",
        DATABASES__MAIN__DSN=dsn,
        DATABASES__MAIN__MIGRATIONS_DIR=str(files),
        **settings,
    )
    until = time.monotonic() + _READY_S
    while "ACTIVE" not in dbops(daemon.target, "workers", "list").stdout:
        if time.monotonic() > until:
            raise NotReady
        time.sleep(_POLL_S)
    return daemon


def apply(target: str, *options: str) -> Applied:
    """`dbops migrate apply main`, from its start to its end."""
    began = time.monotonic()
    done = dbops(target, "migrate", "apply", "main", *options)
    wall_s = time.monotonic() - began
    report = json.loads(done.stdout) if done.stdout.strip() else {}
    return Applied(done.returncode, report, done.stderr.strip(), wall_s)
