"""Each default rule in a situation in which it fires and in one that looks like it and is none.

`tests/debian/test_alert_rules.py` asks Prometheus about the same situations.
"""

import pytest

from dbopsd.metrics.alerts.judge import Judge
from dbopsd.metrics.alerts.rules import RuleSet
from tests.support.alert_cases import Case, load_cases

RULES = RuleSet.default()
CASES = load_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_fires_as_it_should(case: Case) -> None:
    judge = Judge("main", [RULES.rules[case.rule]], lambda metric: None)
    for now, snapshot in case.snapshots():
        judge.judge(snapshot, now)
    assert not judge.failing
    firing = [dict(alert.labels) for alert in judge.alerts if alert.firing]
    assert sorted(firing, key=str) == sorted(map(dict, case.fires), key=str)


@pytest.mark.parametrize("rule", sorted(RULES.rules))
def test_each_rule_has_a_situation_and_a_look_alike(rule: str) -> None:
    of_rule = [case for case in CASES if case.rule == rule]
    assert any(case.fires for case in of_rule)
    assert any(not case.fires for case in of_rule)
