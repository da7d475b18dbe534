"""Metrics of operations and duties."""

import time
from collections.abc import Iterable, Mapping
from typing import Final

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from dbopsd.operations.duty import DutyKey
from dbopsd.operations.record import Operation, State

_DURATION_BUCKETS_S: Final = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600)
_WAIT_BUCKETS_S: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)

KIND: Final = "dbops.operation.kind"
STATE: Final = "dbops.operation.state"
DUTY: Final = "dbops.duty.name"


class OperationMetrics:
    """The metrics of operations, recorded by the worker that runs them.

    What ends before any worker began with it is recorded by whoever ends it.
    """

    def __init__(self, meter: Meter) -> None:
        self._ended = meter.create_counter(
            "dbops.operation.count", unit="{operation}", description="Operations that ended."
        )
        self._attempts = meter.create_counter(
            "dbops.operation.attempts", unit="{attempt}", description="Attempts that began."
        )
        self._wait = meter.create_histogram(
            "dbops.operation.wait_time",
            unit="s",
            description="From the request of an operation to its first attempt.",
            explicit_bucket_boundaries_advisory=_WAIT_BUCKETS_S,
        )
        self._duration = meter.create_histogram(
            "dbops.operation.duration",
            unit="s",
            description="From an operation's first attempt to its end.",
            explicit_bucket_boundaries_advisory=_DURATION_BUCKETS_S,
        )

    def began(self, operation: Operation) -> None:
        """An attempt began."""
        kind = {KIND: operation.kind}
        self._attempts.add(1, kind)
        if operation.attempt == 1 and operation.start_time is not None:
            self._wait.record(operation.start_time - operation.create_time, kind)

    def ended(self, operation: Operation, state: State) -> None:
        """The operation ended."""
        attributes = {KIND: operation.kind, STATE: state.value}
        self._ended.add(1, attributes)
        if operation.start_time is not None:
            self._duration.record(max(time.time() - operation.start_time, 0.0), attributes)


class DutyMetrics:
    """The metrics of duties, each from the point of view of one process that may hold them."""

    def __init__(self, meter: Meter) -> None:
        self._held: dict[DutyKey, bool] = {}
        self._ages: dict[DutyKey, float] = {}
        self._taken_over = meter.create_counter(
            "dbops.duty.takeovers",
            unit="{takeover}",
            description="Duties taken from a process that was silent.",
        )
        meter.create_observable_gauge(
            "dbops.duty.held",
            [self._observe_held],
            unit="{duty}",
            description="1 where this process holds the duty, 0 where it held it before.",
        )
        meter.create_observable_gauge(
            "dbops.duty.heartbeat_age",
            [self._observe_ages],
            unit="s",
            description="Since the last heartbeat of a duty that another process holds, or nobody.",
        )

    def held(self, key: DutyKey, *, held: bool) -> None:
        """This process holds the duty, or does so no longer."""
        self._held[key] = held

    def taken_over(self, key: DutyKey) -> None:
        """This process took the duty from a silent one."""
        self._taken_over.add(1, _attributes(key))

    def observe(self, ages_s: Mapping[DutyKey, float | None]) -> None:
        """Since when the duties that this process does not hold have had no heartbeat."""
        self._ages = {key: age_s for key, age_s in ages_s.items() if age_s is not None}

    def _observe_held(self, _options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(int(held), _attributes(key)) for key, held in self._held.items()]

    def _observe_ages(self, _options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(age_s, _attributes(key)) for key, age_s in self._ages.items()]


def _attributes(key: DutyKey) -> dict[str, str]:
    named = {DUTY: key.name}
    return {**named, "db.namespace": key.database} if key.database else named
