"""A `Run` for tests that call the work of a kind by itself, without a worker."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from opentelemetry.trace import NoOpTracer, Tracer

from dbopsd.db.database import Database
from dbopsd.operations.kind import Kind, StepT
from dbopsd.operations.program_runner import ProgramRunner


class OperationRun(ProgramRunner):
    """One attempt, on files below `directory`. `progress_log` has all that it told, `locks_log` the
    locks of other kinds that it held, and for how long it would have waited for them."""

    attempt = 1
    requester = "tests"

    def __init__(self, database: Database, directory: Path, operation: str = "test-op") -> None:
        super().__init__(operation, tracer=NoOpTracer())
        self.operation = operation
        self.database = database
        self.tracer: Tracer = NoOpTracer()
        self.scratch = directory / "scratch"
        self.state_dir = directory / "state"
        for each in (self.scratch, self.state_dir):
            each.mkdir(parents=True, exist_ok=True, mode=0o711)
        self.progress_log: list[tuple[str, int | None, int, str]] = []
        self.locks_log: list[tuple[frozenset[str], float]] = []
        self._steps: dict[str, Any] = {}

    async def step(
        self, name: str, work: Callable[[], Awaitable[StepT]], *, returns: type[StepT]
    ) -> StepT:
        """Do `work`, or return what it did before under that name."""
        if name not in self._steps:
            self._steps[name] = await work()
        done: StepT = self._steps[name]
        return done

    @asynccontextmanager
    async def locks_of(self, kind: Kind[Any, Any], *, wait_s: float) -> AsyncIterator[None]:
        """Write down that it has them: there is nobody else."""
        self.locks_log.append((kind.locks, wait_s))
        yield

    def progress(self, stage: str, done: int | None = None, total: int = 0, unit: str = "") -> None:
        """Write it down."""
        self.progress_log.append((stage, done, total, unit))
