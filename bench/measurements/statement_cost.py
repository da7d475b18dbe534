"""What the traced path adds to a `SELECT 1`, against psycopg alone and the public instrumentation.

The three run in turn in one process, in short blocks: a cost is the median, over the rounds, of
what a side takes for a statement less what plain psycopg takes in the same round. It is processor
time of the event loop's thread, because a span is nothing else and the clock counts what the
machine does meanwhile, too; the note has the clock's figure.
"""

from statistics import median
from typing import Any

from bench.measurement import Bar, Measurement, Row, at_most
from bench.workbench import Workbench

_BOUND_US = 60.0
_STATEMENTS = 25
_POOLED = "acquire, statement, release"
_HELD = "the statement alone, connection held"


def _run(bench: Workbench) -> list[Row]:
    dsn = bench.postgres().dsn()
    rounds = bench.of(full=400, quick=80)
    silent = bench.child("statements", dsn, "")
    rows: list[Row] = []
    for how, where in (("pooled", _POOLED), ("held", _HELD)):
        silent.ask("measure", how=how, rounds=20, statements=_STATEMENTS, with_export=False)
        bench.say(where)
        found = silent.ask(
            "measure", how=how, rounds=rounds, statements=_STATEMENTS, with_export=False
        )
        rows += _rows(where, found, at_most(_BOUND_US))
    exporting = bench.child("statements", dsn, bench.otlp_sink())
    bench.say("with export")
    exporting.ask("measure", how="pooled", rounds=20, statements=_STATEMENTS, with_export=True)
    found = exporting.ask(
        "measure", how="pooled", rounds=rounds // 2, statements=_STATEMENTS, with_export=True
    )
    return rows + _rows("acquire … release, export to OTLP included", found, None)


def _rows(where: str, found: dict[str, Any], bar: Bar | None) -> list[Row]:
    for side, spans in found["spans"].items():
        if spans < found["statements"]:
            raise AssertionError(f"{side}: {spans} spans of {found['statements']} statements")
    ours, public = (_costs(found["cpu_us"], side) for side in ("ours", "public"))
    ratio = median(ours) / median(public)
    plain = f"plain psycopg takes {median(found['cpu_us']['plain']):.0f} us"
    return [
        Row(f"{where}: ours over plain", median(ours), "us", bar, _note(found, "ours")),
        Row(f"{where}: public over plain", median(public), "us", None, _note(found, "public")),
        Row(f"{where}: ours against public", ratio, "x", bar and at_most(1.0), plain),
    ]


def _costs(times: dict[str, list[float]], side: str) -> list[float]:
    return [cost - plain for cost, plain in zip(times[side], times["plain"], strict=True)]


def _note(found: dict[str, Any], side: str) -> str:
    ordered = sorted(_costs(found["cpu_us"], side))
    tenth = len(ordered) // 10
    elapsed = median(_costs(found["us"], side))
    return (
        f"8 of 10 rounds {ordered[tenth]:.0f} to {ordered[-1 - tenth]:.0f};"
        f" by the clock {elapsed:.0f}"
    )


MEASUREMENT = Measurement("The span's cost a statement", _run)
