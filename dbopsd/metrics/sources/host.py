"""The machine that the server runs on, where that is the daemon's own: processor, memory, disks."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from dbopsd.metrics.errors import SourceNotApplicable
from dbopsd.metrics.model import Metric, MetricType
from dbopsd.metrics.server_facts import ServerFacts
from dbopsd.metrics.source import Source, Subject, Value

# The kernel counts a process's start from the boot, whose time it knows to the second.
_START_TOLERANCE_S: Final = 2.0
# postmaster.pid is written a moment before the server takes its own start time.
_PID_FILE_TOLERANCE_S: Final = 1.0
_CPU_MODES: Final = ("user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal")


def _gauge(name: str, unit: str, help_text: str, *labels: str) -> Metric:
    return Metric(name, MetricType.GAUGE, unit, help_text, labels)


def _counter(name: str, unit: str, help_text: str, *labels: str) -> Metric:
    return Metric(name, MetricType.COUNTER, unit, help_text, labels)


_CPU: Final = _counter(
    "dbops_host_cpu_seconds_total", "s", "Time of all processors by mode.", "mode"
)
_CPUS: Final = _gauge("dbops_host_cpus", "{cpu}", "Logical processors.")
_LOAD: Final = tuple(
    _gauge(
        f"dbops_host_load{minutes}",
        "{process}",
        f"Processes that run or wait for a processor or a disk, averaged over {minutes} min.",
    )
    for minutes in (1, 5, 15)
)
_MEMORY: Final = _gauge("dbops_host_memory_total_bytes", "By", "Memory of the host.")
_AVAILABLE: Final = _gauge(
    "dbops_host_memory_available_bytes", "By", "Memory that processes can get without swapping."
)
_SWAP: Final = _gauge("dbops_host_swap_total_bytes", "By", "Swap space.")
_SWAP_USED: Final = _gauge("dbops_host_swap_used_bytes", "By", "Swap space in use.")
_SIZE: Final = _gauge(
    "dbops_disk_size_bytes",
    "By",
    "Size of a file system with the data directory, pg_wal or a tablespace.",
    "mount",
)
_FREE: Final = _gauge(
    "dbops_disk_free_bytes", "By", "Bytes of it that the server can still use.", "mount"
)
_FREE_FILES: Final = _gauge(
    "dbops_disk_free_files", "{file}", "Files that it can still have (inodes).", "mount"
)
_READ: Final = _counter(
    "dbops_disk_read_bytes_total", "By", "Bytes read from its disk, by whomever.", "mount"
)
_WRITTEN: Final = _counter(
    "dbops_disk_written_bytes_total", "By", "Bytes written to its disk, by whomever.", "mount"
)
_BUSY: Final = _counter(
    "dbops_disk_busy_seconds_total", "s", "Time that its disk was busy, by whomever.", "mount"
)


@dataclass(frozen=True, slots=True)
class _Disk:
    """A file system, by the place where it is mounted."""

    mount: str
    device: int
    status: os.statvfs_result


def _measure(subject: Subject) -> Iterable[Value]:
    server = subject.server
    if server is None:
        raise SourceNotApplicable("the server has not answered yet")
    # By its address it may only look so: a tunnel and a container's port are on the loopback, too.
    process = _process_of(server)
    sees_directory = _pid_file_agrees(server) or _owns_directory(process, server)
    if process is None and not sees_directory:
        raise SourceNotApplicable(
            "the server runs on another machine or in a container, as far as can be seen from here"
        )
    yield from _host()
    if sees_directory and server.data_directory is not None:
        yield from _disks(Path(server.data_directory))


def runs_here(server: ServerFacts) -> bool:
    """Whether a server runs on the daemon's own machine, as far as can be seen from here."""
    return _process_of(server) is not None or _pid_file_agrees(server)


def _pid_file_agrees(server: ServerFacts) -> bool:
    """Whether the data directory can be read here, and says the same start."""
    if server.data_directory is None:
        return False
    try:
        file = Path(server.data_directory) / "postmaster.pid"
        started_at = int(file.read_text(encoding="utf-8").splitlines()[2])
    except (OSError, IndexError, ValueError):
        return False
    return abs(started_at - int(server.server_started_at)) <= _PID_FILE_TOLERANCE_S


def _process_of(server: ServerFacts) -> psutil.Process | None:
    """The process that serves the session; None if it cannot be seen from here."""
    try:
        process = psutil.Process(server.backend_pid)
        late_s = abs(process.create_time() - server.backend_started_at)
        is_it = process.name().startswith("postgres") and late_s <= _START_TOLERANCE_S
    except (psutil.Error, ValueError):
        return None
    return process if is_it else None


def _owns_directory(process: psutil.Process | None, server: ServerFacts) -> bool:
    """Whether the directory of that path here is the server's, which may see other mounts."""
    if process is None or server.data_directory is None:
        return False
    try:
        return Path(server.data_directory).stat().st_uid == process.uids().real
    except (psutil.Error, OSError):
        return False


def _host() -> Iterator[Value]:
    times = psutil.cpu_times()
    for mode in _CPU_MODES:
        # Not every system has each of them.
        yield _CPU, (mode,), getattr(times, mode, None)
    yield _CPUS, (), float(psutil.cpu_count() or 1)
    for metric, load in zip(_LOAD, psutil.getloadavg(), strict=True):
        yield metric, (), load
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    yield _MEMORY, (), float(memory.total)
    yield _AVAILABLE, (), float(memory.available)
    yield _SWAP, (), float(swap.total)
    yield _SWAP_USED, (), float(swap.used)


def _disks(data_directory: Path) -> Iterator[Value]:
    counters = psutil.disk_io_counters(perdisk=True, nowrap=False) or {}
    for disk in _disks_of(data_directory).values():
        label, status = (disk.mount,), disk.status
        yield _SIZE, label, float(status.f_blocks * status.f_frsize)
        yield _FREE, label, float(status.f_bavail * status.f_frsize)
        # Some file systems make them as they are needed.
        yield _FREE_FILES, label, float(status.f_favail) if status.f_files else None
        device = Path(f"/sys/dev/block/{os.major(disk.device)}:{os.minor(disk.device)}")
        counted = counters.get(device.resolve().name)
        if counted is not None:
            yield _READ, label, float(counted.read_bytes)
            yield _WRITTEN, label, float(counted.write_bytes)
            busy_ms = getattr(counted, "busy_time", None)
            yield _BUSY, label, None if busy_ms is None else busy_ms / 1000


def _disks_of(data_directory: Path) -> dict[int, _Disk]:
    """The file systems that the server writes to: WAL and tablespaces may have their own."""
    places = [data_directory, data_directory / "pg_wal"]
    with contextlib.suppress(OSError):
        places += data_directory.glob("pg_tblspc/*")
    found: dict[int, _Disk] = {}
    for place in places:
        try:
            device = place.stat().st_dev
            if device not in found:
                found[device] = _Disk(_mount_of(place.resolve()), device, os.statvfs(place))
        except OSError:
            # The directory is the server's own, and its account another one.
            continue
    return found


def _mount_of(path: Path) -> str:
    while not path.is_mount():
        path = path.parent
    return str(path)


SOURCE = Source(
    "host",
    "The machine of a server that runs on the daemon's own.",
    (
        *(_CPU, _CPUS, *_LOAD, _MEMORY, _AVAILABLE, _SWAP, _SWAP_USED),
        *(_SIZE, _FREE, _FREE_FILES, _READ, _WRITTEN, _BUSY),
    ),
    _measure,
    every_s=10.0,
    blocking=True,
)
