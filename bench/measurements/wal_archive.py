"""The WAL archive while pgbench writes as fast as it can: how soon WAL is safe, and stored.

With encryption and zstd at level 3, on one machine with the server and pgbench.
"""

import base64
import os
import subprocess
import time
from collections.abc import Callable
from statistics import quantiles

import psycopg

from bench.measurement import Measurement, Row, at_most
from bench.memory import MemoryWatcher
from bench.workbench import Workbench
from tests.support.receiving import lsn_of
from tests.support.servers import PostgresServer

_SCALE, _QUICK_SCALE = 50, 10
_RUN_S, _QUICK_RUN_S = 30, 6
_CLIENTS = 8
_ACKNOWLEDGED_S = 1.0
# `wal_flush_s` is 1 here; then the look of whoever waits for it.
_CAUGHT_UP_S = 3.0
_MEMORY_BOUND_MB = 200.0
_SAMPLE_S = 0.02
_TIMEOUT_S = 120.0
_FLUSHED = (
    "SELECT pg_current_wal_flush_lsn() - '0/0', coalesce(max(flush_lsn) - '0/0', 0)"
    " FROM pg_stat_replication WHERE application_name = 'dbopsd_main'"
)


def _run(bench: Workbench) -> list[Row]:
    server = bench.postgres(durable=True)
    directory = bench.directory("archive")
    (directory / "k1").write_bytes(base64.b64encode(os.urandom(32)))
    bench.say("filling pgbench's tables")
    scale = bench.of(full=_SCALE, quick=_QUICK_SCALE)
    _pgbench(server, "--initialize", "--quiet", f"--scale={scale}").wait(_TIMEOUT_S)
    receiver = bench.child("wal_receiver", server.dsn(), str(server.bin_dir), str(directory))
    _wait(lambda: receiver.ask("behind")["lag_bytes"] == 0)
    run_s = bench.of(full=_RUN_S, quick=_QUICK_RUN_S)
    bench.say(f"pgbench for {run_s} s")
    began = lsn_of(server)
    writing = _pgbench(server, f"--client={_CLIENTS}", "--jobs=2", f"--time={run_s}")
    with MemoryWatcher(receiver.pid) as watcher:
        delays_s = _delays(server, writing)
    behind = receiver.ask("behind")["lag_bytes"]
    ended, written = time.monotonic(), lsn_of(server) - began
    _wait(lambda: receiver.ask("behind")["lag_bytes"] == 0)
    caught_up_s = time.monotonic() - ended
    rate = f"{written / 1e6:.0f} MB of WAL, {written / 1e6 / run_s:.1f} MB/s"
    return [
        Row(
            "WAL on the receiver's disk, 99 of 100 within",
            quantiles(delays_s, n=100)[98],
            "s",
            at_most(_ACKNOWLEDGED_S),
            f"{rate}; at most {max(delays_s):.2f} s",
        ),
        Row(
            "all of it in the store after pgbench has ended",
            caught_up_s,
            "s",
            at_most(_CAUGHT_UP_S),
            f"{behind / 1e6:.1f} MB were not as it ended",
        ),
        Row("memory of the receiving worker", watcher.most.pss_mb, "MB", at_most(_MEMORY_BOUND_MB)),
    ]


def _delays(server: PostgresServer, writing: "subprocess.Popen[bytes]") -> list[float]:
    """How long WAL that the server had written took to be on the receiver's disk, each time."""
    waiting: list[tuple[float, int]] = []
    delays_s = []
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        while writing.poll() is None or waiting:
            row = connection.execute(_FLUSHED).fetchone()
            now = time.monotonic()
            if row is not None:
                delays_s += [now - at for at, lsn in waiting if lsn <= row[1]]
                waiting = [(at, lsn) for at, lsn in waiting if lsn > row[1]]
                if writing.poll() is None:
                    waiting.append((now, row[0]))
                elif waiting and now - waiting[0][0] > 5 * _ACKNOWLEDGED_S:
                    # The receiver reports the end of a segment with its next status only.
                    break
            time.sleep(_SAMPLE_S)
    return delays_s


def _pgbench(server: PostgresServer, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [server.bin_dir / "pgbench", *arguments, server.dsn()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _wait(done: Callable[[], bool]) -> None:
    until = time.monotonic() + _TIMEOUT_S
    while not done():
        if time.monotonic() > until:
            raise TimeoutError("the archive does not catch up")
        time.sleep(0.2)


MEASUREMENT = Measurement("The WAL archive under pgbench", _run, limit_s=600.0)
