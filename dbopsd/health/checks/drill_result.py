"""Whether the last drill, a restore that was really made, passed."""

from dbopsd.health.check import Check, Measurement, Subject
from dbopsd.health.report import State


async def _measure(subject: Subject) -> Measurement:
    found = subject.backups
    if found is None or found.drill is None:
        return Measurement(None, "not judged: no drill is known")
    if not found.drill.ok:
        failed = ", ".join(found.drill.failed) or "it did not come to its checks"
        text = f"the last drill failed: {failed}; `dbops backup describe` has the report"
        return Measurement(1.0, text, State.DEGRADED, "DRILL_FAILED")
    return Measurement(0.0, "the last drill passed every check")


CHECK = Check(
    name="drill_result",
    unit="1",
    about="1 if the last drill failed, which is degraded",
    reason="DRILL_FAILED",
    measure=_measure,
    every_s=30,
    needs_server=False,
    of_backups=True,
)
