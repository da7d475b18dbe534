"""Who runs programs is killed, and nothing of theirs is left."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from opentelemetry.trace import NoOpTracer

from dbopsd.operations.children import Children
from dbopsd.operations.errors import ChildNotStarted
from dbopsd.operations.orphan_processes import sweep
from tests.support.daemon import ROOT, clean_environment
from tests.support.family import FAMILIES, FORGETFUL, alive, command, end, new_token
from tests.support.patience import eventually
from tests.support.soak import Soak

GONE_S = 3.0


@pytest.fixture
def token() -> Iterator[str]:
    """What the test's programs are known by; none of them is left after it."""
    token = new_token()
    yield token
    end(token)


@asynccontextmanager
async def worker(token: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that runs every family, over and over."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.family", token),
        cwd=ROOT,
        env=clean_environment(),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def nothing_is_left(token: str, what: str) -> None:
    await eventually(lambda: not alive(token), timeout=GONE_S, what=f"{what}: {alive(token)}")


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_a_worker_killed_at_any_moment_leaves_nothing(token: str, soak: Soak) -> None:
    chance = soak.random()
    for round_ in range(soak.scale(8, 60)):
        async with worker(token) as process:
            # From the first start to a second round of each.
            await asyncio.sleep(chance.choice([0.05, 0.5, 2]) * chance.random())
            seen = len(alive(token))
            how = chance.choice(["killed", "stopped, then killed"])
            if how != "killed":
                process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(chance.uniform(0, 0.2))
            process.kill()
            await process.wait()
            what = f"--seed={soak.seed}, round {round_}, {how} with {seen} processes"
            await nothing_is_left(token, what)


async def test_a_worker_killed_with_every_family_at_work_leaves_nothing(token: str) -> None:
    async with worker(token) as process:
        await eventually(lambda: len(alive(token)) > 30)
        process.kill()
        await process.wait()
        await nothing_is_left(token, "all of them")


def guardian_of(token: str) -> int:
    (found,) = [line for line in alive(token) if "child_process_guard.py" in line]
    return pid_of(found)


def children_of(pid: int) -> set[int]:
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def pid_of(line: str) -> int:
    return int(line.partition(":")[0])


def is_program_of(pid: int, guardians: list[int]) -> bool:
    """Whether a guardian started it itself; orphans it took in have left its session."""
    with contextlib.suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return stat[1] == stat[3] and int(stat[1]) in guardians
    return False


@pytest.fixture
def children(token: str) -> Children:
    return Children(token, tracer=NoOpTracer(), grace_s=0.3)


@pytest.mark.parametrize("family", [*FAMILIES, "forgetful"])
async def test_a_killed_guardian_takes_the_program_with_it(
    children: Children, token: str, family: str
) -> None:
    script = {**FAMILIES, "forgetful": FORGETFUL}[family]
    # Without an environment and in a session of its own, nobody could know whose it is.
    script = script.replace("env -i setsid", "env -i").replace("sleep 0.5", "sleep $1")
    run = asyncio.create_task(children.run(*command(script, token)))
    await eventually(lambda: len(alive(token)) > 2, what=family)
    os.kill(guardian_of(token), signal.SIGKILL)
    done = await asyncio.wait_for(run, GONE_S)
    assert done.exit_status == -signal.SIGKILL
    assert alive(token) == []


async def test_a_guardian_killed_at_any_moment_leaves_nothing(
    children: Children, token: str, soak: Soak
) -> None:
    chance = soak.random()
    script = FAMILIES["daemon"]
    for _ in range(soak.scale(15, 100)):
        run = asyncio.create_task(children.run(*command(script, token)))
        await eventually(
            lambda: [line for line in alive(token) if "child_process_guard.py" in line]
        )
        await asyncio.sleep(chance.uniform(0, 0.05))
        for line in [line for line in alive(token) if "child_process_guard.py" in line]:
            os.kill(pid_of(line), signal.SIGKILL)
        await asyncio.wait({run})
        # Too early, and there was no program yet: then that is told.
        assert run.exception() is None or "cannot start sh" in str(run.exception())
        await nothing_is_left(token, f"--seed={soak.seed}")


async def test_a_guardian_killed_before_it_tells_of_the_program_leaves_nothing(
    children: Children, token: str
) -> None:
    for _ in range(20):
        others = children_of(os.getpid())
        run = asyncio.create_task(children.run(*command("setsid sleep $1 & sleep $1", token)))
        # Nobody else gets a turn between a look and the next, so that the guardian is stopped as
        # soon as it has forked: before it knows that the program is one.
        while not (started := children_of(os.getpid()) - others):
            await asyncio.sleep(0)
        (guardian,) = started
        while not children_of(guardian):
            pass
        os.kill(guardian, signal.SIGSTOP)
        await eventually(lambda: len([line for line in alive(token) if ": sleep" in line]) == 2)
        os.kill(guardian, signal.SIGKILL)
        await asyncio.wait({run}, timeout=GONE_S)
        assert run.done()
        assert alive(token) == []
        if isinstance(run.exception(), ChildNotStarted):
            return
    pytest.fail("the guardian was never caught between the two")


async def test_worker_and_guardians_killed_at_once_leave_what_a_sweep_finds(token: str) -> None:
    other = Children(new_token(), tracer=NoOpTracer())
    async with worker(token) as process, other.open("sleep", other.operation) as bystander:
        await eventually(lambda: len(alive(token)) > 30)
        process.send_signal(signal.SIGSTOP)
        guardians = [pid_of(line) for line in alive(token) if "child_process_guard.py" in line]
        programs = [pid for pid in map(pid_of, alive(token)) if is_program_of(pid, guardians)]
        assert len(programs) > 5
        for pid in (*guardians, process.pid):
            os.kill(pid, signal.SIGKILL)
        await process.wait()
        # The programs themselves die of their parent's death, without anybody's help.
        await eventually(lambda: not set(programs) & set(map(pid_of, alive(token))), GONE_S)
        found = await sweep(token)
        assert found
        assert await sweep(token) == []
        # What has neither environment nor session is beyond reach.
        left = list(map(pid_of, alive(token)))
        for pid in left:
            assert Path(f"/proc/{pid}/environ").read_bytes() == b""
            os.kill(pid, signal.SIGKILL)
        assert Path(f"/proc/{bystander.pid}").exists()
        assert bystander.exit_status is None
