"""How fast a SQLite file is in PostgreSQL, with peers and the limit, all on one durable server.

In turn within each round, but for pgloader's rows alone, which are loaded once. Ours is what the
import's own report says of its stages, and from the command's start to its end where the whole
counts.
"""

from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.imports import Imported, importing_daemon, run_import
from bench.measurement import Bar, Measurement, Row, at_most
from bench.pgloader import NOT_COMPARED, pgloader_s, pgloader_version
from bench.sqlite_file import TABLE, make_sqlite_file
from bench.workbench import Workbench
from tests.support.servers import PostgresServer

_BARRED_ROWS = 2_000_000
_COPY_BOUND = 1.2
_WHOLE_BOUND = 0.35
_DUCKDB_BOUND = 1.0


@dataclass
class _Found:
    ours: list[Imported] = field(default_factory=list)
    binary_s: list[float] = field(default_factory=list)
    duckdb_s: list[float] = field(default_factory=list)
    pgloader_s: list[float] = field(default_factory=list)
    binary_mb: float = 0.0


def _run(bench: Workbench) -> list[Row]:
    postgres = bench.postgres(durable=True)
    files = bench.directory("files")
    source = files / "events.db"
    bench.say(f"making {bench.rows:,} rows")
    make_sqlite_file(source, bench.rows)
    version = pgloader_version()
    found = _in_turn(bench, postgres, files, source, with_pgloader=version is not None)
    rows = _rows(bench, found)
    if version is None:
        return [*rows, NOT_COMPARED]
    bench.say("pgloader, rows alone")
    copy_s, _ = pgloader_s(bench, postgres, source, copy_only=True)
    copy_ratio = median(_copy_s(found)) / copy_s
    return [
        *rows,
        Row(f"pgloader {version}, rows alone", copy_s, "s", note=_rate(bench, copy_s)),
        Row("our copy stage against that", copy_ratio, "x pgloader"),
        Row(
            f"pgloader {version}, whole",
            median(found.pgloader_s),
            "s",
            note=f"{_each(found.pgloader_s)}; with keys and indexes, nothing verified",
        ),
        _ratio(
            "ours whole against that, every value verified",
            "x pgloader",
            [each.wall_s for each in found.ours],
            found.pgloader_s,
            _barred(bench, at_most(_WHOLE_BOUND)),
        ),
    ]


def _in_turn(
    bench: Workbench, postgres: PostgresServer, files: Path, source: Path, *, with_pgloader: bool
) -> _Found:
    daemon = importing_daemon(bench, postgres.dsn(), files)
    copier = bench.child("binary_copy", postgres.dsn())
    duckdb = bench.child("duckdb_copy")
    ready = bench.directory("ready") / "events.copy"
    found = _Found()

    def ours() -> None:
        found.ours.append(run_import(daemon.target, source, "bench"))

    def binary() -> None:
        if not ready.exists():
            found.binary_mb = copier.ask("dump", schema="bench", table=TABLE, path=str(ready))
            postgres.execute("CHECKPOINT")
        seconds = copier.ask("load", schema="bench", table=TABLE, path=str(ready))
        found.binary_s.append(seconds)

    def duck() -> None:
        seconds = duckdb.ask("copy", source=str(source), table=TABLE, dsn=postgres.dsn())
        found.duckdb_s.append(seconds)

    def pgloader() -> None:
        seconds, _ = pgloader_s(bench, postgres, source)
        found.pgloader_s.append(seconds)

    ways = [("import", ours), ("binary COPY", binary), ("DuckDB", duck)]
    if with_pgloader:
        ways.append(("pgloader", pgloader))
    for number in range(rounds := bench.of(full=3, quick=2)):
        for name, way in ways:
            bench.say(f"round {number + 1} of {rounds}: {name}")
            # What the last one left to be written is not for the next one to wait for.
            postgres.execute("CHECKPOINT")
            way()
    return found


def _rows(bench: Workbench, found: _Found) -> list[Row]:
    copy_s = _copy_s(found)
    whole = [each.wall_s for each in found.ours]
    stages = found.ours[-1].stages_note
    return [
        Row("our copy stage", median(copy_s), "s", note=_rate(bench, median(copy_s))),
        Row(
            "limit: a ready file by binary COPY, one stream",
            median(found.binary_s),
            "s",
            note=f"{found.binary_mb:.0f} MB; {_each(found.binary_s)}",
        ),
        _ratio(
            "our copy stage against the limit",
            "x limit",
            copy_s,
            found.binary_s,
            _barred(bench, at_most(_COPY_BOUND)),
        ),
        Row(
            "DuckDB, rows alone",
            median(found.duckdb_s),
            "s",
            note=f"{_rate(bench, median(found.duckdb_s))}; {_each(found.duckdb_s)}",
        ),
        _ratio(
            "our copy stage against DuckDB",
            "x DuckDB",
            copy_s,
            found.duckdb_s,
            _barred(bench, at_most(_DUCKDB_BOUND)),
        ),
        Row(
            "ours whole, from the command's start to its end",
            median(whole),
            "s",
            note=f"{_each(whole)}; the last: {stages}",
        ),
    ]


def _copy_s(found: _Found) -> list[float]:
    return [each.stages["copy"] for each in found.ours]


def _ratio(what: str, unit: str, ours: list[float], theirs: list[float], bar: Bar | None) -> Row:
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    spread = f"median of {len(ratios)} rounds, {min(ratios):.2f} to {max(ratios):.2f}"
    return Row(what, median(ratios), unit, bar, spread)


def _barred(bench: Workbench, bar: Bar) -> Bar | None:
    """The bars are of a file whose size makes what an import costs by itself not count."""
    return bar if bench.rows >= _BARRED_ROWS else None


def _rate(bench: Workbench, seconds: float) -> str:
    return f"{bench.rows / seconds / 1000:,.0f} thousand rows/s"


def _each(seconds: list[float]) -> str:
    return ", ".join(f"{each:.2f}" for each in seconds)


MEASUREMENT = Measurement("Importing a large table", _run, limit_s=900.0)
