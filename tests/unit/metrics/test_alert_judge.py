"""Pending, firing, resolved; what is not known changes nothing."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from dbopsd.metrics.alerts.alert import Alert, AlertState
from dbopsd.metrics.alerts.judge import Judge
from dbopsd.metrics.alerts.rules import Rule, RuleSet, Severity
from dbopsd.metrics.model import CollectorState, Sample, Snapshot
from tests.support.alert_cases import series_of, snapshot_of

RULES = RuleSet.default().rules


def rule(expr: str = "load > {threshold}", **changes: object) -> Rule:
    base = Rule("Load", expr, Severity.WARNING, "load is {value}", "look at DB", threshold=10.0)
    return replace(base, **changes)  # type: ignore[arg-type]


class Played:
    """A judge, and samples at times of our own."""

    def __init__(self, *rules: Rule, messages: Mapping[str, str] | None = None) -> None:
        self.judge = Judge("main", rules, lambda metric: metric, lambda: messages or {})
        self.now = 0.0

    def at(
        self,
        now: float,
        values: Mapping[str, float],
        states: Mapping[str, CollectorState] | None = None,
    ) -> "Played":
        """Judge. Each metric has a collector of its name; `states` has those that are not OK."""
        samples: dict[str, list[Sample]] = {name: [] for name in states or {}}
        for text, value in values.items():
            series = series_of(text)
            samples.setdefault(series.metric.name, []).append(Sample(series, value, now))
        found = snapshot_of(samples, now)
        collections = {
            name: replace(each, status=replace(each.status, state=state))
            for name, state in (states or {}).items()
            for each in (found.collections[name],)
        }
        self.judge.judge(Snapshot("main", {**found.collections, **collections}), now)
        return self

    @property
    def only(self) -> Alert:
        (alert,) = self.judge.alerts
        return alert

    @property
    def state(self) -> AlertState | None:
        return next((each.state for each in self.judge.alerts), None)


def test_it_is_pending_then_fires_then_is_resolved() -> None:
    played = Played(rule(for_s=60))
    assert played.at(0, {"load": 20}).state is AlertState.PENDING
    assert played.at(59, {"load": 21}).state is AlertState.PENDING
    assert played.at(60, {"load": 22}).state is AlertState.FIRING
    assert (played.only.started_at, played.only.fired_at, played.only.value) == (0, 60, 22)
    assert played.only.summary == "load is 22"
    assert played.only.remedy == "look at main"
    assert played.at(70, {"load": 1}).state is AlertState.RESOLVED
    assert played.only.resolved_at == 70


def test_a_pending_one_whose_condition_ends_is_forgotten_and_begins_anew() -> None:
    played = Played(rule(for_s=60)).at(0, {"load": 20}).at(30, {"load": 1})
    assert played.state is None
    assert played.at(40, {"load": 20}).at(80, {"load": 20}).state is AlertState.PENDING
    assert played.at(100, {"load": 20}).state is AlertState.FIRING


def test_it_is_resolved_a_tenth_below_its_threshold() -> None:
    played = Played(rule()).at(0, {"load": 10.5})
    assert played.state is AlertState.FIRING
    for now in range(1, 20):
        assert played.at(now, {"load": 9.5 if now % 2 else 10.5}).state is AlertState.FIRING
    assert played.at(30, {"load": 9.5}).only.value == 9.5
    assert played.at(31, {"load": 9}).state is AlertState.RESOLVED


def test_a_value_between_both_thresholds_raises_nothing() -> None:
    assert Played(rule()).at(0, {"load": 9.5}).state is None


def test_what_is_kept_outlasts_a_gap_and_no_longer() -> None:
    played = Played(rule(keep_s=60)).at(0, {"load": 20}).at(10, {"load": 0}).at(69, {"load": 0})
    assert played.state is AlertState.FIRING
    assert played.at(69.5, {"load": 20}).at(80, {"load": 0}).at(139, {"load": 0}).state is (
        AlertState.FIRING
    )
    assert played.at(140, {"load": 0}).state is AlertState.RESOLVED


@pytest.mark.parametrize("state", [CollectorState.FAILED, CollectorState.PENDING])
def test_absent_data_resolve_nothing_and_raise_nothing(state: CollectorState) -> None:
    played = Played(rule()).at(0, {"load": 20})
    for now in range(10, 100, 10):
        assert played.at(now, {}, {"load": state}).state is AlertState.FIRING
    assert played.at(100, {}).state is AlertState.FIRING, "the collector is not there at all"
    assert played.at(110, {"load": 0}).state is AlertState.RESOLVED
    assert Played(rule()).at(0, {"load": 20}, {"load": state}).state is None


def test_what_a_part_leaves_out_is_not_resolved() -> None:
    partial = {"load": CollectorState.PARTIAL}
    played = Played(rule()).at(0, {'load{db="a"}': 20, 'load{db="b"}': 20})
    played.at(10, {'load{db="a"}': 20, 'load{db="c"}': 20}, partial)
    assert {each.labels[0][1]: each.state.name for each in played.judge.alerts} == {
        "a": "FIRING",
        "b": "FIRING",
        "c": "FIRING",
    }


def test_a_series_that_is_gone_from_what_was_sampled_is_resolved() -> None:
    played = Played(rule()).at(0, {'load{db="a"}': 20}).at(10, {'load{db="b"}': 1})
    assert played.state is AlertState.RESOLVED


def test_a_collector_that_another_role_of_the_server_lacks_resolves() -> None:
    played = Played(rule()).at(0, {"load": 20})
    assert played.at(10, {}, {"load": CollectorState.NOT_APPLICABLE}).state is AlertState.RESOLVED


def test_a_check_that_is_unknown_changes_nothing_and_others_go_on() -> None:
    state = 'dbops_health_check_state{check="%s"}'
    played = Played(RULES["HealthCheckUnhealthy"], messages={"a": "it is bad"})
    for now in (0, 60):
        played.at(now, {state % "a": 2, state % "b": 2})
    assert [each.state for each in played.judge.alerts] == [AlertState.FIRING] * 2
    for now in (70, 200, 400):
        played.at(now, {state % "a": 3, state % "b": 0})
    states = {each.labels[0][1]: each.state for each in played.judge.alerts}
    assert states == {"a": AlertState.FIRING, "b": AlertState.RESOLVED}


def test_a_check_gives_its_value_and_its_message() -> None:
    played = Played(
        replace(RULES["StorageFilling"], for_s=0), messages={"storage": "85 % of 10 GB"}
    ).at(
        0,
        {
            'dbops_health_check_state{check="storage"}': 1,
            'dbops_health_check_value{check="storage"}': 0.85,
        },
    )
    assert played.only.value == 0.85
    assert played.only.summary == "the storage is filling up: 85 % of 10 GB"


def test_a_rule_that_fails_is_said_once_and_holds_up_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    several = rule("load / on () size > {threshold}")
    several = replace(several, name="Several")
    played = Played(several, rule())
    for now in (0, 10):
        played.at(now, {"load": 20, 'size{a="1"}': 1, 'size{a="2"}': 1})
    assert [each.rule for each in played.judge.alerts] == ["Load"]
    assert set(played.judge.failing) == {"Several"}
    assert caplog.text.count("the alert rule Several cannot be evaluated on database 'main'") == 1
    played.at(20, {"load": 20, 'size{a="1"}': 1})
    assert not played.judge.failing


def test_a_rule_that_holds_for_all_things_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    played = Played(rule())
    many = {f'load{{table="{number}"}}': 20.0 + number for number in range(300)}
    played.at(0, many)
    first = {each.labels for each in played.judge.alerts}
    assert len(first) == 100
    assert (("table", "299"),) in first
    # A newer one that is higher takes the place of none that is an alert already.
    played.at(10, {**many, 'load{table="new"}': 900})
    assert {each.labels for each in played.judge.alerts} == first
    assert "holds for 300 sets of labels" in caplog.text


def test_a_resolved_one_is_kept_for_a_day() -> None:
    played = Played(rule()).at(0, {"load": 20}).at(10, {"load": 0})
    assert played.at(86_000, {"load": 0}).state is AlertState.RESOLVED
    assert played.at(86_500, {"load": 0}).state is None


def test_of_those_that_are_resolved_the_last_hundred_are_kept() -> None:
    played = Played(rule())
    for now in range(250):
        played.at(now, {f'load{{query="{now}"}}': 20})
    states = [each.state for each in played.judge.alerts]
    assert states.count(AlertState.RESOLVED) == 100
    assert states.count(AlertState.FIRING) == 1
    kept = {int(each.labels[0][1]) for each in played.judge.alerts}
    assert kept == set(range(149, 250))


def test_a_restored_one_goes_on_where_it_was() -> None:
    before = Played(rule(for_s=60)).at(0, {"load": 20}).only
    after = Played(rule(for_s=60))
    after.judge.restore(before, 30)
    assert after.at(40, {}, {"load": CollectorState.PENDING}).state is AlertState.PENDING
    assert after.at(61, {"load": 20}).only.fired_at == 61
    again = Played(rule(for_s=60))
    again.judge.restore(after.only, 100)
    assert again.at(110, {}, {"load": CollectorState.PENDING}).state is AlertState.FIRING
    assert again.at(120, {"load": 0}).state is AlertState.RESOLVED


def test_one_whose_rule_is_gone_is_over() -> None:
    played = Played(rule(for_s=60))
    other = Played(rule()).at(0, {"load": 20}).only
    played.judge.restore(replace(other, rule="Gone"), 50)
    assert played.only.state is AlertState.RESOLVED
    assert "its rule is not evaluated any more" in played.only.summary


def test_its_key_is_that_of_its_database_rule_and_labels() -> None:
    one = Played(rule()).at(0, {'load{db="a"}': 20}).only
    assert one.key == replace(one, value=1.0, fired_at=5.0).key
    assert one.key != replace(one, database="other").key
    assert one.key != replace(one, labels=(("db", "b"),)).key
    assert Alert.of_json(one.as_json()) == one
