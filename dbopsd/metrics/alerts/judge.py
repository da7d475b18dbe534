"""Judges one database by the rules: what is pending, what fires, and what is over.

What cannot be measured changes nothing: a server that does not answer resolves none of its alerts,
and a health check that is UNKNOWN neither.
"""

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dbopsd.metrics.alerts.alert import Alert, AlertState, own_labels
from dbopsd.metrics.alerts.promql_vectors import Labels, Vector
from dbopsd.metrics.alerts.rules import (
    CHECK_STATE,
    CHECK_VALUE,
    UNKNOWN_CHECK,
    Rule,
    filled,
)
from dbopsd.metrics.alerts.units import in_words
from dbopsd.metrics.alerts.windows import Windows
from dbopsd.metrics.errors import ExpressionFailed
from dbopsd.metrics.model import CollectorState, Snapshot

_log = logging.getLogger(__name__)

_KEPT_S: Final = 86_400.0
_MOST_OF_A_RULE: Final = 100
# What stands for the database's name in commands.
_DATABASE: Final = re.compile(r"\bDB\b")
_NO_LONGER_A_RULE: Final = "its rule is not evaluated any more"

Messages = Callable[[], Mapping[str, str]]
"""What the health checks say, by name."""

Givers = Callable[[str], str | None]
"""The collector that gives a metric; None where it never will."""


@dataclass(frozen=True, slots=True)
class _Data:
    """What the data of a rule allow."""

    raises: bool
    resolves: bool


class Judge:
    """The alerts of one database. `givers` names the collector of a metric."""

    def __init__(
        self,
        database: str,
        rules: Sequence[Rule],
        givers: Givers,
        messages: Messages = dict,
    ) -> None:
        self._database = database
        self._rules = rules
        self._givers = {
            rule.name: sorted(
                {giver for name in rule.fires.metrics if (giver := givers(name)) is not None}
            )
            for rule in rules
        }
        self._messages = messages
        self._alerts: dict[str, dict[Labels, Alert]] = {rule.name: {} for rule in rules}
        self._failing: dict[str, str] = {}
        self._crowded: set[str] = set()
        self._judged: set[str] = set()
        self.windows = Windows(_spans(rules))

    @property
    def alerts(self) -> Iterable[Alert]:
        """Every alert, those of the last day that are resolved too."""
        return (alert for alerts in self._alerts.values() for alert in alerts.values())

    @property
    def failing(self) -> Mapping[str, str]:
        """The rules that cannot be evaluated, and why."""
        return dict(self._failing)

    def has_judged(self, rule: str) -> bool:
        """Whether it is known since the start that what this rule finds is all; or it is none."""
        return rule in self._judged or rule not in self._alerts

    def restore(self, alert: Alert, now: float) -> None:
        """Take an alert of the time before the start. One whose rule is gone is over."""
        if alert.rule in self._alerts:
            self._alerts[alert.rule][alert.labels] = alert
        elif alert.firing:
            over = replace(alert.resolved(now), summary=f"{alert.summary}: {_NO_LONGER_A_RULE}")
            self._alerts.setdefault(alert.rule, {})[alert.labels] = over

    def judge(self, snapshot: Snapshot, now: float) -> None:
        """Judge by the newest samples. A rule that fails holds up no other."""
        self.windows.take(snapshot, now)
        states = _check_values(self.windows, CHECK_STATE)
        unknown = {check for check, state in states.items() if state == UNKNOWN_CHECK}
        seen: dict[str, Vector] = {}
        for rule in self._rules:
            data = self._data(rule, snapshot)
            if not data.raises:
                continue
            try:
                found = rule.fires.evaluate(self.windows, now, seen)
                held: Vector = []
                if rule.threshold is not None and any(map(_fires, self._of(rule))):
                    held = rule.holds.evaluate(self.windows, now, seen)
            except ExpressionFailed as error:
                self._failed(rule, error)
                continue
            self._succeeded(rule)
            if data.resolves and not (rule.check and unknown):
                self._judged.add(rule.name)
            self._apply(rule, found, held, unknown, now, resolves=data.resolves)
        for alerts in self._alerts.values():
            over = [alert for alert in alerts.values() if alert.resolved_at is not None]
            # Where labels come and go, such as those of statements, a day has any number of them.
            over.sort(key=lambda alert: alert.resolved_at or 0.0)
            surplus = over[: max(len(over) - _MOST_OF_A_RULE, 0)]
            old = [alert for alert in over if now - (alert.resolved_at or now) > _KEPT_S]
            for alert in {each.labels: each for each in (*surplus, *old)}:
                del alerts[alert]

    def _of(self, rule: Rule) -> Iterable[Alert]:
        return self._alerts[rule.name].values()

    def _data(self, rule: Rule, snapshot: Snapshot) -> _Data:
        states = [
            snapshot.collections[name].status.state if name in snapshot.collections else None
            for name in self._givers[rule.name]
        ]
        # Of a part, what is missing is not known to be well.
        return _Data(
            all(state in _SAMPLED for state in states),
            all(state in _SAMPLED and state is not CollectorState.PARTIAL for state in states),
        )

    def _apply(
        self,
        rule: Rule,
        found: Vector,
        held: Vector,
        unknown: set[str],
        now: float,
        *,
        resolves: bool,
    ) -> None:
        alerts = self._alerts[rule.name]
        firing = {own_labels(each.labels): each.value for each in self._bounded(rule, found)}
        held_values = {own_labels(each.labels): each.value for each in held}
        for labels, value in firing.items():
            alerts[labels] = self._raised(rule, alerts.get(labels), labels, value, now)
        for labels, alert in list(alerts.items()):
            if labels in firing or alert.resolved_at is not None:
                continue
            if alert.fired_at is not None and labels in held_values:
                alerts[labels] = self._described(
                    rule, replace(alert, gone_since=None), held_values[labels]
                )
            elif not resolves or (rule.check and dict(labels).get("check") in unknown):
                continue
            elif alert.fired_at is None:
                del alerts[labels]
            else:
                gone_since = alert.gone_since or now
                over = now - gone_since >= rule.keep_s
                alerts[labels] = (
                    alert.resolved(now) if over else replace(alert, gone_since=gone_since)
                )

    def _raised(
        self, rule: Rule, before: Alert | None, labels: Labels, value: float, now: float
    ) -> Alert:
        if before is None or before.resolved_at is not None:
            before = Alert(
                rule.name, self._database, labels, rule.severity, "", rule.remedy, value, now
            )
        fired_at = before.fired_at
        if fired_at is None and now - before.started_at >= rule.for_s:
            fired_at = now
        alert = replace(before, fired_at=fired_at, gone_since=None, severity=rule.severity)
        return self._described(rule, alert, value)

    def _described(self, rule: Rule, alert: Alert, value: float) -> Alert:
        values = dict(alert.labels)
        if rule.check:
            check = values.get("check", "")
            message = self._messages().get(check, "")
            values["message"] = f": {message}" if message else ""
            value = _check_values(self.windows, CHECK_VALUE).get(check, value)
        values["value"] = in_words(value, rule.unit)
        return replace(
            alert,
            value=value,
            summary=filled(rule.summary, values),
            remedy=filled(_DATABASE.sub(self._database, rule.remedy), values),
        )

    def _bounded(self, rule: Rule, found: Vector) -> Vector:
        """At most a hundred of a rule, those that are alerts already first, then the highest."""
        if len(found) <= _MOST_OF_A_RULE:
            self._crowded.discard(rule.name)
            return found
        if rule.name not in self._crowded:
            self._crowded.add(rule.name)
            _log.warning(
                "the rule %s holds for %d sets of labels of database '%s': %d of them are alerts",
                *(rule.name, len(found), self._database, _MOST_OF_A_RULE),
            )
        known = self._alerts[rule.name]
        found = sorted(found, key=lambda each: (own_labels(each.labels) not in known, -each.value))
        return found[:_MOST_OF_A_RULE]

    def _failed(self, rule: Rule, error: ExpressionFailed) -> None:
        if self._failing.get(rule.name) != error.why:
            _log.error(
                "the alert rule %s cannot be evaluated on database '%s': %s",
                *(rule.name, self._database, error.why),
            )
        self._failing[rule.name] = error.why

    def _succeeded(self, rule: Rule) -> None:
        if self._failing.pop(rule.name, None) is not None:
            _log.warning(
                "the alert rule %s is evaluated again on database '%s'", rule.name, self._database
            )


_SAMPLED: Final = (CollectorState.OK, CollectorState.PARTIAL, CollectorState.NOT_APPLICABLE)


def _fires(alert: Alert) -> bool:
    return alert.state in (AlertState.FIRING, AlertState.SILENCED)


def _check_values(windows: Windows, metric: str) -> dict[str, float]:
    return {labels.get("check", ""): value for labels, value in windows.instant(metric)}


def _spans(rules: Iterable[Rule]) -> dict[str, float]:
    spans_s: dict[str, float] = {}
    for rule in rules:
        for name, span_s in rule.fires.windows.items():
            spans_s[name] = max(spans_s.get(name, 0.0), span_s)
    return spans_s
