"""Whether there are backups, and whether those that are there are whole."""

from dbopsd.health.backup_overview import SCHEMA_ONLY
from dbopsd.health.check import Check, Measurement, Subject
from dbopsd.health.report import State

_NOT_YET = "not judged: the store has not been read yet since the daemon started"
_MOST_NAMED = 3


async def _measure(subject: Subject) -> Measurement:
    found = subject.backups
    if found is None:
        return Measurement(None, _NOT_YET)
    count = float(sum(number for kind, (number, _) in found.stored.items() if kind != SCHEMA_ONLY))
    if found.problem:
        return Measurement(
            None, f"the backups cannot be read: {found.problem}", State.UNKNOWN, "STORE_NOT_READ"
        )
    if found.broken:
        named = ", ".join(found.broken[:_MOST_NAMED])
        return Measurement(
            count,
            f"{len(found.broken)} backups are damaged: {named}; `dbops backup verify` tells more",
            State.DEGRADED,
            "BACKUP_BROKEN",
        )
    if not count:
        return Measurement(
            0.0, "there is no backup yet: `dbops backup create`", State.DEGRADED, "BACKUP_MISSING"
        )
    return Measurement(count, f"{count:.0f} backups are there, and none is known to be damaged")


CHECK = Check(
    name="backups",
    unit="{backup}",
    about="how many backups there are that have rows; degraded: none, or a damaged one",
    reason="BACKUP_BROKEN",
    measure=_measure,
    every_s=30,
    needs_server=False,
    of_backups=True,
)
