"""How much of the daemon's own pool is in use."""

from dbopsd.health.check import Check, Measurement, Subject
from dbopsd.health.report import Thresholds


async def _measure(subject: Subject) -> Measurement:
    pool = subject.pool
    return Measurement(
        pool.used / pool.max_size, f"{pool.used} of {pool.max_size} pooled connections are lent"
    )


CHECK = Check(
    name="pool_use",
    unit="1",
    about="ratio of pool connections in use to pool.max_size",
    reason="POOL_NEAR_LIMIT",
    measure=_measure,
    thresholds=Thresholds(warning=0.90),
    every_s=1,
    needs_server=False,
)
