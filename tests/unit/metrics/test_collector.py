"""Collectors: files whose comment declares what their rows mean."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from dbopsd.metrics.collector import (
    Collector,
    for_version,
    load_collectors,
    require_distinct_metrics,
)
from dbopsd.metrics.errors import CollectorInvalid, CollectorMismatch
from dbopsd.metrics.model import MetricType

HEAD = 'about = "Queues."\nevery_s = 10\n'
GAUGE = '[metrics.queue_length]\nunit = "{job}"\nhelp = "Jobs that wait."\n'


def parsed(head: str = HEAD, metrics: str = GAUGE, sql: str = "SELECT 1", name="queue.sql"):
    return Collector.parse(name, f"/*\n{head}{metrics}*/\n{sql}")


def found(collector: Collector, columns: str, *rows: tuple[object, ...]):
    samples = collector.samples(columns.split(), list(rows), 5.0)
    assert all(each.at == 5.0 for each in samples)
    return {(each.series.metric.name, *each.series.labels): each.value for each in samples}


def test_a_file_says_what_its_rows_mean():
    collector = parsed(
        f'{HEAD}prefix = "queue_"\nlabels = ["name"]\n',
        GAUGE + '[metrics.queue_jobs_total]\ntype = "counter"\nunit = "{job}"\nhelp = "All."\n'
        'column = "n"\n',
    )
    assert [each.type for each in collector.metrics] == [MetricType.GAUGE, MetricType.COUNTER]
    assert found(collector, "name length n", ("mail", 3, 10), ("sms", 0, 7)) == {
        ("queue_length", "mail"): 3.0,
        ("queue_length", "sms"): 0.0,
        ("queue_jobs_total", "mail"): 10.0,
        ("queue_jobs_total", "sms"): 7.0,
    }


def test_what_is_no_finite_number_is_no_sample():
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    collector = parsed(f'{HEAD}labels = ["kind"]\n', GAUGE)
    rows = [
        *(("null", None), ("nan", float("nan")), ("infinite", float("inf"))),
        *(("decimal", Decimal("1.5")), ("true", True), ("time", moment)),
        *(("span", timedelta(minutes=1)), ("dnan", Decimal("NaN"))),
    ]
    assert found(collector, "kind queue_length", *rows) == {
        ("queue_length", "decimal"): 1.5,
        ("queue_length", "true"): 1.0,
        ("queue_length", "time"): moment.timestamp(),
        ("queue_length", "span"): 60.0,
    }


@pytest.mark.parametrize(
    ("duplicates", "expected"), [("sum", 5.0), ("max", 3.0), ("last", 2.0)], ids=str
)
def test_no_series_comes_twice(duplicates, expected):
    collector = parsed(f'{HEAD}labels = ["name"]\nduplicates = "{duplicates}"\n', GAUGE)
    rows = [("a", 3), ("a", 2)]
    assert found(collector, "name queue_length", *rows) == {("queue_length", "a"): expected}


def test_a_label_that_is_null_is_empty():
    collector = parsed(f'{HEAD}labels = ["name"]\n', GAUGE)
    assert found(collector, "name queue_length", (None, 1)) == {("queue_length", ""): 1.0}


def test_rows_may_name_their_metrics():
    collector = parsed(f'{HEAD}prefix = "pg_settings_"\nrows_name_metrics = true\n', "")
    columns = "metric type unit help value"
    rows = [
        ("work_mem", "gauge", "By", "Memory.", 4096),
        ("no metric!", "gauge", "1", "", 1),
        ("wal", "gauge", "1", "", None),
    ]
    assert found(collector, columns, *rows) == {("pg_settings_work_mem",): 4096.0}


@pytest.mark.parametrize(
    ("columns", "row", "said"),
    [
        ("name other", ("a", 1), "have no column 'queue_length'"),
        ("other queue_length", ("a", 1), "have no column 'name'"),
        ("name queue_length", ("a", "many"), "column 'queue_length' is str, no number"),
    ],
)
def test_rows_that_are_not_as_declared(columns, row, said):
    collector = parsed(f'{HEAD}labels = ["name"]\n', GAUGE)
    with pytest.raises(CollectorMismatch, match=said):
        collector.samples(columns.split(), [row], 1.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT 1", "does not begin with a"),
        ("/* about = */ SELECT 1", "is no TOML"),
        (f"/* {HEAD} */ SELECT 1", "declares no metrics"),
        (f"/* {HEAD}{GAUGE}x = 1 */ SELECT 1", "metrics.queue_length.x: Extra inputs"),
        (f'/* about = "x"\nevery_s = 0.1\n{GAUGE} */ SELECT 1', "every_s: Input should be greater"),
        (f'/* {HEAD}[metrics."a-b"]\nunit = "1"\nhelp = "x" */ SELECT 1', "'a-b' is no name"),
        (f'/* {HEAD}labels = ["A"]\n{GAUGE} */ SELECT 1', "'A' is no name of a label"),
    ],
)
def test_a_file_that_is_none_is_told_why(text, said):
    with pytest.raises(CollectorInvalid, match=said) as error:
        Collector.parse("queue.sql", text)
    assert "queue.sql" in str(error.value)


@pytest.mark.parametrize("name", ["Queue.sql", "queue.txt", "queue.since_9.sql", "../queue.sql"])
def test_a_file_whose_name_is_none(name):
    with pytest.raises(CollectorInvalid, match="is no file name of a collector"):
        parsed(name=name)


def test_each_server_gets_the_variant_that_is_for_it():
    files = {
        "a.sql": f"{HEAD}until = 16\n",
        "a.since_17.sql": HEAD,
        "b.sql": HEAD,
        "c.since_18.sql": HEAD,
    }
    collectors = [parsed(head, name=name) for name, head in files.items()]

    def chosen(version: int) -> dict[str, int]:
        return {name: each.since for name, each in for_version(collectors, version).items()}

    assert chosen(15) == chosen(16) == {"a": 15, "b": 15}
    assert chosen(17) == {"a": 17, "b": 15}
    assert chosen(18) == {"a": 17, "b": 15, "c": 18}


def test_two_collectors_do_not_give_one_metric():
    with pytest.raises(CollectorInvalid, match=r"declares queue_length, which a\.sql has already"):
        require_distinct_metrics([parsed(name="a.sql"), parsed(name="b.sql")])


@pytest.mark.parametrize("collector", load_collectors(), ids=lambda one: f"{one.name}-{one.since}")
def test_ours_say_what_they_measure(collector):
    """Only what has a schema is looked up; texts of statements are read on demand alone."""
    assert collector.header.about.endswith(".")
    for metric in collector.metrics:
        assert metric.help.endswith("."), metric.name
        assert metric.unit, metric.name
        assert len(set(metric.labels)) == len(metric.labels)
    assert collector.header.rows_name_metrics or collector.metrics
    assert collector.header.timeout_s <= collector.header.every_s
    assert "pg_stat_statements.query" not in collector.statement.text
