"""The worker's side: processes that each do one task at a time, and are replaced when they die."""

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol, TypeVar

from opentelemetry.trace import Tracer

from dbopsd.migrate.importer.processes.errors import CpuTimeUsedUp, ProcessDied, TaskFailed
from dbopsd.migrate.importer.processes.messages import Setup, decode, encode, line
from dbopsd.migrate.importer.processes.outage import PATIENCE_S
from dbopsd.operations.kind import Program, Run
from dbopsd.telemetry.span_relay import replay

_MODULE: Final = "dbopsd.migrate.importer.child_process"
_MOST_DEATHS: Final = 5
# By which a process ends itself, as it will the next time: nobody outside sends them.
_OWN_SIGNALS: Final = frozenset(
    {
        *(signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV),
        *(signal.SIGSYS, signal.SIGTRAP),
    }
)
_MOST_OWN_DEATHS: Final = 2
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 4.0
# Starting takes half a second, in which a process copies about as much.
_SMALL_BYTES: Final = 16 * 2**20

T = TypeVar("T")
OnProgress = Callable[[int], None]
"""Called with how many units a task has done since the last call."""


def is_small(size_bytes: int) -> bool:
    """Whether a file is so small that a second process would come too late."""
    return size_bytes < _SMALL_BYTES


class Task(Protocol):
    """What a process can be told to do: a dataclass of `tasks`."""

    @property
    def stage(self) -> str:
        """The import's stage that it belongs to."""


class Processes:
    """Up to `count` processes, started when there is something to do for them."""

    def __init__(self, run: Run, setup: Setup, count: int, *, tracer: Tracer) -> None:
        self._run = run
        self._setup = setup
        self._tracer = tracer
        self._idle: asyncio.LifoQueue[_Process | None] = asyncio.LifoQueue()
        for _ in range(count):
            self._idle.put_nowait(None)
        self._living: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self.count = count
        """How many there are at most."""

    async def prestart(self, size_bytes: int) -> None:
        """Start them now, while something else is done; one alone for a file that is small."""
        wanted = 1 if is_small(size_bytes) else self.count
        idle = list(self._take_idle())
        # The last one is taken first.
        for number, process in enumerate(idle, start=1):
            started = process is None and number > len(idle) - wanted
            self._idle.put_nowait(await self._start() if started else process)

    def shrink_for(self, size_bytes: int) -> None:
        """Have one process alone for a file so small that a second one would come too late.

        To be called while nothing is being done.
        """
        if not is_small(size_bytes):
            return
        kept = list(self._take_idle())
        self.count = max(sum(each is not None for each in kept), 1)
        for process in sorted(kept, key=lambda each: each is None)[: self.count]:
            self._idle.put_nowait(process)

    def _take_idle(self) -> "Iterator[_Process | None]":
        while not self._idle.empty():
            yield self._idle.get_nowait()

    async def run_task(
        self, task: Task, returns: type[T], on_progress: OnProgress | None = None
    ) -> T:
        """Have a task done, by the next process that is free; again if its process dies.

        An outage of PostgreSQL is waited out for `PATIENCE_S`. Raises `TaskFailed`, `ProcessDied`,
        `CpuTimeUsedUp`.
        """
        deaths = own_deaths = 0
        failing_since: float | None = None
        wait_s = _FIRST_WAIT_S
        while True:
            process = await self._idle.get()
            told = 0

            def progress(units: int) -> None:
                nonlocal told
                told += units
                if on_progress is not None:
                    on_progress(units)

            try:
                process = process or await self._start()
                answer = await process.run_task(task, progress)
                return decode(returns, answer)
            except TaskFailed as failure:
                if told or failing_since is None:
                    failing_since, wait_s = time.monotonic(), _FIRST_WAIT_S
                if not failure.transient or time.monotonic() - failing_since > PATIENCE_S:
                    raise
            except _Died as death:
                process = None
                deaths += 1
                own_deaths += -death.exit_status in _OWN_SIGNALS
                if death.exit_status == -signal.SIGXCPU:
                    raise CpuTimeUsedUp(task.stage, self._setup.limits.cpu_s) from None
                if deaths == _MOST_DEATHS or own_deaths == _MOST_OWN_DEATHS:
                    raise ProcessDied(task.stage, death.exit_status, death.said) from None
            finally:
                self._idle.put_nowait(process)
            if on_progress is not None:
                on_progress(-told)  # it begins anew
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    async def _start(self) -> "_Process":
        started: asyncio.Future[_Process] = asyncio.get_running_loop().create_future()
        self._living.add(asyncio.create_task(self._live(started)))
        process = await started
        await process.tell(encode(Setup, self._setup))
        return process

    async def _live(self, started: "asyncio.Future[_Process]") -> None:
        """A process's life. In a task of its own: it outlives the task that needed it first."""
        program = self._run.program(sys.executable, "-I", "-m", _MODULE, summary="import process")
        try:
            async with program as running:
                if not started.done():
                    started.set_result(_Process(running, self._tracer))
                    await self._closing.wait()
        except Exception as error:
            if started.done():
                raise
            started.set_exception(error)

    async def close(self) -> None:
        """End the processes."""
        self._closing.set()
        await asyncio.gather(*self._living)


@asynccontextmanager
async def processes(
    run: Run, setup: Setup, count: int, *, tracer: Tracer
) -> AsyncIterator[Processes]:
    """Processes for the time of the context."""
    pool = Processes(run, setup, count, tracer=tracer)
    try:
        yield pool
    finally:
        await pool.close()


class _Died(Exception):
    def __init__(self, exit_status: int, said: str) -> None:
        super().__init__(exit_status, said)
        self.exit_status = exit_status
        self.said = said


class _Process:
    """One process."""

    def __init__(self, program: Program, tracer: Tracer) -> None:
        if program.stdin is None or program.stdout is None:
            raise ValueError("a process is spoken to over pipes")
        self._program = program
        self._stdin = program.stdin
        self._stdout = program.stdout
        self._tracer = tracer

    async def tell(self, message: object) -> None:
        with contextlib.suppress(ConnectionError):  # it is dead: `run_task` finds that out
            self._stdin.write(line(message))
            await self._stdin.drain()

    async def run_task(self, task: object, on_progress: OnProgress) -> Any:
        """What it answers to a task. Raises `TaskFailed`, `_Died`."""
        kind = type(task)
        await self.tell({"task": kind.__name__, "with": encode(kind, task)})
        while text := await _read_line(self._stdout):
            message = json.loads(text)
            match message:
                case {"progress": units}:
                    on_progress(units)
                case {"span": told}:
                    replay(told, self._tracer)
                case {"done": answer}:
                    return answer
                case {"failed": failure}:
                    raise TaskFailed(**failure)
        status = await self._program.wait()
        lines = self._program.stderr.decode(errors="replace").strip().splitlines()
        raise _Died(status, lines[-1] if lines else "")


async def _read_line(stream: asyncio.StreamReader) -> bytes:
    """A line, however long; an empty one at the end."""
    parts = []
    while True:
        try:
            parts.append(await stream.readuntil(b"\n"))
            return b"".join(parts)
        except asyncio.LimitOverrunError as error:
            parts.append(await stream.readexactly(error.consumed))
        except asyncio.IncompleteReadError:
            return b""
