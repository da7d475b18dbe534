"""What an operation's kind is handed while it runs: programs beside it, with real programs."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from dbopsd.config import DatabaseConfig
from dbopsd.db.database import Database
from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.attempt import Attempt
from dbopsd.operations.errors import ChildNotStarted
from dbopsd.operations.record import Failure, Operation, State
from tests.support.family import alive, command, end, new_token
from tests.support.patience import eventually
from tests.support.recording import Recording

OPERATION = Operation(
    id="demo-1",
    kind="demo",
    database="main",
    state=State.RUNNING,
    requester="ann",
    request_id="",
    role=2,
    request="{}",
    create_time=1.0,
    update_time=2.0,
    attempt=1,
)


@pytest.fixture
def token() -> Iterator[str]:
    """What the test's programs are known by; none of them is left after it."""
    token = new_token()
    yield token
    end(token)


@pytest.fixture
def recording() -> Iterator[Recording]:
    recording = Recording()
    yield recording
    recording.close()


@pytest.fixture
async def attempt(recording: Recording, tmp_path: Path) -> AsyncIterator[Attempt]:
    """One whose database is never asked."""
    telemetry = recording.telemetry
    config = DatabaseConfig(dsn=SecretStr("host=127.0.0.1 port=9 dbname=x"))
    attempt = Attempt(
        OPERATION,
        Database("main", config, tracer=telemetry.tracer, meter=telemetry.meter),
        scratch=tmp_path / "scratch",
        state_dir=tmp_path,
        tracer=telemetry.tracer,
        failure_of=lambda error: Failure("INTERNAL", "INTERNAL", str(error)),
        control=AsyncControlStore(None, tmp_path / "control.db", telemetry.tracer),
    )
    yield attempt
    await attempt.close()


async def test_a_program_is_written_to_and_read_from_while_it_runs(
    attempt: Attempt, recording: Recording
) -> None:
    async with attempt.program(
        *("sh", "-c", 'cat; echo "$GIVEN" >&2; exit 3'),
        environment={"GIVEN": "to it"},
        summary="echo",
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        for block in (b"one\n", b"x" * 2**20 + b"\n"):
            program.stdin.write(block)
            assert await program.stdout.readexactly(len(block)) == block
        program.stdin.close()
        assert await program.stdout.read() == b""
        assert await program.wait() == 3
    assert program.stderr == b"to it\n"
    (span,) = recording.spans("exec echo")
    assert "to it" not in str(span.attributes)


async def test_a_program_is_ended_at_the_end_of_its_context(attempt: Attempt, token: str) -> None:
    async with attempt.program(*command("sleep $1 & echo up; sleep $1", token)) as program:
        assert program.stdout is not None
        assert await program.stdout.readline() == b"up\n"
        assert alive(token)
    assert alive(token) == []
    assert await program.wait() == -signal.SIGTERM


async def test_a_failure_within_the_context_ends_it_and_is_told_as_it_is(
    attempt: Attempt, token: str
) -> None:
    with pytest.raises(LookupError, match="of the kind's own"):
        async with attempt.program(*command("sleep $1", token)):
            await eventually(lambda: alive(token))
            raise LookupError("of the kind's own")
    assert alive(token) == []


async def test_it_ends_with_the_attempt_and_none_begins_after(attempt: Attempt, token: str) -> None:
    async with attempt.program(*command("echo up; sleep $1", token)) as program:
        assert program.stdout is not None
        await program.stdout.readline()
        reading = asyncio.create_task(program.stdout.read())
        await attempt.close()
        assert await asyncio.wait_for(reading, 5) == b""
        assert alive(token) == []
        with pytest.raises(ChildNotStarted, match="has ended"):
            async with attempt.program("cat"):
                pass


async def test_a_program_that_is_not_there_is_said_so(attempt: Attempt) -> None:
    with pytest.raises(ChildNotStarted) as raised:
        async with attempt.program("no-such-program"):
            pass
    assert raised.value.program == "no-such-program"
