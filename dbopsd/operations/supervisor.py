"""Keeping worker processes up on this machine.

A worker shares nothing with this process but two pipes: its standard input, whose end tells it that
this process is gone, and its standard output, on which it says several times a minute that its
event loop turns. One that says nothing for long is killed; one that ended is started anew.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import Sequence
from typing import Final

_log = logging.getLogger(__name__)

PULSE_S: Final = 1.0
"""How often a worker says that its event loop turns, in seconds."""

_SILENT_S: Final = 10.0
# It loads a lot before its event loop turns for the first time.
_STARTING_S: Final = 60.0
_LEAST_BACKOFF_S: Final = 0.5
_MOST_BACKOFF_S: Final = 30.0
# One that ran for so long was well: the next failure is a new one.
_WELL_S: Final = 60.0


def new_process_id(letter: str) -> str:
    """The id of a process, never to be used again: it says where it is, for people."""
    host = "".join(c if c.isalnum() else "-" for c in socket.gethostname().lower())
    host = host.strip("-")[:40] or "host"
    return f"{letter}-{host}-{os.getpid()}-{secrets.token_hex(4)}"


class Supervisor:
    """Keeps `count` processes of `command` up, with `--id` and `--replaces` added to it."""

    def __init__(self, command: Sequence[str], count: int) -> None:
        self._command = tuple(command)
        self._count = count
        self._processes: set[asyncio.subprocess.Process] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the workers; returns at once."""
        self._tasks = [
            asyncio.create_task(self._keep_up(), name=f"worker-{number}")
            for number in range(self._count)
        ]

    async def stop(self, grace_s: float) -> None:
        """Have the workers stop, and kill those that have not within `grace_s` seconds."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(self._end(process, grace_s) for process in self._processes))

    async def _keep_up(self) -> None:
        backoff_s, replaces = _LEAST_BACKOFF_S, ""
        while True:
            began = time.monotonic()
            worker_id = new_process_id("w")
            try:
                process = await self._spawn(worker_id, replaces)
            except OSError as exc:
                _log.error("cannot start a worker: %s", exc)
            else:
                status = await self._watch(process)
                self._processes.discard(process)
                if time.monotonic() - began > _WELL_S:
                    backoff_s = _LEAST_BACKOFF_S
                _log.error("worker %s ended (%s): starting another", worker_id, _how(status))
                replaces = worker_id
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, _MOST_BACKOFF_S)

    async def _spawn(self, worker_id: str, replaces: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            *("--id", worker_id),
            *(("--replaces", replaces) if replaces else ()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # A terminal's Ctrl-C is for us: it ends its work once the calls have ended.
            start_new_session=True,
        )
        self._processes.add(process)
        return process

    async def _watch(self, process: asyncio.subprocess.Process) -> int:
        """Its exit status, once it has ended, by itself or because it hung."""
        pulses = process.stdout
        patience_s = _STARTING_S
        while pulses is not None:
            try:
                async with asyncio.timeout(patience_s):
                    beat = await pulses.read(1024)
            except TimeoutError:
                _log.error(
                    "worker process %d has hung for %g s: killing it", process.pid, patience_s
                )
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                break
            if not beat:
                break
            patience_s = _SILENT_S
        return await process.wait()

    async def _end(self, process: asyncio.subprocess.Process, grace_s: float) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s if number == signal.SIGTERM else None):
                    await process.wait()
                    return


def _how(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"
