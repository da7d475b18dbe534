"""How many hosts of the cluster accept writes: more than one is a split brain."""

from dbopsd.db.errors import DifferentClusters
from dbopsd.health.check import Check, Measurement, Subject
from dbopsd.health.report import State, Thresholds


async def _measure(subject: Subject) -> Measurement:
    view = subject.cluster
    if view is None or len(view.hosts) < 2:
        return Measurement(None, "the dsn names one host")
    if not view.known:
        return Measurement(
            None, "not every host was looked at yet", State.UNKNOWN, "NOT_PROBED_YET"
        )
    primaries = view.primaries
    count = float(len(primaries))
    refusal = view.refusal
    if isinstance(refusal, DifferentClusters) or (refusal is None and view.strangers):
        told = refusal.message if refusal else f"the dsn names several clusters: {view.strangers}"
        return Measurement(count, told, State.UNHEALTHY, DifferentClusters.reason)
    if refusal is not None:
        return Measurement(count, refusal.message)
    if not primaries:
        return Measurement(count, "no host takes writes", State.UNHEALTHY, "NO_PRIMARY")
    return Measurement(count, f"{primaries[0].name} takes writes")


CHECK = Check(
    name="primaries",
    unit="{host}",
    about="hosts of the dsn that accept writes; if there are two, dbopsd writes to neither",
    reason="SPLIT_BRAIN",
    measure=_measure,
    thresholds=Thresholds(critical=2),
    every_s=1,
    needs_server=False,
    of_hosts=True,
)
