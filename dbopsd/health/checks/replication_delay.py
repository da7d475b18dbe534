"""By how much time a standby's data is older than the primary's."""

from dbopsd.db.statement import load_sql
from dbopsd.health.check import Check, Measurement, Subject
from dbopsd.health.report import State, Thresholds

_SQL = load_sql(__package__, "replication_delay.sql").statement


async def _measure(subject: Subject) -> Measurement:
    (
        (permitted, standby, up_to_date, replay_age_s, meant_s, standby_delay_s),
    ) = await subject.fetch_all(_SQL)
    if not permitted:
        return Measurement.not_permitted()
    if not standby:
        if standby_delay_s is None:
            return Measurement(None, "no standby is connected")
        return Measurement(standby_delay_s, "longest of the standbys")
    if up_to_date:
        return Measurement(0.0, "everything received is replayed")
    # Neither bound is the delay itself. The last commit may be old because the primary was idle
    # until now; but no delay grows faster than the clock.
    bounds = [
        bound
        for bound in (
            None if replay_age_s is None else replay_age_s - meant_s,
            _grown(subject),
        )
        if bound is not None
    ]
    if not bounds:
        return Measurement(
            None,
            "no commit was replayed since the start",
            State.DEGRADED,
            "REPLICATION_DELAY_UNKNOWN",
        )
    beyond = f", beyond the {meant_s:g} s of recovery_min_apply_delay" if meant_s else ""
    return Measurement(max(min(bounds), 0.0), f"not everything of the primary is replayed{beyond}")


def _grown(subject: Subject) -> float | None:
    """The delay measured last, had it grown as fast as it can."""
    previous = subject.previous
    if previous is None or previous.value is None or previous.measured_at is None:
        return None
    return previous.value + max(subject.now - previous.measured_at, 0.0)


CHECK = Check(
    name="replication_delay",
    unit="s",
    about="upper bound of a standby's delay; it grows with the clock while the standby is cut off",
    reason="REPLICATION_DELAY",
    measure=_measure,
    thresholds=Thresholds(30, 300),
    every_s=5,
)
