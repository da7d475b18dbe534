"""How old the newest backup is, compared with how often one is to be made."""

from dbopsd.health.backup_overview import OVERDUE_FACTOR, span_text
from dbopsd.health.check import Check, Measurement, Subject
from dbopsd.health.report import Thresholds


async def _measure(subject: Subject) -> Measurement:
    found = subject.backups
    if found is None or not found.newest:
        return Measurement(None, "not judged: no backup is known")
    judged = [
        (max(0.0, subject.now - last.ended_at), OVERDUE_FACTOR * interval_s, kind)
        for kind, interval_s in found.intervals_s.items()
        if (last := found.newest.get(kind)) is not None
    ]
    if not judged:
        return Measurement(None, "not judged: no schedule makes backups, and no max_age is set")
    age_s, allowed_s, kind = max(judged, key=lambda each: each[0] / each[1])
    text = f"the newest {kind} backup is {span_text(age_s)} old"
    return Measurement(age_s / allowed_s, f"{text}; {span_text(allowed_s)} is too old")


CHECK = Check(
    name="backup_age",
    unit="1",
    about="age of the newest backup as a share of backup.max_age, or of 1.5 times the longest "
    "pause of its schedule",
    reason="BACKUP_TOO_OLD",
    measure=_measure,
    thresholds=Thresholds(warning=1.0),
    every_s=30,
    needs_server=False,
    of_backups=True,
)
