"""How many of the server's connections are in use."""

from dbopsd.db.statement import load_sql
from dbopsd.health.check import Check, Measurement, Subject
from dbopsd.health.report import Thresholds

_SQL = load_sql(__package__, "connections.sql").statement


async def _measure(subject: Subject) -> Measurement:
    ((permitted, used, available),) = await subject.fetch_all(_SQL)
    if not permitted:
        return Measurement.not_permitted()
    return Measurement(used / max(available, 1), f"{used} of {available} connections are taken")


CHECK = Check(
    name="connections",
    unit="1",
    about="ratio of client connections to those that an ordinary role can have",
    reason="CONNECTIONS_NEAR_LIMIT",
    measure=_measure,
    thresholds=Thresholds(0.70, 0.90),
    every_s=5,
)
