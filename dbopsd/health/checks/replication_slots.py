"""How much WAL the replication slots hold back, and whether one has lost its own."""

from dbopsd.db.statement import load_sql
from dbopsd.health.check import GIB, Check, Measurement, Subject
from dbopsd.health.report import State, Thresholds

_SQL = load_sql(__package__, "replication_slots.sql").statement


async def _measure(subject: Subject) -> Measurement:
    slots = await subject.fetch_all(_SQL)
    if not slots:
        return Measurement(None, "there is no replication slot")
    # The one in the worst state comes first.
    name, _, wal_status, _ = slots[0]
    retained = max((row[3] or 0.0 for row in slots), default=0.0)
    if wal_status == "lost":
        return Measurement(
            retained,
            f"slot '{name}' is invalid, its WAL is gone: drop it, and build its reader anew",
            State.DEGRADED,
            "SLOT_LOST",
        )
    if wal_status == "unreserved":
        return Measurement(
            retained,
            f"slot '{name}' loses its WAL at the next checkpoint unless its reader catches up: "
            "raise max_slot_wal_keep_size",
            State.DEGRADED,
            "SLOT_UNRESERVED",
        )
    unused = sum(not active for _, active, _, _ in slots)
    nobody = f", nobody reads from {unused} of them" if unused else ""
    return Measurement(retained, f"slots: {len(slots)}, most held back by '{name}'{nobody}")


CHECK = Check(
    name="replication_slots",
    unit="By",
    about="most WAL that a replication slot retains",
    reason="SLOT_RETAINS_WAL",
    measure=_measure,
    thresholds=Thresholds(2 * GIB, 20 * GIB),
    every_s=10,
)
