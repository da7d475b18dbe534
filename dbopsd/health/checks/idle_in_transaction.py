"""Sessions that are idle in a transaction and hold its locks."""

from dbopsd.db.statement import load_sql
from dbopsd.health.check import Check, Measurement, Subject
from dbopsd.health.report import Thresholds

_SQL = load_sql(__package__, "idle_in_transaction.sql").statement


async def _measure(subject: Subject) -> Measurement:
    ((permitted, seconds, pid, application),) = await subject.fetch_all(_SQL)
    if not permitted:
        return Measurement.not_permitted()
    if seconds is None:
        return Measurement(0.0, "no backend idles in a transaction")
    return Measurement(
        max(seconds, 0.0), f"backend {pid} ({application or 'unnamed'}) idles in a transaction"
    )


CHECK = Check(
    name="idle_in_transaction",
    unit="s",
    about="longest time that a backend has been idle in a transaction",
    reason="IDLE_IN_TRANSACTION",
    measure=_measure,
    thresholds=Thresholds(60, 600),
    every_s=5,
)
