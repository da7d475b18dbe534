"""Whether every standby is there and follows the primary."""

from dbopsd.db.cluster_view import ClusterView
from dbopsd.health.check import Check, Measurement, Subject
from dbopsd.health.report import State, Thresholds


async def _measure(subject: Subject) -> Measurement:
    view, expected = subject.cluster, subject.config.expect_standbys
    if view is None:
        return Measurement(None, "none is expected: the dsn names one host")
    if not view.known:
        return Measurement(
            None, "not every host was looked at yet", State.UNKNOWN, "NOT_PROBED_YET"
        )
    problems = [str(each) for each in view.missing]
    late = view.late_standbys()
    missing = max(len(problems), len(late))
    if len(late) > len(problems):
        problems.append(f"a standby has not reported to the primary for {max(late):.0f} s")
    if expected is not None and view.primaries:
        connected = view.connected_standbys()
        if connected is None and not missing:
            return Measurement.not_permitted()
        if connected is not None and connected < expected:
            missing = max(missing, expected - connected)
            problems.append(f"{connected} of {expected} standbys stream from the primary")
    if problems:
        return Measurement(float(missing), "; ".join(problems))
    return Measurement(0.0, _all_well(view))


def _all_well(view: ClusterView) -> str:
    following = [host.name for host in view.hosts if host.answer and host.answer.in_recovery]
    if following:
        return f"following: {', '.join(following)}"
    connected = view.connected_standbys()
    return f"{connected} stream from the primary" if connected else "there is none"


CHECK = Check(
    name="standbys",
    unit="{standby}",
    about="lost standbys: hosts of the dsn that do not answer or receive no WAL, plus any missing "
    "from health.expect_standbys",
    reason="STANDBY_GONE",
    measure=_measure,
    thresholds=Thresholds(critical=1),
    every_s=1,
    needs_server=False,
    of_hosts=True,
)
