"""Which samples a caller asked for."""

import time

import pytest

from dbopsd.errors import InvalidField
from dbopsd.metrics.model import (
    Collection,
    CollectorState,
    CollectorStatus,
    Metric,
    MetricType,
    Sample,
    Series,
    Snapshot,
)
from dbopsd.metrics.selection import EVERYTHING, Selection

UP = Metric("pg_up", MetricType.GAUGE, "1", "Up.")
ROWS = Metric("pg_stat_user_tables_n_live_tup", MetricType.GAUGE, "{row}", "Rows.", ("relname",))
OK = CollectorStatus("tables", CollectorState.OK, sampled_at=1.0)
SNAPSHOT = Snapshot(
    "main",
    {
        "tables": Collection(
            OK, tuple(Sample(Series(ROWS, (table,)), 1.0, 1.0) for table in ("users", ""))
        ),
        "up": Collection(OK, (Sample(Series(UP, ()), 1.0, 1.0),)),
    },
)


def shown(*metrics: str, **labels: str) -> list[str]:
    narrowed = Selection.of(metrics, labels).narrowed(SNAPSHOT)
    assert set(narrowed.collections) == {"tables", "up"}, "each collector's state is told"
    return [
        f"{each.series.metric.name}{''.join(each.series.labels)}" for each in narrowed.samples()
    ]


@pytest.mark.parametrize(
    ("metrics", "labels", "expected"),
    [
        ((), {}, [f"{ROWS.name}users", ROWS.name, "pg_up"]),
        (("pg_up",), {}, ["pg_up"]),
        (("PG_UP", "pg_u", "g_up"), {}, []),
        (("pg_u?",), {}, ["pg_up"]),
        (("pg_stat_*",), {}, [f"{ROWS.name}users", ROWS.name]),
        (("*tup", "pg_up"), {"relname": "users"}, [f"{ROWS.name}users"]),
        ((), {"relname": ""}, [ROWS.name, "pg_up"]),
        ((), {"nope": "1"}, []),
        (("pg[_]up", "pg.up", "pg_up|x"), {}, []),
    ],
)
def test_names_and_labels_choose(metrics, labels, expected):
    assert shown(*metrics, **labels) == expected


def test_all_of_it_is_the_snapshot_itself():
    assert EVERYTHING.narrowed(SNAPSHOT) is SNAPSHOT


def test_equal_ones_are_equal_whatever_they_were_asked_before():
    one, other = Selection.of(["b*", "a", "a"]), Selection.of(["a", "b*"])
    one.narrowed(SNAPSHOT)
    assert one == other
    assert hash(one) == hash(other)


def test_stars_without_end_are_no_search_without_end():
    began = time.thread_time()
    assert shown("*" * 200, "*a" * 100) == shown()
    assert not Selection.of(["*a" * 12 + "!"]).names("a" * 128)
    assert time.thread_time() - began < 5


@pytest.mark.parametrize(
    ("metrics", "labels", "field"),
    [
        (["x"] * 101, {}, "filter.metrics"),
        ([""], {}, "filter.metrics"),
        (["x" * 201], {}, "filter.metrics"),
        ([f"{number}" + "*a" * 99 for number in range(6)], {}, "filter.metrics"),
        ([], {str(number): "" for number in range(21)}, "filter.labels"),
    ],
)
def test_too_much_is_refused(metrics, labels, field):
    with pytest.raises(InvalidField) as error:
        Selection.of(metrics, labels)
    assert error.value.field == field
