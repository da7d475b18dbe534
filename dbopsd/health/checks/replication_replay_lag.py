"""How much WAL a standby has received and not replayed yet."""

from dbopsd.db.statement import load_sql
from dbopsd.health.check import GIB, MIB, Check, Measurement, Subject
from dbopsd.health.report import State, Thresholds

_SQL = load_sql(__package__, "replication_replay_lag.sql").statement


async def _measure(subject: Subject) -> Measurement:
    ((permitted, standby, waiting, paused, standby_waiting),) = await subject.fetch_all(_SQL)
    if not standby:
        if not permitted:
            return Measurement.not_permitted()
        if standby_waiting is None:
            return Measurement(None, "no standby is connected")
        return Measurement(max(standby_waiting, 0.0), "furthest behind of the standbys")
    if paused:
        return Measurement(
            max(waiting or 0.0, 0.0),
            "replay is paused: pg_wal_replay_resume() lets it go on",
            State.DEGRADED,
            "REPLAY_PAUSED",
        )
    return Measurement(max(waiting or 0.0, 0.0), "received and not replayed yet")


CHECK = Check(
    name="replication_replay_lag",
    unit="By",
    about="WAL that a standby has received but not replayed",
    reason="REPLICATION_LAG",
    measure=_measure,
    thresholds=Thresholds(256 * MIB, GIB),
    every_s=5,
)
