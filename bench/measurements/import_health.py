"""How long a caller waits for a health answer while imports run at full speed.

One import after the other, a steady pace of calls, latency from when a call was due.
"""

import threading
from pathlib import Path
from typing import Any, Self

from bench.imports import Imported, importing_daemon, run_import
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
    with _Imports(daemon.target, source) as imports:
        found = client.ask(
            "pace",
            target=daemon.target,
            each_a_second=_EACH_A_SECOND,
            seconds=bench.of(full=30.0, quick=8.0),
        )
    imported = imports.done
    copied = sum(each.rows for each in imported) / sum(each.wall_s for each in imported)
    return [
        *(_row(method, found[key]) for method, key in _METHODS),
        Row(
            "calls that failed",
            len(found["errors"]),
            "",
            at_most(0),
            f"meanwhile {len(imported)} imports, {copied / 1000:,.0f} thousand rows/s whole",
        ),
    ]


def _row(method: str, found: dict[str, Any]) -> Row:
    note = f"p50 {found['p50_ms']:.1f}, worst {found['max_ms']:.1f} of {found['count']:.0f} calls"
    return Row(f"{method} during imports, p99", found["p99_ms"], "ms", at_most(_BOUND_MS), note)


class _Imports:
    """Imports of the file, one after the other, until the context is left and the last is done."""

    def __init__(self, target: str, source: Path) -> None:
        self._target = target
        self._source = source
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._import, name="imports")
        self._failure: Exception | None = None
        self.done: list[Imported] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _import(self) -> None:
        try:
            while not self._ended.is_set():
                self.done.append(run_import(self._target, self._source, "bench"))
        except Exception as exc:
            self._failure = exc


MEASUREMENT = Measurement("Health during imports", _run, limit_s=300.0)
