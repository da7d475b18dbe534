"""An alert: what a rule found, of one set of labels."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import lru_cache
from typing import Any, Final

from dbopsd.metrics.alerts.promql_vectors import Labels
from dbopsd.metrics.alerts.rules import Severity

_TARGET_LABELS: Final = frozenset({"job", "instance", "server"})


class AlertState(IntEnum):
    """The state of an alert. The numbers are the contract's."""

    PENDING = 1
    FIRING = 2
    SILENCED = 3
    RESOLVED = 4


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as it is. Times are in seconds since 1970.

    `firing` is whether it fires, silenced or not; the state that people see is `state`.
    """

    rule: str
    database: str
    labels: Labels
    severity: Severity
    summary: str
    remedy: str
    value: float
    started_at: float
    """Since when its condition holds."""

    fired_at: float | None = None
    resolved_at: float | None = None
    gone_since: float | None = None
    """Since when the condition of one that fires is gone, while it is kept."""

    silence: str = ""
    """The id of the silence that keeps notifications back."""

    notified_at: float | None = None

    @property
    def key(self) -> str:
        """What tells it from every other alert, the same in every replica."""
        return _key(self.database, self.rule, self.labels)

    @property
    def state(self) -> AlertState:
        """Its state."""
        if self.resolved_at is not None:
            return AlertState.RESOLVED
        if self.fired_at is None:
            return AlertState.PENDING
        return AlertState.SILENCED if self.silence else AlertState.FIRING

    @property
    def firing(self) -> bool:
        """Whether it fires, silenced or not."""
        return self.fired_at is not None and self.resolved_at is None

    def resolved(self, at: float) -> "Alert":
        """It, resolved."""
        return replace(self, resolved_at=at, gone_since=None, silence="")

    def as_json(self) -> dict[str, Any]:
        """What a file keeps of it."""
        return {
            "rule": self.rule,
            "database": self.database,
            "labels": dict(self.labels),
            "severity": self.severity.word,
            "summary": self.summary,
            "remedy": self.remedy,
            "value": self.value,
            "started_at": self.started_at,
            "fired_at": self.fired_at,
            "resolved_at": self.resolved_at,
            "gone_since": self.gone_since,
            "notified_at": self.notified_at,
        }

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> "Alert":
        """The alert that `as_json` wrote. Raises KeyError, TypeError and ValueError."""
        fields = {name: found[name] for name in _JSON_FIELDS}
        return cls(
            labels=tuple(sorted(found["labels"].items())),
            severity=Severity[found["severity"].upper()],
            **fields,
        )


# Asked for again and again, of thousands in a storm.
@lru_cache(maxsize=16_384)
def _key(database: str, rule: str, labels: Labels) -> str:
    identity = json.dumps([database, rule, labels])
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


_JSON_FIELDS: Final = (
    *("rule", "database", "summary", "remedy", "value", "started_at"),
    *("fired_at", "resolved_at", "gone_since", "notified_at"),
)


def own_labels(labels: Labels) -> Labels:
    """The labels without those by which Prometheus tells targets apart."""
    return tuple((name, value) for name, value in labels if name not in _TARGET_LABELS)
