"""Find PostgreSQL processes left over in a data directory, and end them.

A daemon that was killed leaves a server that is just shutting down; a postmaster that was killed
leaves backends that may not have noticed. A new server must not start beside either.
"""

import asyncio
import contextlib
import logging
import os
import signal
from pathlib import Path

from dbopsd.db.server.errors import DataDirectoryUnusable

_POLL_S = 0.02

log = logging.getLogger(__name__)


def server_processes(data_dir: Path) -> list[int]:
    """The process ids of every `postgres` whose working directory is `data_dir`.

    All of a server's processes keep that directory. It is compared by device and inode, so that
    the same path in another container is not taken for ours.
    """
    try:
        wanted = data_dir.stat()
    except FileNotFoundError:
        return []
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        # The process may end while we look, or belong to somebody else.
        with contextlib.suppress(OSError):
            if (entry / "comm").read_text().strip() != "postgres":
                continue
            cwd = (entry / "cwd").stat()
            if (cwd.st_dev, cwd.st_ino) == (wanted.st_dev, wanted.st_ino):
                found.append(int(entry.name))
    return found


def postmaster_pid(data_dir: Path) -> int | None:
    """The process id in postmaster.pid, whether it lives or not; None without the file."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int((data_dir / "postmaster.pid").read_text().splitlines()[0])
    return None


def postmaster_status(data_dir: Path, pid: int) -> str | None:
    """What the postmaster `pid` says of itself: "starting", "ready", "standby", "stopping".

    None if the file is not (yet) of that process.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = (data_dir / "postmaster.pid").read_text().splitlines()
        if int(lines[0]) == pid:
            return lines[7].strip()
    return None


async def end_leftovers(data_dir: Path, *, patience_s: float = 30.0) -> None:
    """Return once nothing works in `data_dir`, asking first and killing last.

    A postmaster is asked for a fast shutdown and given `patience_s`, then everything is ended
    without a checkpoint; the next start recovers. Raises `DataDirectoryUnusable` if a process
    survives even SIGKILL (a dead disk can do that).
    """
    pids = await asyncio.to_thread(server_processes, data_dir)
    if not pids:
        await asyncio.to_thread(_drop_misleading_pid_file, data_dir)
        return
    log.warning("%s is still in use by processes %s: ending them", data_dir, pids)
    postmaster = await asyncio.to_thread(postmaster_pid, data_dir)
    if postmaster in pids:
        _signal([postmaster], signal.SIGINT)
        # Stopped processes, perhaps all of them, act on no signal but this and SIGKILL.
        _signal(pids, signal.SIGCONT)
        if await _gone(data_dir, patience_s):
            return
    for death in (signal.SIGQUIT, signal.SIGKILL):
        _signal(await asyncio.to_thread(server_processes, data_dir), death)
        if await _gone(data_dir, 5.0):
            await asyncio.to_thread(_drop_misleading_pid_file, data_dir)
            return
    raise DataDirectoryUnusable(
        directory=str(data_dir),
        problem=f"processes {await asyncio.to_thread(server_processes, data_dir)} do not end",
        remedy="look at the disk it is on, or restart the machine",
    )


async def _gone(data_dir: Path, timeout_s: float) -> bool:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while await asyncio.to_thread(server_processes, data_dir):
        if loop.time() >= deadline:
            return False
        await asyncio.sleep(_POLL_S)
    return True


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _drop_misleading_pid_file(data_dir: Path) -> None:
    """Remove a stale postmaster.pid whose number now belongs to some other process.

    The server clears a stale file itself, unless a process of that number exists, be it a zombie
    that nobody reaps: then it takes that one for its twin and refuses to start. In a container,
    where numbers start anew at each boot, that is likely.
    """
    pid = postmaster_pid(data_dir)
    if pid is None or not Path(f"/proc/{pid}").exists():
        return
    log.info("process %d is not the server of %s: removing its stale lock file", pid, data_dir)
    (data_dir / "postmaster.pid").unlink(missing_ok=True)
