"""The daemon's own process, under the names that every Prometheus client has."""

import resource
from collections.abc import Iterable
from functools import cache
from typing import Final

import psutil

from dbopsd.metrics.model import Metric, MetricType
from dbopsd.metrics.source import Source, Subject, Value

_CPU: Final = Metric(
    "process_cpu_seconds_total",
    MetricType.COUNTER,
    "s",
    "Processor time that the daemon used, in user and system mode.",
)
_RESIDENT: Final = Metric(
    "process_resident_memory_bytes", MetricType.GAUGE, "By", "Resident memory of the daemon."
)
_VIRTUAL: Final = Metric(
    "process_virtual_memory_bytes", MetricType.GAUGE, "By", "Virtual memory of the daemon."
)
_VIRTUAL_MAX: Final = Metric(
    "process_virtual_memory_max_bytes",
    MetricType.GAUGE,
    "By",
    "Virtual memory that the daemon may have. No sample where it is unlimited.",
)
_FDS: Final = Metric(
    "process_open_fds", MetricType.GAUGE, "{file}", "File descriptors that the daemon has open."
)
_MAX_FDS: Final = Metric(
    "process_max_fds", MetricType.GAUGE, "{file}", "File descriptors that the daemon may have open."
)
_START: Final = Metric(
    "process_start_time_seconds",
    MetricType.GAUGE,
    "s",
    "When the daemon started, in seconds since 1970.",
)


@cache
def _process() -> psutil.Process:
    return psutil.Process()


def _limit(which: int) -> float | None:
    soft, _ = resource.getrlimit(which)
    return None if soft == resource.RLIM_INFINITY else float(soft)


def _measure(_subject: Subject) -> Iterable[Value]:
    process = _process()
    with process.oneshot():
        times, memory = process.cpu_times(), process.memory_info()
        yield _CPU, (), times.user + times.system
        yield _RESIDENT, (), float(memory.rss)
        yield _VIRTUAL, (), float(memory.vms)
        yield _VIRTUAL_MAX, (), _limit(resource.RLIMIT_AS)
        yield _FDS, (), float(process.num_fds())
        yield _MAX_FDS, (), _limit(resource.RLIMIT_NOFILE)
        yield _START, (), process.create_time()


SOURCE = Source(
    "process",
    "The daemon's own process. Every database has the same samples.",
    (_CPU, _RESIDENT, _VIRTUAL, _VIRTUAL_MAX, _FDS, _MAX_FDS, _START),
    _measure,
    every_s=10.0,
)
