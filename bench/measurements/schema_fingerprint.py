"""How long the fingerprint of a schema of 5,000 objects takes, and a round trip of a migration.

The first fingerprint of a connection reads the catalogs into the server's caches, as that of every
`dbops migrate list` does; the others are those within an apply.
"""

import asyncio
import time
from statistics import median

from opentelemetry.metrics import NoOpMeter
from opentelemetry.trace import NoOpTracer

from bench.measurement import Measurement, Row, at_most
from bench.workbench import Workbench
from dbopsd.config import DatabaseConfig
from dbopsd.db.database import Database
from dbopsd.migrate.versions.fingerprint.fingerprint import take_fingerprint
from dbopsd.migrate.versions.folder.read_folder import read_folder
from dbopsd.migrate.versions.model.reports import RoundtripResult
from dbopsd.migrate.versions.roundtrip.round_trip import round_trip
from tests.support.operation_run import OperationRun

_OBJECTS = 5000
_BOUND_MS = 500.0
# Each has 20 objects: columns, keys, indexes, a sequence, a view, a function, comments.
_TABLE = """
  CREATE TABLE t{n} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL DEFAULT 'x', amount int,
    made timestamptz DEFAULT now(), data jsonb, done boolean, parent bigint REFERENCES t{n},
    CHECK (amount > 0)
  );
  CREATE INDEX ON t{n} (name);
  CREATE INDEX ON t{n} (lower(name)) WHERE done;
  CREATE VIEW v{n} AS SELECT a.id, b.name FROM t{n} AS a JOIN t{n} AS b ON a.parent = b.id;
  CREATE FUNCTION f{n}(a int) RETURNS int LANGUAGE sql AS 'SELECT 1';
  COMMENT ON TABLE t{n} IS 'number {n}'
"""
_OBJECTS_A_TABLE = 20


def _run(bench: Workbench) -> list[Row]:
    server = bench.postgres()
    tables = _OBJECTS // _OBJECTS_A_TABLE + 1
    bench.say("making tables")
    for number in range(tables):
        server.execute(_TABLE.format(n=number))
    return asyncio.run(_measure(bench, server.dsn(), bench.of(full=100, quick=10)))


async def _measure(bench: Workbench, dsn: str, migrations: int) -> list[Row]:
    directory = bench.directory("migrations")
    for number in range(1, migrations + 1):
        (directory / f"{number:04}_t.sql").write_text(_TABLE.format(n=number))
        undo = f"DROP VIEW v{number}; DROP FUNCTION f{number}; DROP TABLE t{number}"
        (directory / f"{number:04}_t_rollback.sql").write_text(undo)
    config = DatabaseConfig.model_validate({"dsn": dsn, "migrations_dir": str(directory)})
    database = Database("main", config, tracer=NoOpTracer(), meter=NoOpMeter("bench"))
    times_ms = []
    for _ in range(bench.of(full=10, quick=3)):
        async with database.dedicated_session(
            "write", application_name="bench", query_timeout_s=60
        ) as session:
            began_s = time.perf_counter()
            taken = await take_fingerprint(session, ledger_schema="dbops")
            times_ms.append((time.perf_counter() - began_s) * 1000)
    if len(taken.objects) < _OBJECTS:
        raise AssertionError(f"only {len(taken.objects)} objects")
    bench.say("round trips")
    folder = read_folder(config.migrations_dir[0], config.migrations)
    run = OperationRun(database, bench.directory("operation"))
    began_s = time.perf_counter()
    results = await round_trip(run, [folder])
    each_ms = (time.perf_counter() - began_s) * 1000 / migrations
    if {each.result for each in results} != {RoundtripResult.RESTORED}:
        raise AssertionError("a round trip did not restore")
    note = f"{len(taken.objects)} objects, new connections, worst {max(times_ms):.0f}"
    return [
        Row("fingerprint", median(times_ms), "ms", at_most(_BOUND_MS), note),
        Row("round trip of a migration", each_ms, "ms", None, f"one of {migrations}"),
    ]


MEASUREMENT = Measurement("The fingerprint of a schema", _run, limit_s=300.0)
