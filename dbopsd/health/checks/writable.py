"""Whether the server accepts writes: not in recovery, nor if it is read-only."""

from dbopsd.db.statement import load_sql
from dbopsd.health.check import Check, Measurement, Subject
from dbopsd.health.report import State

_SQL = load_sql(__package__, "writable.sql").statement


async def _measure(subject: Subject) -> Measurement:
    ((standby, read_only),) = await subject.fetch_all(_SQL)
    if standby and subject.is_cluster:
        return Measurement(
            0.0,
            "none of the cluster's hosts takes writes: promote a standby or bring the primary back",
            State.UNHEALTHY,
            "NO_PRIMARY",
        )
    if standby:
        return Measurement(0.0, "a standby: it replays another server's WAL and takes no writes")
    if read_only:
        return Measurement(
            0.0,
            "transactions are read-only: default_transaction_read_only is on",
            State.DEGRADED,
            "READ_ONLY",
        )
    return Measurement(1.0, "takes writes")


CHECK = Check(
    name="writable",
    unit="1",
    about="1 if the server accepts writes, 0 if it is in recovery or read-only",
    reason="READ_ONLY",
    measure=_measure,
    every_s=1,
)
