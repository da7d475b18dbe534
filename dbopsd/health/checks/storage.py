"""How full the disk is, where it can be seen, or the configured limit."""

import asyncio
import os
from pathlib import Path

from dbopsd.db.statement import load_sql
from dbopsd.health.check import Check, Measurement, Subject
from dbopsd.health.report import Thresholds

_SQL = load_sql(__package__, "storage.sql").statement


_DISK_TIMEOUT_S = 1.0


async def _measure(subject: Subject) -> Measurement:
    ((size_bytes, data_directory, started_at),) = await subject.fetch_all(_SQL)
    size = f"the database has {_human(size_bytes)}"
    limit = subject.config.storage_limit
    if limit:
        return Measurement(size_bytes / limit, f"{size} of its limit of {_human(limit)}")
    disk = None
    if data_directory is not None:
        # A dead network file system must not stop the prober.
        looking = asyncio.ensure_future(asyncio.to_thread(_disk, Path(data_directory), started_at))
        await asyncio.wait({looking}, timeout=_DISK_TIMEOUT_S)
        disk = looking.result() if looking.done() else None
    if disk is None:
        return Measurement(
            None,
            f"{size}; not judged, for its disk cannot be seen from here: set health.storage_limit",
        )
    used, total = disk
    return Measurement(
        used / total, f"{size}; {_human(used)} of {_human(total)} of its disk are used"
    )


def _disk(data_directory: Path, started_at: int) -> tuple[int, int] | None:
    """Bytes used and in all of the server's fullest disk; None if it is on another machine.

    The same path may exist on both. `postmaster.pid` tells them apart: its third line is when the
    server started.
    """
    try:
        lines = (data_directory / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        # The file is written a moment before pg_postmaster_start_time() is taken.
        if abs(int(lines[2]) - started_at) > 1:
            return None
        # WAL and tablespaces are often put on disks of their own, through symbolic links.
        places = [data_directory, data_directory / "pg_wal", *data_directory.glob("pg_tblspc/*")]
        disks = [os.statvfs(place) for place in places]
    except (OSError, IndexError, ValueError):
        return None
    fullest = max(disks, key=lambda disk: (disk.f_blocks - disk.f_bavail) / max(disk.f_blocks, 1))
    total = fullest.f_blocks * fullest.f_frsize
    return total - fullest.f_bavail * fullest.f_frsize, max(total, 1)


def _human(size_bytes: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size_bytes < 1024 or unit == "TiB":
            break
        size_bytes /= 1024
    return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"


CHECK = Check(
    name="storage",
    unit="1",
    about="used share of the server's disk, or of health.storage_limit if set",
    reason="STORAGE_NEAR_FULL",
    measure=_measure,
    thresholds=Thresholds(0.80, 0.95),
    every_s=30,
)
