"""How many of the statements that a server logged for dbopsd have a span, in percent.

What is compared is the server's own log (`log_statement = all`) with what a collector got, after
the daemon has stopped: probes and checks, and an import, twice, with its transactions, DDL, COPY
in processes of its own, reading back and publishing.
"""

import time

from bench.imports import importing_daemon, run_import
from bench.measurement import Measurement, Row, at_least
from bench.sqlite_file import make_sqlite_file
from bench.workbench import Workbench
from tests.support.otlp import OtlpReceiver
from tests.support.spanlog import missing_spans

_ROWS = 20_000
_LEAST_STATEMENTS = 100


def _run(bench: Workbench) -> list[Row]:
    postgres = bench.postgres(logged=True)
    files = bench.directory("files")
    make_sqlite_file(files / "events.db", _ROWS)
    with OtlpReceiver() as receiver:
        daemon = importing_daemon(
            bench, postgres.dsn(), files, TELEMETRY__OTLP_ENDPOINT=receiver.grpc_endpoint
        )
        bench.say("importing, and over what was imported")
        for _ in range(2):
            run_import(daemon.target, files / "events.db", "bench")
        # The slowest check comes every half minute.
        time.sleep(bench.of(full=31.0, quick=2.0))
        # What is left of the spans is sent when it stops.
        daemon.stop()
        # Of the control store, which is no database of these, they have no namespace.
        spans = [span for span in receiver.spans() if "db.namespace" in span.attributes]
    logged = [
        each for each in postgres.statements_logged() if each.application.startswith("dbopsd")
    ]
    if len(logged) < _LEAST_STATEMENTS:
        raise AssertionError(f"only {len(logged)} statements: not all was done")
    missing = missing_spans(postgres, spans)
    copies = sum(each.text.startswith("COPY") for each in logged)
    note = f"{len(logged):,} statements, {copies} of them COPY; {len(spans):,} spans"
    if missing:
        note += f"; without one: {'; '.join(text for _, text in list(missing)[:3])}"
    covered = 100 * (1 - missing.total() / len(logged))
    return [Row("statements with a span", covered, "%", at_least(100), note)]


MEASUREMENT = Measurement("Spans against the server's own log", _run)
