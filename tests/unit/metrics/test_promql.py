"""What the evaluator takes; `tests/debian/test_promql.py` compares it with Prometheus."""

import math
from collections.abc import Mapping

import pytest

from dbopsd.metrics.alerts.promql import Expression
from dbopsd.metrics.alerts.windows import Windows
from dbopsd.metrics.errors import ExpressionFailed, ExpressionInvalid
from tests.support.alert_cases import Case

SERIES = {
    'used{db="a"}': "0+2x60",
    'used{db="b"}': "100-1x60",
    'size{db="a", kind="x"}': "50x60",
    'size{db="a", kind="y"}': "60x60",
    'total{db="a"}': "0+3x20 1+4x39",
    "zero": "0x60",
}


def evaluated(text: str, series: Mapping[str, str] = SERIES) -> dict[tuple[str, ...], float]:
    """The values by the values of their labels, ten minutes after the first sample."""
    windows = Windows(dict.fromkeys(("total", "used"), 600.0))
    for now, snapshot in Case("", "", series, 10, 600, ()).snapshots():
        windows.take(snapshot, now)
    found = Expression.parse(text).evaluate(windows, 600.0)
    return {tuple(value for _, value in each.labels): each.value for each in found}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("used >", "cannot be used"),
        ("used offset 5m", "offset and @ are not supported"),
        ("used @ 5", "offset and @ are not supported"),
        ("max_over_time(used[5m:1m])", "a subquery is not supported"),
        ("topk(3, used)", "the aggregation topk is not supported"),
        ("quantile(0.5, used)", "the aggregation quantile is not supported"),
        ("histogram_quantile(0.9, used)", "the function histogram_quantile is not supported"),
        ("irate(used[5m])", "the function irate is not supported"),
        ('{db="a"}', "a selector without a name is not supported"),
        ('label_replace(used, "a", "b", "c", "d")', "not supported"),
    ],
)
def test_what_is_not_evaluated_is_refused_when_it_is_read(text: str, problem: str) -> None:
    with pytest.raises(ExpressionInvalid) as raised:
        Expression.parse(text)
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("used > 100", {("a",): 120.0}),
        ("max(used) - min(used)", {(): 80.0}),
        # 0 to 60, a reset to 1, and on to 157.
        ("increase(total[10m])", {("a",): 60.0 + 1.0 + 39 * 4.0}),
        ("increase(total[1m]) / rate(total[1m])", {("a",): 60.0}),
        ("used / zero", {}),
        ("sum(used / on () group_left () zero)", {(): math.inf}),
        ("zero / zero", {}),
        ("(zero - 8) ^ 0.5", {}),
        ("max((used + 9) ^ 999)", {(): math.inf}),
        ("used unless used > 100", {("b",): 40.0}),
        ("absent(nothing)", {(): 1.0}),
        ("nothing > 5", {}),
    ],
)
def test_values(text: str, found: dict[tuple[str, ...], float]) -> None:
    assert evaluated(text) == found


def test_several_matches_are_an_error_and_no_guess() -> None:
    with pytest.raises(ExpressionFailed, match="several elements match"):
        evaluated("used / on (db) size")


def test_it_says_what_it_reads() -> None:
    parsed = Expression.parse("rate(a[5m]) > 1 and max_over_time(a[1h]) < b or c{x='y'} == 0")
    assert parsed.metrics == {"a", "b", "c"}
    assert parsed.windows == {"a": 3600.0}


def test_a_range_has_the_samples_of_its_time_alone() -> None:
    assert evaluated("count_over_time(used[1m])") == {("a",): 7.0, ("b",): 7.0}
    assert evaluated("increase(total[5s])") == {}


def test_samples_that_are_older_than_any_range_are_forgotten() -> None:
    windows = Windows({"used": 60.0})
    case = Case("", "", {'used{db="a"}': "0+1x500", 'used{db="b"}': "0x5"}, 10, 5000, ())
    for now, snapshot in case.snapshots():
        windows.take(snapshot, now)
    lines = windows._lines["used"]
    assert list(lines) == [("a",)]
    assert len(lines["a",].times) < 30
