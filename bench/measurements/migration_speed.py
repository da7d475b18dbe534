"""1,000 migrations: how long they take to apply, against one psql session, and to list.

psql runs the same files, each in a transaction. Ours are checked first, and recorded. Both take new
databases of one server, in turn; the server keeps what it commits in memory, which is hard on us:
psql waits for nothing but the server's work.
"""

import shutil
import subprocess
import time
from pathlib import Path
from statistics import median

from bench.measurement import Measurement, Row, at_most
from bench.migrations import migrating_daemon
from bench.workbench import Workbench
from tests.support.servers import PostgresServer

_MIGRATIONS = 1000
_APPLY_BOUND = 1.2
_LIST_BOUND_MS = 300.0
_CALLS = 10
_TIMEOUT_S = 600.0
_UP = """
CREATE TABLE item_{number} (id bigint PRIMARY KEY, name text NOT NULL, made timestamptz);
CREATE INDEX item_{number}_name ON item_{number} (name);
"""
_DOWN = "DROP TABLE item_{number};\n"


def _run(bench: Workbench) -> list[Row]:
    server = bench.postgres()
    files = bench.directory("migrations")
    for number in range(1, _MIGRATIONS + 1):
        name = f"{number:04}_item_{number}"
        (files / f"{name}.sql").write_text(_UP.format(number=number))
        (files / f"{name}_rollback.sql").write_text(_DOWN.format(number=number))
    applied = server.create_database()
    rows = _compare(bench, server, files, applied)
    bench.say("listing")
    daemon = migrating_daemon(bench, server.dsn(dbname=applied), files)
    times_ms = bench.child("migrations").ask("list", target=daemon.target, calls=_CALLS)
    return [
        *rows,
        Row(
            "list",
            median(times_ms),
            "ms",
            at_most(_LIST_BOUND_MS),
            f"{_CALLS} calls, the first {times_ms[0]:.0f}, the longest {max(times_ms):.0f}",
        ),
    ]


def _compare(bench: Workbench, server: PostgresServer, files: Path, first: str) -> list[Row]:
    psql = shutil.which("psql")
    if psql is None:
        note = "not installed: apt-get install postgresql-client"
        return [Row("psql: not compared", 0, "", note=note)]
    worker = bench.child("migrations")
    scratch = bench.directory("scratch")
    script = scratch / "all.sql"
    ups = sorted(each for each in files.iterdir() if "rollback" not in each.name)
    script.write_text("".join(f"BEGIN;\n\\i {each}\nCOMMIT;\n" for each in ups))
    ours_s: list[float] = []
    psql_s: list[float] = []
    for number in range(rounds := bench.of(full=3, quick=1)):
        bench.say(f"round {number + 1} of {rounds}: dbopsd")
        database = server.create_database() if number else first
        done = worker.ask(
            "apply",
            dsn=server.dsn(dbname=database),
            files=str(files),
            scratch=str(scratch),
            timeout_s=_TIMEOUT_S,
        )
        assert done["migrations"] == _MIGRATIONS
        ours_s.append(done["took_s"])
        bench.say(f"round {number + 1} of {rounds}: psql")
        psql_s.append(_psql_s(psql, server, script))
    ratio = median(ours_s) / median(psql_s)
    return [
        Row("one psql session, a transaction a file", median(psql_s), "s"),
        Row("apply", median(ours_s), "s", note=", ".join(f"{s:.1f}" for s in ours_s)),
        Row("apply against psql", ratio, "x psql", at_most(_APPLY_BOUND)),
    ]


def _psql_s(psql: str, server: PostgresServer, script: Path) -> float:
    command = [psql, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file", str(script)]
    command += ["--dbname", server.dsn(dbname=server.create_database())]
    began = time.monotonic()
    subprocess.run(command, stdin=subprocess.DEVNULL, timeout=_TIMEOUT_S, check=True)
    return time.monotonic() - began


MEASUREMENT = Measurement(
    title="1,000 migrations: apply against psql, and list", run=_run, limit_s=900.0
)
