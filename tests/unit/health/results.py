"""Check results and reports for tests that need no database."""

from dbopsd.health.report import CheckResult, Report, State, summarise


def result(
    check: str, state: State = State.HEALTHY, message: str = "", reason: str = "", **more: float
) -> CheckResult:
    return CheckResult(
        check=check, state=state, unit="s", message=message, reason=reason, measured_at=1.0, **more
    )


def report(
    state: State = State.HEALTHY, database: str = "main", answered_at: float = 1.0
) -> Report:
    return summarise(
        database,
        [result("reachable", state, reason="" if state is State.HEALTHY else "WHY")],
        server_role=None,
        server_version="",
        answered_at=answered_at,
    )
