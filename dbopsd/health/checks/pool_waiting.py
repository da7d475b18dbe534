"""How many callers wait for one of the daemon's pooled connections."""

from dbopsd.health.check import Check, Measurement, Subject
from dbopsd.health.report import State, Thresholds


async def _measure(subject: Subject) -> Measurement:
    pool = subject.pool
    if pool.waiting and pool.used < pool.max_size:
        return Measurement(
            float(pool.waiting),
            f"{pool.waiting} callers wait for a connection to be made",
            State.DEGRADED,
            "NO_CONNECTION",
        )
    timeouts = f", {pool.timeouts_total} gave up since the start" if pool.timeouts_total else ""
    return Measurement(float(pool.waiting), f"{pool.waiting} callers wait{timeouts}")


CHECK = Check(
    name="pool_waiting",
    unit="{caller}",
    about="callers waiting for a pool connection",
    reason="POOL_EXHAUSTED",
    measure=_measure,
    thresholds=Thresholds(warning=1),
    every_s=1,
    needs_server=False,
)
