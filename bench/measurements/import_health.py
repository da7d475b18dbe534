"""How long a caller waits for a health answer while imports run at full speed.

One import after the other, a steady pace of calls, latency from when a call was due.
"""

from bench.background import Background
from bench.imports import Imported, importing_daemon, run_import
from bench.latency import p99_row
from bench.measurement import Measurement, Row, at_most
from bench.sqlite_file import make_sqlite_file
from bench.workbench import Workbench

_EACH_A_SECOND = 100.0
_BOUND_MS = 100.0
_SERVING_S = 30.0
_METHODS = (("Check", "check"), ("GetHealth", "get_health"))


def _run(bench: Workbench) -> list[Row]:
    postgres = bench.postgres(durable=True)
    files = bench.directory("files")
    source = files / "events.db"
    bench.say(f"making {bench.rows:,} rows")
    make_sqlite_file(source, bench.rows)
    daemon = importing_daemon(bench, postgres.dsn(), files)
    client = bench.child("client")
    client.ask("until_serving", target=daemon.target, within_s=_SERVING_S)
    bench.say("importing")
    imported: list[Imported] = []

    def import_file() -> None:
        imported.append(run_import(daemon.target, source, "bench"))

    with Background(import_file):
        found = client.ask(
            "pace",
            target=daemon.target,
            each_a_second=_EACH_A_SECOND,
            seconds=bench.of(full=30.0, quick=8.0),
        )
    copied = sum(each.rows for each in imported) / sum(each.wall_s for each in imported)
    return [
        *(p99_row(f"{method} during imports", found[key], _BOUND_MS) for method, key in _METHODS),
        Row(
            "calls that failed",
            len(found["errors"]),
            "",
            at_most(0),
            f"meanwhile {len(imported)} imports, {copied / 1000:,.0f} thousand rows/s whole",
        ),
    ]


MEASUREMENT = Measurement("Health during imports", _run, limit_s=300.0)
