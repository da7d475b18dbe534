"""The report: a table a measurement, a summary, and the same as JSON."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.measurement import Bar, Row

_STYLES = {"PASS": "green", "MISS": "bold red", "": ""}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one measurement: its rows, or the traceback of what ended it."""

    name: str
    title: str
    took_s: float
    rows: tuple[Row, ...]
    failure: str = ""

    @property
    def missed(self) -> bool:
        return any(row.verdict == "MISS" for row in self.rows)


def print_outcome(console: Console, outcome: Outcome) -> None:
    """One measurement's table, or what ended it."""
    console.print(f"\n[bold]{escape(outcome.title)}[/]  ({outcome.name}, {outcome.took_s:.0f} s)")
    if outcome.failure:
        console.print(f"[bold red]NOT MEASURED[/]\n{escape(outcome.failure)}")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("bar", justify="right")
    table.add_column("")
    table.add_column("note", style="dim")
    for row in outcome.rows:
        table.add_row(
            escape(row.what),
            _number(row.value),
            row.unit,
            _bar(row.bar),
            row.verdict,
            escape(row.note),
            style=_STYLES[row.verdict],
        )
    console.print(table)


def print_summary(console: Console, outcomes: Sequence[Outcome], took_s: float) -> None:
    """How many bars were reached, and what was missed or not measured."""
    judged = [row for outcome in outcomes for row in outcome.rows if row.verdict]
    reached = sum(row.verdict == "PASS" for row in judged)
    console.print(
        f"\n{reached} of {len(judged)} bars reached in {took_s:.0f} s on {os.cpu_count()} cores"
    )
    for outcome in outcomes:
        if outcome.failure:
            console.print(f"not measured: {outcome.name}")
        for row in outcome.rows:
            if row.verdict == "MISS":
                value = f"{_number(row.value)} {row.unit}"
                console.print(
                    f"missed: {outcome.name}: {escape(row.what)}: {value}, bar {_bar(row.bar)}"
                )


def write_json(path: Path, outcomes: Sequence[Outcome], *, quick: bool) -> None:
    """The report for programs, with the machine that it is of."""
    report = {
        "quick": quick,
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "measurements": [_as_json(outcome) for outcome in outcomes],
    }
    path.write_text(json.dumps(report, indent=2) + "\n")


def _as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "title": outcome.title,
        "took_s": round(outcome.took_s, 3),
        "failure": outcome.failure,
        "rows": [
            {
                "what": row.what,
                "value": row.value,
                "unit": row.unit,
                "bar": row.bar and {"bound": row.bar.bound, "at_least": row.bar.at_least},
                "verdict": row.verdict,
                "note": row.note,
            }
            for row in outcome.rows
        ],
    }


def _bar(bar: Bar | None) -> str:
    if bar is None:
        return ""
    return f"{'≥' if bar.at_least else '≤'} {bar.bound:g}"


def _number(value: float) -> str:
    """Three digits that count, whole numbers from a hundred on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
