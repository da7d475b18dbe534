"""Full backups and restores beside pgBackRest and a pipe of the shell, and an incremental one.

Two clusters of PostgreSQL 15, one of pgbench and one of mixed columns: data of pgbench flatters
every tool. In turn within each round. All compress by zstd at level 3 and encrypt by AES-256; ours
and pgBackRest also synchronise what they write. The incremental one is of PostgreSQL 18.
"""

import base64
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.backup_peers import NOT_COMPARED, Cost, PgBackRest, pipe
from bench.child import Child
from bench.measurement import Bar, Measurement, Row, at_most
from bench.memory import MemoryWatcher
from bench.workbench import Workbench
from tests.support.servers import PostgresServer

_PEERS_MAJOR = 15
_LONG_TIMES = 7
_SCALE, _QUICK_SCALE = 100, 10
_MIXED_ROWS, _QUICK_MIXED_ROWS = 4_000_000, 400_000
_PGBACKREST_BOUND = 1.0
_CPU_BOUND = 1.2
_MEMORY_BOUND_MB = 200.0
_INCREMENTAL_BOUND = 0.1
_TIMEOUT_S = 900.0
_MIXED = """
CREATE TABLE mixed AS
SELECT
  id,
  gen_random_uuid() AS key,
  md5(id::text) || ' ' || md5((id / 7)::text) AS text,
  (random() * 1e6)::numeric(12, 2) AS amount,
  now() - random() * interval '1000 days' AS created_at,
  jsonb_build_object('kind', id % 13, 'tags', ARRAY[id % 101, id % 7], 'note', md5(id::text))
    AS data,
  repeat(chr((97 + id % 26)::int), 60) AS filler
FROM generate_series(1, {rows}) AS id
"""


@dataclass
class _Found:
    """What each round took, of ours and of others."""

    full: list[Cost] = field(default_factory=list)
    restored: list[Cost] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    pgbackrest: list[Cost] = field(default_factory=list)
    pgbackrest_restored: list[Cost] = field(default_factory=list)
    pipe: list[Cost] = field(default_factory=list)
    size_bytes: int = 0
    stored_bytes: int = 0


def _run(bench: Workbench) -> list[Row]:
    rows = []
    for name in ("pgbench", "mixed columns"):
        with bench.part() as part:
            rows += _compare(part, name)
    with bench.part() as part:
        rows += _incremental(part)
    if PgBackRest.version() is None:
        rows.append(NOT_COMPARED)
    return rows


def _compare(bench: Workbench, name: str) -> list[Row]:
    server = bench.postgres(durable=True, major=_PEERS_MAJOR)
    bench.say(f"filling a cluster: {name}")
    if name == "pgbench":
        _fill_pgbench(bench, server)
    else:
        rows = bench.of(full=_MIXED_ROWS, quick=_QUICK_MIXED_ROWS) * _times(bench)
        server.execute(_MIXED.format(rows=rows))
    server.execute("VACUUM ANALYZE")
    found = _in_turn(bench, server, name)
    return _rows(name, found)


def _in_turn(bench: Workbench, server: PostgresServer, name: str) -> _Found:
    found = _Found()
    directory = bench.directory("backups")
    ours = _ours(bench, server, directory)
    peer = None
    if PgBackRest.version() is not None:
        peer = PgBackRest(server, bench.directory("pgbackrest"))
        peer.create_stanza()
    for number in range(rounds := bench.of(full=3, quick=1)):
        bench.say(f"{name}, round {number + 1} of {rounds}: ours")
        server.execute("CHECKPOINT")
        with MemoryWatcher(ours.pid) as watcher:
            made = ours.ask("create", kind="FULL", timeout_s=_TIMEOUT_S)
        found.full.append(_cost(made))
        found.memory_mb.append(watcher.most.pss_mb)
        found.size_bytes, found.stored_bytes = made["size_bytes"], made["stored_bytes"]
        restored = ours.ask("restore", number=number, timeout_s=_TIMEOUT_S)
        found.restored.append(_cost(restored))
        shutil.rmtree(restored["directory"])
        # Both: where the state remembers a store, another one in its place is refused.
        shutil.rmtree(directory / "store")
        shutil.rmtree(directory / "state")
        if peer is not None:
            bench.say(f"{name}, round {number + 1} of {rounds}: pgBackRest")
            server.execute("CHECKPOINT")
            found.pgbackrest.append(peer.full())
            into = bench.directory("restored") / "data"
            found.pgbackrest_restored.append(peer.restore(into))
        bench.say(f"{name}, round {number + 1} of {rounds}: the shell's pipe")
        server.execute("CHECKPOINT")
        found.pipe.append(pipe(server, directory / "pipe"))
    return found


def _incremental(bench: Workbench) -> list[Row]:
    server = bench.postgres(durable=True, settings={"summarize_wal": True})
    bench.say("filling a cluster for an incremental backup")
    scale = _fill_pgbench(bench, server)
    ours = _ours(bench, server, bench.directory("backups"))
    full = ours.ask("create", kind="FULL", timeout_s=_TIMEOUT_S)
    changed = scale * 1000
    server.execute(f"UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid <= {changed}")
    made = ours.ask("create", kind="INCREMENTAL", timeout_s=_TIMEOUT_S)
    if made["kind"] != "INCREMENTAL":
        raise RuntimeError("no incremental backup was made")
    return [
        Row(
            "incremental after 1 % changed in one place, stored",
            made["stored_bytes"] / full["stored_bytes"],
            "x full",
            at_most(_INCREMENTAL_BOUND),
            f"{made['stored_bytes'] / 1e6:.1f} MB of {full['stored_bytes'] / 1e6:.1f} MB",
        ),
        Row(
            "its size before compression",
            made["size_bytes"] / full["size_bytes"],
            "x full",
            note=f"{made['wall_s']:.1f} s, the full one {full['wall_s']:.1f} s",
        ),
    ]


def _rows(name: str, found: _Found) -> list[Row]:
    ratio = found.size_bytes / found.stored_bytes
    size = f"{found.size_bytes / 1e6:,.0f} MB, stored 1/{ratio:.1f} of it"
    rows = [
        _wall(f"{name}: our full backup", found.full, size),
        _wall(f"{name}: the shell's pipe", found.pipe, "nothing is synchronised or read back"),
        _ratio(
            f"{name}: our processor seconds against the pipe's",
            "x pipe",
            [each.cpu_s for each in found.full],
            [each.cpu_s for each in found.pipe],
            at_most(_CPU_BOUND),
        ),
        Row(
            f"{name}: memory of the worker and its programs",
            max(found.memory_mb),
            "MB",
            at_most(_MEMORY_BOUND_MB),
            "shared pages counted once",
        ),
        _wall(f"{name}: our restore", found.restored),
    ]
    if not found.pgbackrest:
        return rows
    return [
        *rows,
        _wall(f"{name}: pgBackRest, full, 2 processes", found.pgbackrest),
        _ratio(
            f"{name}: our full backup against that",
            "x pgBackRest",
            [each.wall_s for each in found.full],
            [each.wall_s for each in found.pgbackrest],
            at_most(_PGBACKREST_BOUND),
        ),
        _wall(f"{name}: pgBackRest, restore", found.pgbackrest_restored),
        _ratio(
            f"{name}: our restore against that",
            "x pgBackRest",
            [each.wall_s for each in found.restored],
            [each.wall_s for each in found.pgbackrest_restored],
            at_most(_PGBACKREST_BOUND),
        ),
    ]


def _ours(bench: Workbench, server: PostgresServer, directory: Path) -> Child:
    key = directory / "k1"
    key.write_bytes(base64.b64encode(os.urandom(32)))
    key.chmod(0o600)
    return bench.child("backups", server.dsn(), str(server.bin_dir), str(directory))


def _fill_pgbench(bench: Workbench, server: PostgresServer) -> int:
    """Make pgbench's tables, and return their scale."""
    scale = bench.of(full=_SCALE, quick=_QUICK_SCALE) * _times(bench)
    subprocess.run(
        [server.bin_dir / "pgbench", "--initialize", "--quiet", f"--scale={scale}", server.dsn()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=_TIMEOUT_S,
        check=True,
    )
    return scale


def _times(bench: Workbench) -> int:
    return _LONG_TIMES if bench.long else 1


def _cost(answer: dict[str, Any]) -> Cost:
    return Cost(answer["wall_s"], answer["cpu_s"])


def _wall(what: str, costs: list[Cost], note: str = "") -> Row:
    cpu = f"{median(each.cpu_s for each in costs):.1f} processor seconds"
    walls = ", ".join(f"{each.wall_s:.2f}" for each in costs)
    note = "; ".join(filter(None, [walls, cpu, note]))
    return Row(what, median(each.wall_s for each in costs), "s", note=note)


def _ratio(what: str, unit: str, ours: list[float], theirs: list[float], bar: Bar) -> Row:
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    spread = f"median of {len(ratios)} rounds, {min(ratios):.2f} to {max(ratios):.2f}"
    return Row(what, median(ratios), unit, bar, spread)


MEASUREMENT = Measurement("Backups and restores", _run, limit_s=3600.0)
