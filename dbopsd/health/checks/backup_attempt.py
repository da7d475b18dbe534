"""Whether the last attempt at a backup succeeded."""

from dbopsd.health.check import Check, Measurement, Subject
from dbopsd.health.report import State


async def _measure(subject: Subject) -> Measurement:
    found = subject.backups
    if found is None or found.attempt_ok is None:
        return Measurement(None, "not judged: no attempt at a backup is known")
    if not found.attempt_ok:
        text = f"the last attempt at a backup failed: {found.attempt_problem}"
        return Measurement(1.0, text, State.DEGRADED, "BACKUP_FAILED")
    return Measurement(0.0, "the last attempt at a backup succeeded")


CHECK = Check(
    name="backup_attempt",
    unit="1",
    about="1 if the last attempt at a backup failed, which is degraded",
    reason="BACKUP_FAILED",
    measure=_measure,
    every_s=30,
    needs_server=False,
    of_backups=True,
)
