"""What a check is. Each lives in a file of its own in `checks/`, its SQL beside it."""

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from dbopsd.config import DatabaseHealthConfig, ThresholdConfig
from dbopsd.db.cluster_view import ClusterView
from dbopsd.db.errors import one_line
from dbopsd.db.pool import PoolStats
from dbopsd.db.session import Row, Session
from dbopsd.db.statement import Statement
from dbopsd.errors import ConfigurationError
from dbopsd.health import checks
from dbopsd.health.backup_overview import BackupOverview
from dbopsd.health.report import NO_THRESHOLDS, CheckResult, State, Thresholds

# For thresholds in bytes.
MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Subject:
    """What a check may look at: the server through the prober's session, and the daemon itself.

    `previous` is what the same check found last, `now` the time, seconds since 1970. `cluster` is
    what the hosts say of themselves; None where there is nothing but one host to look at.
    `backups` is None before the store was read for the first time.
    """

    session: Session | None
    pool: PoolStats
    config: DatabaseHealthConfig
    is_cluster: bool
    now: float
    previous: CheckResult | None = None
    cluster: ClusterView | None = None
    backups: BackupOverview | None = None

    async def fetch_all(self, statement: Statement) -> list[Row]:
        """The rows of `statement`, for a check that declares `needs_server`."""
        if self.session is None:
            raise LookupError("a check without needs_server asked the server")
        return await self.session.fetch_all(statement)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a check found. `state` and `reason` are given where no threshold tells them."""

    value: float | None
    message: str
    state: State | None = None
    reason: str = ""
    seen: float | None = None
    """What the next measurement of the same check compares with; shown to nobody."""

    @classmethod
    def not_permitted(cls) -> Self:
        """Nothing: to a role without `pg_read_all_stats`, `pg_stat_*` shows others as NULL."""
        return cls(
            None,
            "not measured: the database role may not see others' activity; GRANT it pg_monitor",
            State.UNKNOWN,
            "PERMISSION_MISSING",
        )


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at, every `every_s` seconds.

    `reason` is the machine-readable word for a value past a threshold; `about` says in half a
    line what the value is, and where the thresholds come from. With `of_hosts` it judges
    `Subject.cluster` alone, and a change of its result is published at once. With `of_backups` it
    is made for databases with backups only.
    """

    name: str
    unit: str
    about: str
    reason: str
    measure: Callable[[Subject], Awaitable[Measurement]]
    thresholds: Thresholds = NO_THRESHOLDS
    every_s: float = 10.0
    needs_server: bool = True
    of_hosts: bool = False
    of_backups: bool = False

    def result(self, found: Measurement, *, at: float) -> CheckResult:
        """Judge what was found at the time `at`, seconds since 1970."""
        state, reason = found.state or State.HEALTHY, found.reason
        if found.value is not None:
            judged = self.thresholds.judge(found.value)
            if judged.severity > state.severity:
                state, reason = judged, self.reason
        return CheckResult(
            check=self.name,
            state=state,
            unit=self.unit,
            value=found.value,
            thresholds=self.thresholds,
            reason=reason,
            # The names of databases and prepared transactions may hold line breaks.
            message=one_line(found.message),
            measured_at=at,
            seen=found.seen,
        )

    def not_measured(self, reason: str, message: str) -> CheckResult:
        """The result where the check could not be made."""
        return CheckResult(
            check=self.name,
            state=State.UNKNOWN,
            unit=self.unit,
            thresholds=self.thresholds,
            reason=reason,
            message=message,
        )


def load_checks() -> tuple[Check, ...]:
    """Every check in `checks/`, by name."""
    modules = sorted(module.name for module in pkgutil.iter_modules(checks.__path__))
    return tuple(importlib.import_module(f"{checks.__name__}.{module}").CHECK for module in modules)


def with_thresholds(
    known: tuple[Check, ...], overrides: Mapping[str, ThresholdConfig], *, where: str
) -> tuple[Check, ...]:
    """The checks with configured thresholds over their own.

    Raises `ConfigurationError` for a check that is not known, or thresholds out of order.
    """
    by_name = {check.name: check for check in known}
    for name, override in overrides.items():
        if name not in by_name:
            names = ", ".join(by_name)
            raise ConfigurationError(f"{where}.{name}", f"unknown check; there are {names}")
        thresholds = by_name[name].thresholds
        if override.warning is not None:
            thresholds = replace(thresholds, warning=override.warning)
        if override.critical is not None:
            thresholds = replace(thresholds, critical=override.critical)
        warning, critical = thresholds.warning, thresholds.critical
        if warning is not None and critical is not None and warning > critical:
            raise ConfigurationError(
                f"{where}.{name}", f"warning {warning:g} is above critical {critical:g}"
            )
        by_name[name] = replace(by_name[name], thresholds=thresholds)
    return tuple(by_name.values())
