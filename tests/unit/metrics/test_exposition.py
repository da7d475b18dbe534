"""Snapshots as text for Prometheus, read by Prometheus's own parsers."""

import gc
import re

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text

from dbopsd.metrics.exposition import Exposition, Format
from dbopsd.metrics.model import Metric, MetricType
from tests.unit.metrics.made import COMMITS, UP, collection, snapshot

TOTAL = Metric("dbops_calls_total", MetricType.COUNTER, "{call}", 'Calls, "all"\\\nof them.')
HOSTILE = ('a"b', "back\\slash", "line\nbreak", "", "é\U0001f600", '"} 1\npg_up 0\n#')
PARSERS = {Format.TEXT: text, Format.OPENMETRICS: openmetrics}


def families(written: str, format_: Format):
    return {family.name: family for family in PARSERS[format_](written)}


@pytest.mark.parametrize("format_", Format)
def test_what_is_written_is_read_as_it_was(format_):
    values = (0.1, 1e300, -5.0, 2.0**53, 1e-300, 123456789012345678.0)
    names = [f"d{number}" for number in range(len(values))]
    commits = [(COMMITS, (name,), value) for name, value in zip(names, values, strict=True)]
    shown = snapshot("main", collection("a", *commits), collection("b", (TOTAL, (), 7.0)))
    written = Exposition(format_, server_label=False).write([shown])
    samples = [each for family in families(written, format_).values() for each in family.samples]
    assert {each.labels["datname"]: each.value for each in samples if each.labels} == dict(
        zip(names, values, strict=True)
    )
    # As they are: the parser for text gives counters the ending that OpenMetrics has.
    lines = [line for line in written.splitlines() if not line.startswith("#")]
    assert {re.split("[{ ]", line)[0] for line in lines} == {COMMITS.name, TOTAL.name}


@pytest.mark.parametrize("format_", Format)
def test_no_label_of_a_stranger_adds_or_breaks_a_line(format_):
    hostile = collection("a", *((COMMITS, (each,), 1.0) for each in HOSTILE))
    written = Exposition(format_, server_label=True).write([snapshot("main", hostile)])
    (family,) = families(written, format_).values()
    assert {each.labels.get("datname", "") for each in family.samples} == set(HOSTILE)
    assert {each.labels["server"] for each in family.samples} == {"main"}


def test_a_counter_keeps_its_name_and_says_what_it_is_where_the_format_lets_it():
    shown = [snapshot("main", collection("a", (COMMITS, ("x",), 1.0), (TOTAL, (), 7.0)))]
    plain = families(Exposition(Format.TEXT, server_label=False).write(shown), Format.TEXT)
    assert plain[COMMITS.name].type == "counter"
    told = families(
        Exposition(Format.OPENMETRICS, server_label=False).write(shown), Format.OPENMETRICS
    )
    assert told[COMMITS.name].type == "unknown"
    assert told["dbops_calls"].type == "counter"
    assert told["dbops_calls"].documentation == 'Calls, "all"\\\nof them.'


def test_samples_of_one_metric_stand_together_whatever_database_they_are_of():
    shown = [
        snapshot(name, collection("up", (UP, (), 1.0)), collection("a", (COMMITS, ("x",), 1.0)))
        for name in ("main", "other")
    ]
    written = Exposition(Format.TEXT, server_label=True).write(shown)
    assert written == (
        "# HELP pg_up Whether it answers.\n# TYPE pg_up gauge\n"
        'pg_up{server="main"} 1\npg_up{server="other"} 1\n'
        "# HELP pg_stat_database_xact_commit Commits.\n"
        "# TYPE pg_stat_database_xact_commit counter\n"
        'pg_stat_database_xact_commit{server="main",datname="x"} 1\n'
        'pg_stat_database_xact_commit{server="other",datname="x"} 1\n'
    )


def test_nothing_of_old_samples_is_kept():
    exposition = Exposition(Format.TEXT, server_label=False)
    for number in range(50):
        exposition.write([snapshot("main", collection("up", (UP, (), float(number))))])
    gc.collect()
    assert len(exposition._blocks) <= 1
