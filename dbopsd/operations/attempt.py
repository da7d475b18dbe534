"""One attempt of an operation: the interface for the code of its kind."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Final

from dbos import error as dbos_errors
from opentelemetry.trace import Tracer
from pydantic import TypeAdapter
from sqlalchemy.exc import SQLAlchemyError

from dbopsd.db.database import Database
from dbopsd.errors import DbopsError, StatusCode
from dbopsd.operations import dbos_engine
from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.errors import ControlStoreUnavailable, OperationInTheWay
from dbopsd.operations.kind import Kind, StepT
from dbopsd.operations.program_runner import ProgramRunner
from dbopsd.operations.record import Failure, Operation, Progress
from dbopsd.operations.store.attempts import Report, hold_locks, let_go
from dbopsd.operations.store.requests import Vanished

# A rate is that of the last while, so that it shows a standstill soon and is calm otherwise.
_RATE_WINDOW_S: Final = 10.0
_LOCK_POLL_S: Final = 0.5

FailureOf = Callable[[BaseException], Failure]


class StepFailed(DbopsError):
    """A step failed in an earlier attempt; what it raised is gone with its process."""

    reason: ClassVar[str] = "STEP_FAILED"

    def __init__(self, failure: Failure) -> None:
        super().__init__()
        self.failure = failure
        self.code = StatusCode[failure.code]  # type: ignore[misc]

    @property
    def message(self) -> str:
        return self.failure.message


class Attempt(ProgramRunner):
    """The `Run` (`kind.py`) that an operation's kind is handed."""

    def __init__(
        self,
        operation: Operation,
        database: Database,
        *,
        scratch: Path,
        state_dir: Path,
        tracer: Tracer,
        failure_of: FailureOf,
        control: AsyncControlStore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(operation.id, tracer=tracer)
        self._control = control
        self._operation = operation
        self._database = database
        self._scratch = scratch
        self._state_dir = state_dir
        self._tracer = tracer
        self._failure_of = failure_of
        self._clock = clock
        self._stage = operation.stage
        self._progress: Progress | None = operation.progress
        self._reported = (self._stage, self._progress)
        self._history: list[tuple[float, int]] = []
        self.interruption = ""
        """Why this attempt cannot go on although its operation may; empty: it can."""

    @property
    def operation(self) -> str:
        """The operation's id."""
        return self._operation.id

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        return self._operation.attempt

    @property
    def requester(self) -> str:
        """Who asked for it."""
        return self._operation.requester

    @property
    def database(self) -> Database:
        """The database that it works on."""
        return self._database

    @property
    def tracer(self) -> Tracer:
        """Makes spans that belong to the operation's trace."""
        return self._tracer

    @property
    def scratch(self) -> Path:
        """A directory of this operation's own on this machine, removed at the operation's end."""
        self._scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self._scratch

    @property
    def state_dir(self) -> Path:
        """The worker's state directory on this machine, for files that outlive the operation."""
        return self._state_dir

    async def step(
        self, name: str, work: Callable[[], Awaitable[StepT]], *, returns: type[StepT]
    ) -> StepT:
        """Do `work` once: an attempt that comes after it finds its result recorded."""
        adapter: TypeAdapter[StepT] = TypeAdapter(returns)
        raised: list[Exception] = []

        async def once() -> str:
            with self._tracer.start_as_current_span(
                f"step {name}", record_exception=False, set_status_on_exception=False
            ):
                # A failure is recorded as well, and in our own words: DBOS's would be a pickle.
                try:
                    value = await work()
                except Exception as error:  # noqa: BLE001 - recorded, and raised again below
                    raised.append(error)
                    return dbos_engine.encode({"failure": asdict(self._failure_of(error))})
                return dbos_engine.encode({"value": adapter.dump_python(value, mode="json")})

        try:
            recorded = json.loads(await dbos_engine.step(name, once))
        except (SQLAlchemyError, dbos_errors.DBOSWorkflowConflictIDError) as error:
            # What it did is not recorded: the operation goes on from before it, in another attempt.
            self.interruption = f"step '{name}' was not recorded ({type(error).__name__})"
            raise asyncio.CancelledError from error
        if raised:
            raise raised[0]
        if "failure" in recorded:
            raise StepFailed(Failure(**recorded["failure"]))
        return adapter.validate_python(recorded["value"])

    @asynccontextmanager
    async def locks_of(self, kind: Kind[Any, Any], *, wait_s: float) -> AsyncIterator[None]:
        """The locks of another kind for the time of the context."""
        operation = self._operation
        deadline = self._clock() + wait_s
        while True:
            left_s = deadline - self._clock()
            if await self._hold(kind, last_try=left_s <= 0):
                break
            await asyncio.sleep(min(_LOCK_POLL_S, max(0.0, left_s)))
        yield
        # Where the store is away, they go with the operation.
        with contextlib.suppress(ControlStoreUnavailable):
            await self._control.ask(lambda store: let_go(store, operation, kind.locks))

    async def _hold(self, kind: Kind[Any, Any], *, last_try: bool) -> bool:
        """Whether the locks are held now. Raises `OperationInTheWay` if it is the last try."""
        operation = self._operation
        try:
            ours = await self._control.ask(
                lambda store: hold_locks(store, operation, kind.name, kind.locks)
            )
        except Vanished:
            return False
        except OperationInTheWay as error:
            if last_try:
                raise
            self.progress(f"waiting for operations/{error.operation}")
            return False
        if not ours:
            self.interruption = "others have it by now"
            raise asyncio.CancelledError
        return True

    def progress(self, stage: str, done: int | None = None, total: int = 0, unit: str = "") -> None:
        """Say how far it has come; the newest is written a few times a second at most."""
        if stage != self._stage:
            self._history.clear()
        self._stage = stage
        self._progress = None if done is None else Progress(done, total, unit, self._rate(done))

    def unreported(self) -> Report | None:
        """The progress that is not yet written; None if all of it is written."""
        if (self._stage, self._progress) == self._reported:
            return None
        return self.how_far()

    def mark_reported(self, report: Report) -> None:
        """That report was written."""
        self._reported = (report.stage, report.progress)

    def how_far(self) -> Report:
        """How far it has come, written or not."""
        return Report(self._operation.id, self._operation.attempt, self._stage, self._progress)

    def _rate(self, done: int) -> float:
        """In units a second, over the last while."""
        now = self._clock()
        history = self._history
        if not history or now - history[-1][0] >= _RATE_WINDOW_S / 100:
            history.append((now, done))
        while len(history) > 1 and history[0][0] < now - _RATE_WINDOW_S:
            history.pop(0)
        since, before = history[0]
        return max(done - before, 0) / (now - since) if now > since else 0.0


def result_as_json(result_type: type[Any], result: object) -> str:
    """A kind's result as the control store keeps it. Raises where it is not of its type."""
    adapter = TypeAdapter(result_type)
    return dbos_engine.encode(adapter.dump_python(result, mode="json", warnings="error"))
