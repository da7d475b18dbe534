"""The oldest open transaction: it holds back vacuum for the whole server."""

from dbopsd.db.statement import load_sql
from dbopsd.health.check import Check, Measurement, Subject
from dbopsd.health.report import Thresholds

_SQL = load_sql(__package__, "longest_transaction.sql").statement


async def _measure(subject: Subject) -> Measurement:
    ((permitted, seconds, holder),) = await subject.fetch_all(_SQL)
    if not permitted:
        return Measurement.not_permitted()
    if seconds is None:
        return Measurement(0.0, "no transaction is open")
    return Measurement(max(seconds, 0.0), f"the oldest open transaction is that of {holder}")


CHECK = Check(
    name="longest_transaction",
    unit="s",
    about="age of the oldest open or prepared transaction",
    reason="LONG_TRANSACTION",
    measure=_measure,
    thresholds=Thresholds(300, 3600),
    every_s=5,
)
