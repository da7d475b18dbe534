"""How long ago a restore was last tried, compared with how often it is to be."""

from dbopsd.health.backup_overview import OVERDUE_FACTOR, span_text
from dbopsd.health.check import Check, Measurement, Subject
from dbopsd.health.report import Thresholds


async def _measure(subject: Subject) -> Measurement:
    found = subject.backups
    if found is None or (found.drill is None and found.oldest_at is None):
        return Measurement(None, "not judged: there is nothing that could be restored")
    if found.drill_interval_s is None:
        return Measurement(None, "not judged: nothing says how often a drill is to be made")
    allowed_s = OVERDUE_FACTOR * found.drill_interval_s
    if found.drill is not None:
        age_s = max(0.0, subject.now - found.drill.at)
        text = f"the last drill was {span_text(age_s)} ago"
    else:
        age_s = max(0.0, subject.now - (found.oldest_at or subject.now))
        text = f"no drill was ever made, and the oldest backup is {span_text(age_s)} old"
    return Measurement(age_s / allowed_s, f"{text}; {span_text(allowed_s)} is too long")


CHECK = Check(
    name="drill_age",
    unit="1",
    about="time since the last drill, or the oldest backup where there was none, as a share of "
    "backup.drill_max_age, or of 1.5 times the longest pause of its schedule",
    reason="DRILL_OVERDUE",
    measure=_measure,
    thresholds=Thresholds(warning=1.0),
    every_s=30,
    needs_server=False,
    of_backups=True,
)
