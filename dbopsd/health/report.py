"""What a prober found: immutable, with the time of each measurement."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class State(enum.Enum):
    """How well a database, or one thing about it, is."""

    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    UNHEALTHY = "UNHEALTHY"
    UNKNOWN = "UNKNOWN"

    @property
    def severity(self) -> int:
        """The higher the worse: what is not known is worth a warning."""
        return _SEVERITY[self]


_SEVERITY = {State.HEALTHY: 0, State.UNKNOWN: 1, State.DEGRADED: 1, State.UNHEALTHY: 2}


class ServerRole(enum.Enum):
    """What a server is within its replication cluster."""

    PRIMARY = "PRIMARY"
    STANDBY = "STANDBY"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on a value is a warning, or critical; None where there is no such bound."""

    warning: float | None = None
    critical: float | None = None

    def judge(self, value: float) -> State:
        """The state of a check that measured `value`."""
        if self.critical is not None and value >= self.critical:
            return State.UNHEALTHY
        if self.warning is not None and value >= self.warning:
            return State.DEGRADED
        return State.HEALTHY


NO_THRESHOLDS = Thresholds()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One thing that was looked at. `unit` is a UCUM code, `measured_at` seconds since 1970."""

    check: str
    state: State
    unit: str
    value: float | None = None
    thresholds: Thresholds = NO_THRESHOLDS
    reason: str = ""
    message: str = ""
    measured_at: float | None = None
    seen: float | None = None
    """What the next measurement compares with; shown to nobody."""


@dataclass(frozen=True, slots=True)
class Report:
    """How well a database is. `answered_at` is the server's last answer, seconds since 1970."""

    database: str
    state: State
    explanation: str
    checks: tuple[CheckResult, ...]
    server_role: ServerRole | None = None
    server_version: str = ""
    answered_at: float | None = None

    def differs_from(self, other: "Report") -> bool:
        """Whether watchers are notified: changes of values and ages alone do not count."""
        return self.identity != other.identity

    @property
    def identity(self) -> tuple[object, ...]:
        """What watchers are notified of: states, reasons, role and version."""
        checks = tuple((result.check, result.state, result.reason) for result in self.checks)
        return (self.state, self.server_role, self.server_version, checks)


def summarise(
    database: str,
    checks: Iterable[CheckResult],
    *,
    server_role: ServerRole | None,
    server_version: str,
    answered_at: float | None,
) -> Report:
    """The report whose state is the worst of `checks`, the first of which is `reachable`.

    A check that could not be measured makes it DEGRADED: no proof that the database is unwell.
    Only where nothing was ever answered is the whole UNKNOWN.
    """
    results = tuple(checks)
    # Something that is wrong says more than something that could not be measured.
    worst = max(
        results, key=lambda result: (result.state.severity, result.state is not State.UNKNOWN)
    )
    if results[0].state in (State.UNKNOWN, State.UNHEALTHY):
        worst = results[0]
    state = worst.state
    if state is State.UNKNOWN and worst is not results[0]:
        state = State.DEGRADED
    unwell = [result for result in results if result.state.severity == worst.state.severity]
    explanation = ""
    if state is not State.HEALTHY:
        others = (
            f" (and {len(unwell) - 1} more)" if len(unwell) > 1 and worst is not results[0] else ""
        )
        explanation = f"{worst.check}: {worst.message}{others}"
    return Report(
        database=database,
        state=state,
        explanation=explanation,
        checks=results,
        server_role=server_role,
        server_version=server_version,
        answered_at=answered_at,
    )
