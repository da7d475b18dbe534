"""The operations of the database, as the control store has them."""

from collections.abc import Iterable
from typing import Final

from dbopsd.metrics.model import Metric, MetricType
from dbopsd.metrics.source import Source, Subject, Value
from dbopsd.operations.record import State

_OPERATIONS: Final = Metric(
    "dbops_operations",
    MetricType.GAUGE,
    "{operation}",
    "Operations of the database by kind and state. Ended ones count until operations.retention_s "
    "is over.",
    ("kind", "state"),
)


def _measure(subject: Subject) -> Iterable[Value]:
    for kind in sorted({kind for kind, _ in subject.operations}):
        # Each state of a kind, so that one that none is in is 0 and not missing.
        for state in State:
            yield _OPERATIONS, (kind, state.value), float(subject.operations.get((kind, state), 0))


SOURCE = Source(
    "operations", "The operations of the database.", (_OPERATIONS,), _measure, every_s=5.0
)
