"""How much WAL a standby has not received yet. A cut link is never zero: it is not known."""

from dbopsd.db.statement import load_sql
from dbopsd.health.check import GIB, MIB, Check, Measurement, Subject
from dbopsd.health.report import State, Thresholds

_SQL = load_sql(__package__, "replication_receive_lag.sql").statement


async def _measure(subject: Subject) -> Measurement:
    (
        (permitted, standby, streaming, missing, replay_age_s, archive_only, unsent, standbys),
    ) = await subject.fetch_all(_SQL)
    if not permitted:
        return Measurement.not_permitted()
    if not standby:
        if not standbys:
            return Measurement(None, "no standby is connected")
        return Measurement(max(unsent, 0.0), f"furthest behind of standbys: {standbys}")
    if streaming:
        return Measurement(max(missing or 0.0, 0.0), "receiving from the primary")
    if archive_only:
        return Measurement(None, "fed from an archive: primary_conninfo is not set")
    age = (
        f"the last commit replayed is {replay_age_s:.0f} s old"
        if replay_age_s
        else "nothing was replayed yet"
    )
    return Measurement(
        None,
        f"no WAL comes in from a primary, {age}: look at primary_conninfo and the network",
        State.DEGRADED,
        "WAL_RECEIVER_DISCONNECTED",
    )


CHECK = Check(
    name="replication_receive_lag",
    unit="By",
    about="WAL that a standby has not flushed; critical is the default of max_wal_size",
    reason="REPLICATION_LAG",
    measure=_measure,
    thresholds=Thresholds(256 * MIB, GIB),
    every_s=5,
)
