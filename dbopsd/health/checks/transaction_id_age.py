"""How close the server is to transaction ID wraparound."""

from dbopsd.db.statement import load_sql
from dbopsd.health.check import Check, Measurement, Subject
from dbopsd.health.report import Thresholds

_SQL = load_sql(__package__, "transaction_id_age.sql").statement

# The server refuses new transactions 3 million ids before 2^31.
_LIMIT = 2**31 - 3_000_000


async def _measure(subject: Subject) -> Measurement:
    ((database, xid_age, mxid_age),) = await subject.fetch_all(_SQL)
    kind, age = ("transaction", xid_age) if xid_age >= mxid_age else ("multixact", mxid_age)
    return Measurement(age / _LIMIT, f"the oldest {kind} id, of '{database}', is {age:,} ids old")


CHECK = Check(
    name="transaction_id_age",
    unit="1",
    about="ratio of the oldest unfrozen ID's age to the age at which the server stops writes; "
    "critical is the default of vacuum_failsafe_age",
    reason="WRAPAROUND_NEAR",
    measure=_measure,
    thresholds=Thresholds(0.50, 0.75),
    every_s=30,
)
