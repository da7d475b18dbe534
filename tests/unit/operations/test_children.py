"""What a program gets, what is kept of it, and what its end looks like; with real programs."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.trace import NoOpTracer, SpanKind, StatusCode

from dbopsd.operations.children import Children
from dbopsd.operations.errors import ChildNotStarted, ChildOutputTooLarge
from dbopsd.operations.kind import Completed
from tests.support.family import FAMILIES, alive, command, end, new_token
from tests.support.patience import eventually
from tests.support.recording import Recording

MIB = 2**20


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
def children(recording: Recording) -> Children:
    return Children("op-1", tracer=recording.telemetry.tracer, grace_s=0.5)


async def shell(children: Children, script: str, **more) -> Completed:
    return await children.run("sh", "-c", script, **more)


@pytest.mark.parametrize("status", [0, 1, 125, 126, 127, 255])
async def test_the_exit_status_is_the_programs_own(children: Children, status: int) -> None:
    assert (await shell(children, f"exit {status}")).exit_status == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE])
async def test_a_signal_is_told_as_its_negative_number(
    children: Children, number: signal.Signals
) -> None:
    assert (await shell(children, f"kill -{int(number)} $$")).exit_status == -number


async def test_output_and_errors_are_kept_apart(children: Children) -> None:
    done = await shell(children, "echo out; echo err >&2; exit 3")
    assert done == Completed(exit_status=3, stdout=b"out\n", stderr=b"err\n")


async def test_a_mebibyte_goes_in_and_comes_out_whole(children: Children) -> None:
    content = os.urandom(MIB)
    done = await children.run("cat", stdin=content)
    assert done.stdout == content


async def test_without_input_there_is_an_end_of_it(children: Children) -> None:
    assert (await children.run("cat")).stdout == b""
    assert (await children.run("cat", stdin=b"")).stdout == b""


async def test_a_program_need_not_read_its_input(children: Children) -> None:
    done = await shell(children, "exec <&-; echo done", stdin=os.urandom(MIB))
    assert done.stdout == b"done\n"


async def test_too_much_output_ends_the_program(recording: Recording, token: str) -> None:
    children = Children(
        "op-1", tracer=recording.telemetry.tracer, grace_s=0.1, stdout_limit_bytes=MIB
    )
    whole = await shell(children, f"head -c {MIB} /dev/zero")
    assert len(whole.stdout) == MIB
    with pytest.raises(ChildOutputTooLarge) as raised:
        await children.run(*command("yes & sleep $1", token))
    assert raised.value.metadata == {"program": "sh", "limit_bytes": str(MIB)}
    assert alive(token) == []


async def test_the_last_of_the_errors_is_kept(children: Children) -> None:
    done = await shell(children, "head -c 1000000 /dev/zero >&2; echo the end >&2")
    assert len(done.stderr) == 64 * 2**10
    assert done.stderr.endswith(b"\0the end\n")


async def test_the_environment_is_what_is_given_and_no_more(
    children: Children, recording: Recording
) -> None:
    done = await children.run("env", environment={"PGPASSWORD": "x y", "LC_ALL": "C.UTF-8"})
    lines = dict(line.split("=", 1) for line in done.stdout.decode().splitlines())
    (span,) = recording.spans("exec env")
    context = span.get_span_context()
    assert context is not None
    ids = f"{context.trace_id:032x}-{context.span_id:016x}"
    assert lines.pop("TRACEPARENT") == f"00-{ids}-{context.trace_flags:02x}"
    assert re.fullmatch("[0-9a-f]{32}", lines.pop("DBOPS_CHILD"))
    assert lines == {
        "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PGPASSWORD": "x y",
        "DBOPS_OPERATION": "op-1",
    }


async def test_the_program_holds_no_descriptor_of_ours(children: Children) -> None:
    done = await shell(children, "ls -l /proc/$$/fd; umask; pwd")
    held = re.findall(r" (\d+) -> (\S+)", done.stdout.decode())
    assert [(number, target.split(":")[0]) for number, target in held] == [
        ("0", "/dev/null"),
        ("1", "pipe"),
        ("2", "pipe"),
    ]
    assert done.stdout.endswith(b"\n/\n")


async def test_nothing_is_ignored_or_blocked_in_the_program(children: Children) -> None:
    done = await children.run("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
    _, blocked, _, ignored = done.stdout.decode().split()
    # 32 and 33 are glibc's own: it blocks them around a fork, whoever started the tests may have
    # them ignored, and no program may touch them.
    reserved = 0b11 << 31
    assert int(blocked, 16) & ~reserved == 0
    assert int(ignored, 16) & ~reserved == 0


async def test_what_cannot_be_started_says_why(
    children: Children, recording: Recording, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    plain.write_text("not a program")
    for program, problem in (
        ("no-such-program", "No such file or directory in /usr/local/bin:"),
        ("/no/such/program", "No such file or directory"),
        (str(plain), "Permission denied"),
        ("nul\0", "an argument holds a NUL"),
    ):
        with pytest.raises(ChildNotStarted, match="cannot start") as raised:
            await children.run(program, stdin=b"x")
        assert raised.value.program == program
        assert raised.value.problem.startswith(problem)
    with pytest.raises(ChildNotStarted, match="Argument list too long"):
        await children.run("true", "x" * 3 * MIB)
    assert {span.status.description for span in recording.spans()} == {"ChildNotStarted"}


async def test_the_span_says_what_ran_and_how_it_ended(
    children: Children, recording: Recording
) -> None:
    with recording.telemetry.tracer.start_as_current_span("above") as above:
        await shell(children, "exit 3 # secret", summary="dump of main")
        await children.run("/bin/true")
    failed, fine = recording.spans("exec dump of main") + recording.spans("exec true")
    for span in (failed, fine):
        assert span.kind is SpanKind.INTERNAL
        assert span.parent is not None
        assert span.parent.span_id == above.get_span_context().span_id
        assert "secret" not in span.to_json()
    attributes = dict(failed.attributes or {})
    assert attributes.pop("process.pid", 0) > 1
    assert attributes == {
        "process.executable.name": "sh",
        "process.exit.code": 3,
        "error.type": "exit 3",
    }
    assert failed.status.status_code is StatusCode.ERROR
    assert fine.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_cancelled_program_has_ended_when_the_cancelling_is_over(
    children: Children, token: str, family: str
) -> None:
    run = asyncio.create_task(children.run(*command(FAMILIES[family], token)))
    await eventually(lambda: len(alive(token)) > 2, what=family)
    run.cancel()
    # Once more while it is being ended: that must not cut the ending short.
    await asyncio.sleep(0.01)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(run), 5)
    assert alive(token) == []


async def test_a_start_that_is_cancelled_leaves_nothing(children: Children, token: str) -> None:
    for delay_ms in range(0, 60, 3):
        run = asyncio.create_task(children.run(*command(FAMILIES["daemon"], token)))
        await asyncio.sleep(delay_ms / 1000)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert alive(token) == []


async def test_what_a_program_leaves_behind_ends_with_it(children: Children, token: str) -> None:
    done = await children.run(*command("(setsid sleep $1 &); sleep $1 & echo mine", token))
    assert done == Completed(exit_status=0, stdout=b"mine\n", stderr=b"")
    assert alive(token) == []


async def test_a_program_may_clean_up_before_it_ends(children: Children, tmp_path: Path) -> None:
    mark = tmp_path / "cleaned"
    script = f"trap 'sleep 0.1; touch {mark}; exit 0' TERM; echo ready; sleep 86400 & wait"
    async with children.open("sh", "-c", script) as child:
        assert child.stdout is not None
        assert await child.stdout.readline() == b"ready\n"
    assert mark.exists()
    assert child.exit_status == 0


async def test_streams_run_both_ways_while_the_program_does(children: Children) -> None:
    async with children.open("cat", stdin=asyncio.subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for line in (b"one\n", b"two\n"):
            child.stdin.write(line)
            assert await child.stdout.readline() == line
        child.stdin.close()
        assert await child.stdout.read() == b""
        assert await child.wait() == 0


async def test_a_stream_that_nobody_reads_does_not_hold_up_the_end(children: Children) -> None:
    started = time.monotonic()
    async with children.open("yes") as child:
        assert child.stdout is not None
        await child.stdout.readline()
        await asyncio.sleep(0.1)
    assert time.monotonic() - started < 2
    assert child.exit_status in (-signal.SIGTERM, -signal.SIGPIPE)


async def test_a_reader_is_let_go_of_when_the_children_close(
    children: Children, token: str
) -> None:
    for _ in range(20):
        children = Children("op-1", tracer=NoOpTracer(), grace_s=0.0)
        async with children.open(*command("echo x; sleep $1", token)) as child:
            assert child.stdout is not None
            await child.stdout.readline()
            reading = asyncio.create_task(child.stdout.read())
            await asyncio.sleep(0)
            await children.close()
            assert await asyncio.wait_for(reading, 1) == b""


async def test_closing_ends_all_and_lets_nothing_begin(children: Children, token: str) -> None:
    runs = [
        asyncio.create_task(children.run(*command(script, token))) for script in FAMILIES.values()
    ]
    await eventually(lambda: len(alive(token)) > 10)
    started = time.monotonic()
    await children.close()
    assert time.monotonic() - started < 2
    assert alive(token) == []
    # The exit status of a shell that was ended while it left a daemon behind is its own.
    assert {type(result) for result in await asyncio.gather(*runs)} == {Completed}
    with pytest.raises(ChildNotStarted, match="the attempt that it is for has ended"):
        await children.run("true")


def descriptors() -> list[str]:
    return sorted(entry.name for entry in Path("/proc/self/fd").iterdir())


async def test_no_descriptor_is_left_open(children: Children) -> None:
    async def one(number: int) -> None:
        match number % 5:
            case 0:
                await children.run("cat", stdin=b"x" * MIB)
            case 1:
                with pytest.raises(ChildNotStarted):
                    await children.run("no-such-program", stdin=b"x")
            case 2:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(children.run("yes"), 0.05)
            case 3:
                await shell(children, "exit 1", stdin=b"x" * MIB)
            case _:
                async with children.open("sleep", "86400", stdin=asyncio.subprocess.PIPE):
                    pass

    await asyncio.gather(*map(one, range(5)))
    before = descriptors()
    for start in range(0, 50, 5):
        await asyncio.gather(*map(one, range(start, start + 5)))
    assert descriptors() == before
