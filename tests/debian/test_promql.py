"""The daemon's evaluator and Prometheus's own come to the same values."""

import json
import math
import subprocess
from pathlib import Path

import pytest

from dbopsd.metrics.alerts.promql import Expression
from dbopsd.metrics.alerts.windows import Windows
from tests.support.alert_cases import Case
from tests.support.debian import tool

SERIES = {
    'up{db="a", kind="x"}': "1x60",
    'up{db="b", kind="y"}': "0x60",
    'used{db="a", kind="x"}': "0+2x60",
    'used{db="a", kind="y"}': "5x60",
    'used{db="b", kind="x"}': "100-1x60",
    'size{db="a"}': "50x60",
    'size{db="b"}': "200x60",
    'total{db="a"}': "0+3x20 1+4x39",
    'total{db="b"}': "7x60",
    'late{db="a"}': "_x40 1+1x19",
    "one": "2.5x60",
    "half": "-0.5x60",
}
INTERVAL_S = 10
AT_S = 600
# A power of two, so that rounding to it adds nothing of its own.
FINENESS = 2**20
# A range begins with its first sample in both, so that nothing has to be extrapolated.
EXPRESSIONS = (
    *("up == 0", "up != 0", "up > 0", "up >= 1", "up < 1", "up <= 0", "up == bool 0"),
    *(
        "1 + one",
        "one * 2 ^ 3",
        "one % 2",
        "2 - one / 5",
        "-one",
        "clamp_max(one / 0, 9)",
        "time() - one",
    ),
    *('used{kind="x"}', 'used{kind!="x"}', 'used{db=~"a|c", kind=~".+"}', 'used{db!~"a.*"}'),
    *('used{kind=""}', 'used{nothing=""} > 50', "used >= 1 < 50"),
    *("sum(used)", "sum by (db) (used)", "max without (kind) (used)", "min by (kind) (used)"),
    *("avg(used)", "count by (db) (used)", "group(used)", "sum by (nothing) (used)"),
    "used / on (db) group_left () size",
    "size * on (db) group_right () used",
    "used / ignoring (kind) group_left size > 0.3",
    'used{kind="x"} / on (db) size',
    'used{kind="x"} > on (db) size',
    'used{kind="x"} < on (db) size',
    'used{kind="x"} < bool on (db) size',
    'up and used{kind="x"}',
    'up or used{kind="x"}',
    "up unless used",
    "used and on (db) (up == 1)",
    "used unless on (db) (up == 0)",
    "size or on (db) used",
    *("increase(total[5m])", "rate(total[5m])", "increase(used[5m]) > 10", "delta(used[5m])"),
    *("changes(total[10m])", "resets(total[10m])", "changes(used[1m])", "deriv(used[5m])"),
    *("avg_over_time(used[1m])", "min_over_time(used[1m])", "max_over_time(used[1m])"),
    *("sum_over_time(used[1m])", "count_over_time(late[10m])", "last_over_time(late[5m])"),
    *("predict_linear(used[5m], 3600)", "predict_linear(used[5m], 3600) < 0"),
    *("absent(nothing)", "absent(one)", "vector(3)", "one + scalar(one)"),
    *("abs(half)", "ceil(half)", "floor(half)", "sqrt(one)", "ln(one)", "clamp_min(used, 7)"),
    *("clamp_max(used, 7)", "(up == 1) * 3", "1 - (1 - one)", "sum(rate(total[5m])) by (db) > 0"),
    "increase(total[5m]) > 3 and increase(total[5m]) > 2 * increase(used[5m])",
    "rate(total[5m]) / (rate(total[5m]) + rate(total[5m])) > 0.1 and rate(total[5m]) > 0.1",
)


def promtool_test(expression: str) -> dict[str, object]:
    """What promtool is told to expect: what our evaluator found."""
    windows = Windows(dict.fromkeys(("total", "used", "late"), 600.0))
    case = Case("", "", SERIES, INTERVAL_S, AT_S, ())
    for now, snapshot in case.snapshots():
        windows.take(snapshot, now)
    found = Expression.parse(expression).evaluate(windows, float(AT_S))
    names = {"{" + ", ".join(f'{k}="{v}"' for k, v in each.labels) + "}" for each in found}
    assert len(names) == len(found)
    return {
        # Ours leaves the metric's name out. The last bits depend on the order of a sum.
        "expr": f"round(({expression}) * 1, {1 / FINENESS!r})",
        "eval_time": f"{AT_S}s",
        "exp_samples": [
            {
                "labels": "{" + ", ".join(f'{name}="{value}"' for name, value in each.labels) + "}",
                "value": math.floor(each.value * FINENESS + 0.5) / FINENESS,
            }
            for each in found
        ],
    }


@pytest.mark.parametrize("broken", [False, True], ids=["ours", "one of ours is wrong"])
def test_each_expression_has_prometheuss_own_values(tmp_path: Path, *, broken: bool) -> None:
    expected = [promtool_test(expression) for expression in EXPRESSIONS]
    if broken:
        expected[0]["exp_samples"] = []
    document = {
        "evaluation_interval": f"{INTERVAL_S}s",
        "tests": [
            {
                "interval": f"{INTERVAL_S}s",
                "input_series": [{"series": name, "values": v} for name, v in SERIES.items()],
                "promql_expr_test": expected,
            }
        ],
    }
    path = tmp_path / "tests.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    done = subprocess.run(
        [tool("promtool"), "test", "rules", path],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode != 0) is broken, done.stdout + done.stderr
