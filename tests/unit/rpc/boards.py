"""Boards filled by hand."""

from dbopsd.health.board import DatabaseInfo, HealthBoard
from dbopsd.health.report import CheckResult, Report, ServerRole, State, Thresholds

NOW = 1_700_000_010.25
ANSWERED_AT = 1_700_000_000.5


def info(name: str) -> DatabaseInfo:
    return DatabaseInfo(name, ("db.example:5432",), "postgres", embedded=False)


def report(name: str, state: State = State.HEALTHY, *, value: float = 0.002) -> Report:
    reachable = CheckResult(
        "reachable",
        state,
        "s",
        value=value,
        thresholds=Thresholds(1, 5),
        reason="" if state is State.HEALTHY else "SLOW",
        message="answered in 2 ms",
        measured_at=ANSWERED_AT,
    )
    unmeasured = CheckResult("replication_lag", State.HEALTHY, "s", message="no standby")
    return Report(
        name,
        state,
        "" if state is State.HEALTHY else "reachable: slow",
        (reachable, unmeasured),
        server_role=ServerRole.PRIMARY,
        server_version="18.6",
        answered_at=ANSWERED_AT,
    )


def unasked(name: str) -> Report:
    return Report(name, State.UNKNOWN, "not asked yet", ())


def board(*names: str) -> HealthBoard:
    return HealthBoard([info(name) for name in names], {name: report(name) for name in names})
