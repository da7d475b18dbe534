"""`serve` with the demo's kinds of operation and a worker, as a process."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.daemon import ROOT, Daemon, clean_environment

# Sooner than by default, so that tests are not long.
OPERATIONS: Mapping[str, object] = {"heartbeat_s": 0.5, "takeover_after_s": 3}


def demo_daemon(
    dsn: str,
    *,
    control_url: str | None = None,
    state_dir: Path | None = None,
    workers: int = 1,
    operations: Mapping[str, object] | None = None,
    more: str = "",
    server: Mapping[str, str | int | float | bool] | None = None,
    environment: Mapping[str, str] | None = None,
    module: str = "tests.support.demo",
) -> Daemon:
    """It serves the database `main`. `more` is TOML of tables of its own."""
    tables: dict[str, Mapping[str, object]] = {
        "operations": {**OPERATIONS, **(operations or {})},
        "databases.main": {"dsn": dsn},
        "databases.main.pool": {"min_size": 0, "max_size": 2},
    }
    config = [more]
    for table, keys in tables.items():
        config.append(f"[{table}]")
        config.extend(f"{key} = {json.dumps(value)}" for key, value in keys.items())
    return Daemon(
        "\n".join(config),
        server={
            "workers": workers,
            "shutdown_delay_s": 0,
            "shutdown_grace_s": 5,
            **({} if control_url is None else {"control_url": control_url}),
            **(server or {}),
        },
        state_dir=state_dir,
        environment=environment,
        module=module,
    )


def start_worker(daemon: Daemon, log: Path) -> subprocess.Popen[bytes]:
    """A worker that nobody supervises, with the daemon's configuration; it writes to `log`."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.support.demo", "worker"),
                *("--config", str(daemon.config_file)),
            ],
            cwd=ROOT,
            env=clean_environment(
                PYTHONPATH=str(ROOT), DBOPSD_SERVER__STATE_DIR=str(daemon.state_dir)
            ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def worker_processes(daemon: Daemon) -> list[int]:
    """The process ids of the workers, supervised or not, that run with its configuration."""
    wanted = str(daemon.config_file).encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"worker" in arguments and wanted in arguments:
            found.append(int(entry.name))
    return sorted(found)
