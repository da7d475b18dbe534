"""The demo's kinds of operation: `demo`, and `demo-exclusive` that is alone on its database."""

import asyncio
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from dbopsd.db.statement import Statement
from dbopsd.errors import FieldNotSupported, InvalidField
from dbopsd.operations.errors import FailedWithResult
from dbopsd.operations.kind import Kind, Request, Run
from tests.support.demo import ledger

# A shell that forks, a pipeline, a daemon in a session of its own, and nobody minds SIGTERM.
_FAMILY = "trap '' TERM; sleep $1 & sleep $1 | cat & (setsid sleep $1 > /dev/null 2>&1 &); sleep $2"
_LONGER_THAN_ANY_TEST_S = 86400

SECRET = "nothing that a caller may read"


@dataclass(frozen=True)
class DemoRequest(Request):
    """`RunDemoRequest`, without what is the same for every operation."""

    steps: int = 1
    step_seconds: float = 0.0
    child: bool = False
    fail_at_step: int = 0
    ledger: str = ""
    mishap: str = ""
    traced: bool = False


@dataclass(frozen=True)
class DemoResult:
    """`DemoResponse`."""

    steps_done: int
    attempts: int
    step_attempts: list[int] = field(default_factory=list)


async def run(run_: Run, request: DemoRequest) -> DemoResult:
    """Do each step: write its begin, take its time, write its end."""
    step_attempts = []
    for number in range(1, request.steps + 1):
        run_.progress("stepping", number - 1, request.steps, "{step}")

        async def work(number: int = number) -> int:
            return await _step(run_, request, number)

        step_attempts.append(await run_.step(f"step-{number}", work, returns=int))
    run_.progress("stepped", request.steps, request.steps, "{step}")
    if request.mishap == "more than a line":
        so_far = DemoResult(len(step_attempts), run_.attempt, step_attempts)
        raise FailedWithResult(FieldNotSupported("mishap", "took more than a line"), so_far)
    if request.mishap == "surprise":
        raise LookupError(SECRET)
    if request.mishap == "wrong result":
        return cast("DemoResult", SECRET)
    return DemoResult(len(step_attempts), run_.attempt, step_attempts)


async def _step(run_: Run, request: DemoRequest, number: int) -> int:
    _note(run_, request, number, ledger.BEGIN)
    if request.mishap == "poison":
        # Once those that began with it are at work, and its stage is written.
        await asyncio.sleep(2)
        os.kill(os.getpid(), signal.SIGKILL)
    if request.mishap == "held up":
        while not Path(f"{request.ledger}.released").exists():
            await asyncio.sleep(0.05)
    if request.child:
        seconds = (str(_LONGER_THAN_ANY_TEST_S), str(request.step_seconds))
        await run_.child("sh", "-c", _FAMILY, "sh", *seconds, summary="demo family")
    else:
        await asyncio.sleep(request.step_seconds)
    if request.traced:
        async with run_.database.session() as session:
            await session.fetch_one(Statement("SELECT 'traced'", "SELECT traced"))
        note = 'printf %s "$TRACEPARENT" > "$1"'
        where = f"{request.ledger}.traceparent"
        await run_.child("sh", "-c", note, "sh", where, summary="note of the trace")
    if number == request.fail_at_step:
        raise InvalidField("fail_at_step", "is this step")
    _note(run_, request, number, ledger.END)
    return run_.attempt


async def _clean_up(run_: Run, request: DemoRequest) -> None:
    if request.mishap == "clean up lasts":
        await asyncio.sleep(1)
    if request.mishap == "clean up fails":
        raise FieldNotSupported("what is left", "is nailed down")
    _note(run_, request, 0, ledger.CLEANED)


def _note(run_: Run, request: DemoRequest, number: int, what: str) -> None:
    if request.ledger:
        ledger.write(request.ledger, run_.operation, run_.attempt, number, what)


DEMO = Kind("demo", DemoRequest, DemoResult, run, clean_up=_clean_up)
EXCLUSIVE_DEMO = Kind(
    "demo-exclusive",
    DemoRequest,
    DemoResult,
    run,
    locks=frozenset({"demo"}),
    clean_up=_clean_up,
)
KINDS = (DEMO, EXCLUSIVE_DEMO)
