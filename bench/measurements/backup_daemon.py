"""A daemon that backs up two databases, one backup after the other, and streams the WAL of both.

What its worker takes of memory, with the programs that it has started, and how long a caller waits
for a health answer meanwhile: a steady pace of calls, latency from when a call was due. Clients
write to both databases all the time, at a steady rate.
"""

import base64
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.background import Background
from bench.daemon import Daemon
from bench.dbops import dbops
from bench.latency import p99_row
from bench.measurement import Measurement, Row, at_most
from bench.memory import MemoryWatcher, memory_of
from bench.workbench import Workbench
from tests.support.servers import PostgresServer

_DATABASES = ("main", "other")
_SCALE, _QUICK_SCALE = 50, 10
_BACKUPS, _QUICK_BACKUPS = 12, 2
_TRANSACTIONS_A_SECOND = 50
_CALLS_A_SECOND = 50.0
_HEALTH_BOUND_MS = 20.0
_MEMORY_BOUND_MB = 200.0
_READY_S = 120.0
_POLL_S = 0.2
_FILL_S = 300.0
_METHODS = (("Check", "check"), ("GetHealth", "get_health"))


def _run(bench: Workbench) -> list[Row]:
    scale = bench.of(full=_SCALE, quick=_QUICK_SCALE)
    servers = [bench.postgres(durable=True) for _ in _DATABASES]
    for server in servers:
        bench.say(f"filling {scale} times pgbench's tables")
        arguments = ("--initialize", "--quiet", f"--scale={scale}")
        if _pgbench(server, *arguments).wait(_FILL_S) != 0:
            raise RuntimeError("pgbench cannot fill its tables")
    daemon = _daemon(bench, servers)
    client = bench.child("client")
    client.ask("until_serving", target=daemon.target, within_s=_READY_S)
    _wait_until_streaming(daemon)
    worker = daemon.worker_pid()
    before = memory_of(worker)
    wanted = bench.of(full=_BACKUPS, quick=_QUICK_BACKUPS)
    bench.say(f"{wanted} backups")
    took_s: list[float] = []

    def back_up() -> None:
        database = _DATABASES[len(took_s) % len(_DATABASES)]
        began = time.monotonic()
        done = dbops(daemon.target, "backup", "create", "--database", database)
        if done.returncode != 0:
            raise RuntimeError(f"exit {done.returncode}\n{done.stdout}{done.stderr}")
        took_s.append(time.monotonic() - began)

    with (
        _writing(servers),
        MemoryWatcher(worker) as watcher,
        Background(back_up, times=wanted),
    ):
        found = client.ask(
            "pace",
            target=daemon.target,
            each_a_second=_CALLS_A_SECOND,
            seconds=bench.of(full=30.0, quick=8.0),
        )
    after = memory_of(worker)
    return [
        *(
            p99_row(f"{method} during backups", found[key], _HEALTH_BOUND_MS)
            for method, key in _METHODS
        ),
        Row("calls that failed", len(found["errors"]), "", at_most(0)),
        Row(
            "memory of the worker and its programs, most",
            watcher.most.pss_mb,
            "MB",
            at_most(_MEMORY_BOUND_MB),
            f"{before.pss_mb:.0f} before, {after.pss_mb:.0f} after {len(took_s)} backups,"
            f" of at most {max(took_s):.1f} s",
        ),
    ]


def _daemon(bench: Workbench, servers: list[PostgresServer]) -> Daemon:
    directory = bench.directory("daemon")
    key = directory / "k1"
    key.write_bytes(base64.b64encode(os.urandom(32)))
    key.chmod(0o600)
    settings = {}
    for name, server in zip(_DATABASES, servers, strict=True):
        prefix = f"DATABASES__{name.upper()}__"
        settings[f"{prefix}DSN"] = server.dsn()
        settings[f"{prefix}PG_BIN"] = str(server.bin_dir)
        settings[f"{prefix}BACKUP__STORE"] = (directory / "store").as_uri()
        settings[f"{prefix}BACKUP__KEYS"] = json.dumps({"k1": f"file:{key}"})
    return bench.daemon(directory / "state", **settings)


def _wait_until_streaming(daemon: Daemon) -> None:
    until = time.monotonic() + _READY_S
    for name in _DATABASES:
        while _status(daemon, name).get("state") != "STREAMING":
            if time.monotonic() > until:
                raise TimeoutError(f"no WAL of database '{name}' is received")
            time.sleep(_POLL_S)


def _status(daemon: Daemon, database: str) -> dict[str, Any]:
    done = dbops(daemon.target, "backup", "wal", "status", "--database", database)
    found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    return found


@contextmanager
def _writing(servers: list[PostgresServer]) -> Iterator[None]:
    rate = f"--rate={_TRANSACTIONS_A_SECOND}"
    writers = [_pgbench(server, "--client=2", rate, "--time=3600") for server in servers]
    try:
        yield
    finally:
        for writer in writers:
            writer.terminate()
            writer.wait()


def _pgbench(server: PostgresServer, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [server.bin_dir / "pgbench", *arguments, server.dsn()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


MEASUREMENT = Measurement("A daemon that backs up two databases", _run, limit_s=900.0)
