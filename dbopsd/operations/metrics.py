"""Metrics of operations."""

import time
from typing import Final

from opentelemetry.metrics import Meter

from dbopsd.operations.record import Operation, State

_DURATION_BUCKETS_S: Final = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600)
_WAIT_BUCKETS_S: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)

KIND: Final = "dbops.operation.kind"
STATE: Final = "dbops.operation.state"


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
