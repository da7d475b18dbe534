"""Whether a caller has kept one of the daemon's pooled connections for too long."""

from dbopsd.health.check import Check, Measurement, Subject
from dbopsd.health.report import Thresholds


async def _measure(subject: Subject) -> Measurement:
    pool = subject.pool
    where = ": the log has the stack that took it" if pool.leaked else ""
    return Measurement(
        float(pool.leaked),
        f"{pool.leaked} connections are held too long, {pool.leaks_total} since the start{where}",
    )


CHECK = Check(
    name="pool_leaks",
    unit="{connection}",
    about="pool connections held for longer than pool.leak_after_s",
    reason="CONNECTION_LEAKED",
    measure=_measure,
    thresholds=Thresholds(warning=1),
    every_s=1,
    needs_server=False,
)
