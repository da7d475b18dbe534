"""A silence: a time in which nobody is notified of some alerts."""

from dataclasses import dataclass
from typing import Final

from dbopsd.metrics.alerts.alert import Alert
from dbopsd.metrics.alerts.promql import Labels

EVERY_RULE: Final = "*"


@dataclass(frozen=True, slots=True)
class Silence:
    """Who silenced what, until when and why. Times are in seconds since 1970.

    `rule` is `*` for every rule, `database` empty for every database; each of `labels` must match.
    """

    id: str
    rule: str
    database: str
    labels: Labels
    end: float
    comment: str
    creator: str
    created: float

    def covers(self, alert: Alert, now: float) -> bool:
        """Whether it keeps notifications of the alert back now."""
        return (
            now < self.end
            and self.rule in (EVERY_RULE, alert.rule)
            and self.database in ("", alert.database)
            and set(self.labels) <= set(alert.labels)
        )
