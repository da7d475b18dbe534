"""Imports as their users run them: a daemon that may read the files, and the `dbops` command."""

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


class ImportNotRun(Exception):
    """The command did not end well; the text has what it said."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import reported, and how long its caller waited for that."""

    report: dict[str, Any]
    wall_s: float

    @property
    def rows(self) -> int:
        return int(self.report["copiedRows"])

    @property
    def stages(self) -> dict[str, float]:
        """The seconds of each stage, by its name."""
        return {
            each["stage"]: float(each["duration"].removesuffix("s"))
            for each in self.report["stages"]
        }

    @property
    def stages_note(self) -> str:
        """The stages that take time, in words, the longest first."""
        stages = sorted(self.stages.items(), key=lambda each: -each[1])
        told = [f"{name} {seconds:.2f}" for name, seconds in stages if seconds >= 0.1]
        return ", ".join(told)


def importing_daemon(bench: Workbench, dsn: str, files: Path, **settings: str) -> Daemon:
    """`dbopsd serve` with a worker that waits for work, which may read `files`."""
    daemon = bench.daemon(
        bench.directory("state") / "state",
        DATABASES__MAIN__DSN=dsn,
        DATABASES__MAIN__IMPORT_ROOTS=json.dumps([str(files)]),
        **settings,
    )
    until = time.monotonic() + _READY_S
    while "ACTIVE" not in dbops(daemon.target, "workers", "list").stdout:
        if time.monotonic() > until:
            raise ImportNotRun("no worker is ready")
        time.sleep(_POLL_S)
    return daemon


def run_import(target: str, source: Path, schema: str, *options: str) -> Imported:
    """`dbops import run`, from its start to its end. Raises `ImportNotRun`."""
    began = time.monotonic()
    done = dbops(
        target, "import", "run", str(source), "--database", "main", "--schema", schema, *options
    )
    wall_s = time.monotonic() - began
    if done.returncode != 0:
        raise ImportNotRun(f"exit {done.returncode}\n{done.stdout}{done.stderr}")
    return Imported(json.loads(done.stdout), wall_s)
