"""The shared connection pool."""

from collections.abc import Iterable
from typing import Final

from dbopsd.metrics.model import Metric, MetricType
from dbopsd.metrics.source import Source, Subject, Value

_SIZE: Final = Metric(
    "dbops_pool_connections",
    MetricType.GAUGE,
    "{connection}",
    "Connections of the pool.",
    ("state",),
)
_MAX: Final = Metric(
    "dbops_pool_max_connections",
    MetricType.GAUGE,
    "{connection}",
    "How many connections the pool may have.",
)
_WAITING: Final = Metric(
    "dbops_pool_pending_requests",
    MetricType.GAUGE,
    "{request}",
    "Callers that wait for a connection.",
)
_LEAKED: Final = Metric(
    "dbops_pool_leaked_connections",
    MetricType.GAUGE,
    "{connection}",
    "Connections that a caller has held for longer than pool.leak_after_s.",
)
_LEAKS: Final = Metric(
    "dbops_pool_leaks_total",
    MetricType.COUNTER,
    "{connection}",
    "Times that a caller held a connection for longer than pool.leak_after_s.",
)
_TIMEOUTS: Final = Metric(
    "dbops_pool_timeouts_total",
    MetricType.COUNTER,
    "{timeout}",
    "Callers that waited in vain for a connection.",
)


def _measure(subject: Subject) -> Iterable[Value]:
    stats = subject.database.pool_stats()
    yield _SIZE, ("used",), float(stats.used)
    yield _SIZE, ("idle",), float(max(stats.size - stats.used, 0))
    yield _MAX, (), float(stats.max_size)
    yield _WAITING, (), float(stats.waiting)
    yield _LEAKED, (), float(stats.leaked)
    yield _LEAKS, (), float(stats.leaks_total)
    yield _TIMEOUTS, (), float(stats.timeouts_total)


SOURCE = Source(
    "pool",
    "The shared connection pool.",
    (_SIZE, _MAX, _WAITING, _LEAKED, _LEAKS, _TIMEOUTS),
    _measure,
)
