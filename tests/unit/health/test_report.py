"""How the report of a database follows from its checks."""

import dataclasses
import itertools
import math

import pytest

from dbopsd.health.report import CheckResult, Report, State, Thresholds, summarise
from tests.unit.health.results import report, result

H, D, U, X = State.HEALTHY, State.DEGRADED, State.UNHEALTHY, State.UNKNOWN


def summary(*checks: CheckResult) -> Report:
    return summarise("main", checks, server_role=None, server_version="", answered_at=None)


@pytest.mark.parametrize(
    ("reachable", "others", "whole"),
    [
        (H, [H, H], H),
        (H, [H, D], D),
        (H, [D, U], U),
        (D, [H, H], D),
        (H, [X, H], D),  # no proof that the database is unwell
        (H, [X, U], U),
        (X, [X, X], X),
        (X, [H, H], X),
        (X, [D, X], X),  # a pool without a connection says nothing about the database
        (X, [U, X], X),
        (U, [X, X], U),
        (U, [X, D], U),
    ],
)
def test_the_worst_check_is_the_state(reachable: State, others: list[State], whole: State) -> None:
    checks = [result(f"check{number}", state) for number, state in enumerate(others)]
    for order in itertools.permutations(checks):
        assert summary(result("reachable", reachable), *order).state is whole


def test_a_healthy_report_explains_nothing() -> None:
    assert (
        summary(result("reachable", message="fast"), result("a", message="fine")).explanation == ""
    )


def test_the_explanation_is_the_worst_checks_message_and_how_many_more() -> None:
    checks = [result("reachable"), result("a", D, "so so"), result("b", U, "broken")]
    assert summary(*checks).explanation == "b: broken"
    checks.append(result("c", U, "too"))
    assert summary(*checks).explanation == "b: broken (and 1 more)"


def test_what_is_wrong_is_explained_before_what_is_not_known() -> None:
    checks = [result("reachable"), result("a", X, "not measured"), result("b", D, "near the limit")]
    assert summary(*checks).explanation == "b: near the limit (and 1 more)"


def test_a_database_that_does_not_answer_is_explained_by_that_alone() -> None:
    checks = [
        result("reachable", U, "refused"),
        result("a", X, "not measured"),
        result("b", U, "b"),
    ]
    assert summary(*checks).explanation == "reachable: refused"


def test_severity_orders_the_states() -> None:
    assert H.severity < X.severity == D.severity < U.severity


@pytest.mark.parametrize(
    ("value", "state"), [(0, H), (0.99, H), (1, D), (4.99, D), (5, U), (math.inf, U)]
)
def test_a_threshold_counts_from_its_own_value_on(value: float, state: State) -> None:
    assert Thresholds(1, 5).judge(value) is state


def test_a_missing_threshold_is_never_passed() -> None:
    assert Thresholds().judge(math.inf) is H
    assert Thresholds(warning=1).judge(math.inf) is D
    assert Thresholds(critical=1).judge(1) is U


def test_values_and_ages_are_no_difference_states_and_reasons_are() -> None:
    first = report(D)
    assert not first.differs_from(report(D, answered_at=99.0))
    (reachable,) = first.checks
    moved = dataclasses.replace(reachable, value=3.0, message="other words", measured_at=99.0)
    assert not dataclasses.replace(first, checks=(moved,)).differs_from(first)
    for change in ({"reason": "ELSE"}, {"state": U}):
        changed = dataclasses.replace(reachable, **change)
        assert dataclasses.replace(first, checks=(changed,)).differs_from(first)
    assert dataclasses.replace(first, server_version="18.6").differs_from(first)
