"""What an import takes of memory, and whether that or its speed depends on the file's size.

All of the daemon's processes together: the server of the API, the worker, and those that copy. With
`--long` for a file ten times as large, too.
"""

from dataclasses import dataclass
from pathlib import Path

from bench.daemon import Daemon
from bench.imports import Imported, importing_daemon, run_import
from bench.measurement import Measurement, Row, at_most
from bench.memory import Memory, MemoryWatcher, memory_of
from bench.sqlite_file import make_sqlite_file
from bench.workbench import Workbench
from tests.support.servers import PostgresServer

_BOUND_MB = 600.0
_TIMES = 10
_TIME_BOUND = 10.5


@dataclass(frozen=True, slots=True)
class _Found:
    rows: int
    imported: Imported
    memory: Memory


def _run(bench: Workbench) -> list[Row]:
    postgres = bench.postgres(durable=True)
    files = bench.directory("files")
    daemon = importing_daemon(bench, postgres.dsn(), files)
    idle = memory_of(daemon.pid)
    rows = [
        Row(
            "before the first import, resident memory together",
            idle.rss_mb,
            "MB",
            note=f"{idle.processes} processes, {idle.pss_mb:.0f} MB with shared pages counted once",
        )
    ]
    small = _import(bench, postgres, daemon, files, bench.rows)
    rows += _rows(small)
    if not bench.long:
        return rows
    large = _import(bench, postgres, daemon, files, bench.rows * _TIMES)
    return [
        *rows,
        *_rows(large),
        Row(
            f"time for {_TIMES} times the rows",
            large.imported.wall_s / small.imported.wall_s,
            "x",
            at_most(_TIME_BOUND),
            f"{small.imported.wall_s:.1f} s, {large.imported.wall_s:.1f} s",
        ),
    ]


def _import(
    bench: Workbench, postgres: PostgresServer, daemon: Daemon, files: Path, rows: int
) -> _Found:
    source = files / f"events-{rows}.db"
    bench.say(f"making {rows:,} rows")
    make_sqlite_file(source, rows)
    postgres.execute("CHECKPOINT")
    bench.say(f"importing {rows:,} rows")
    with MemoryWatcher(daemon.pid) as watcher:
        imported = run_import(daemon.target, source, f"rows_{rows}")
    source.unlink()
    return _Found(rows, imported, watcher.most)


def _rows(found: _Found) -> list[Row]:
    of = f"{found.rows:,} rows"
    memory = found.memory
    return [
        Row(
            f"{of}: resident memory together, most",
            memory.rss_mb,
            "MB",
            at_most(_BOUND_MB),
            f"{memory.processes} processes, {memory.pss_mb:.0f} MB with shared pages counted once",
        ),
        Row(f"{of}: whole", found.imported.wall_s, "s", note=found.imported.stages_note),
    ]


MEASUREMENT = Measurement("An import's memory, and its time by size", _run, limit_s=1800.0)
