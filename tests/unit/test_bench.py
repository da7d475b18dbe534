"""`python -m bench` starts, knows its measurements, and reports what it measured."""

import json

from click.testing import CliRunner
from rich.console import Console

from bench.__main__ import main
from bench.measurement import Row, at_least, at_most, load_measurements
from bench.report import Outcome, print_outcome, print_summary, write_json


def test_every_measurement_is_listed_with_its_title():
    result = CliRunner().invoke(main, ["--list"])

    assert result.exit_code == 0
    listed = {line.split()[0] for line in result.output.splitlines()}
    assert listed == set(load_measurements())
    assert "check_rate" in listed


def test_an_unknown_measurement_is_wrong_usage():
    result = CliRunner().invoke(main, ["no_such"])

    assert result.exit_code == 2
    assert "no measurement no_such" in result.output


def test_the_report_names_what_was_missed_and_what_was_not_measured(tmp_path):
    rows = (
        Row("reached", 0.9, "x bare", at_least(0.8)),
        Row("too slow", 7, "s", at_most(5), "[a note]"),
        Row("for comparison", 1234.5, "calls/s"),
    )
    outcomes = [
        Outcome("one", "the first", 1.0, rows),
        Outcome("two", "the second", 1.0, (), "Traceback: it broke"),
    ]
    console = Console(width=120, record=True)

    for outcome in outcomes:
        print_outcome(console, outcome)
    print_summary(console, outcomes, 2.0)
    write_json(tmp_path / "report.json", outcomes, quick=True)

    text = console.export_text()
    assert "1 of 2 bars reached" in text
    assert "missed: one: too slow: 7 s, bar ≤ 5" in text
    assert "not measured: two" in text
    assert "it broke" in text
    written = json.loads((tmp_path / "report.json").read_text())
    assert [row["verdict"] for row in written["measurements"][0]["rows"]] == ["PASS", "MISS", ""]
