"""Programs with children of every sort, a process that runs them, and who of them is left.

`python -m tests.support.family TOKEN` is a worker in small: it runs them all side by side, each
again as soon as it has been let live for a moment, until it is killed.
"""

import asyncio
import contextlib
import itertools
import os
import secrets
import signal
import sys
from pathlib import Path

from opentelemetry.trace import NoOpTracer

from dbopsd.operations.children import Children
from dbopsd.operations.orphan_processes import OPERATION_VARIABLE
from tests.support.patience import eventually_blocking

# Shell scripts whose $1 is a token: a time to sleep, and who carries it is one of the family.
FAMILIES = {
    "children": "sleep $1 & sleep $1 & wait",
    "pipeline": "sleep $1 | cat - /dev/null | cat",
    "another session": "setsid sleep $1 & sleep $1",
    "daemon": "(setsid sh -c 'sleep $0 & exit' $1 &); sleep $1",
    "deaf": "trap '' TERM INT HUP; sleep $1 & sleep $1; sleep $1",
    "stopped": "sleep $1 & kill -STOP $!; wait",
    "breeding": "while :; do setsid sleep $1 & sleep 0.02; done",
    "left behind": "(setsid sleep $1 > /dev/null 2>&1 &); sleep 0.5",
}
# One that no marker in the environment leads to.
FORGETFUL = "env -i setsid sleep $1 & sleep $1"


def new_token() -> str:
    """A token that nothing else on this machine carries."""
    return f"86400.{secrets.randbelow(10**15):015d}"


def command(script: str, token: str) -> tuple[str, ...]:
    """The family's command line."""
    return ("sh", "-c", script, "sh", token)


def alive(token: str) -> list[str]:
    """All that runs and carries the token, in its command line or in its environment."""
    wanted = token.encode()
    marker = f"{OPERATION_VARIABLE}={token}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            environment = (entry / "environ").read_bytes().split(b"\0")
            if b"tests.support.family" not in arguments and (
                wanted in arguments or marker in environment
            ):
                found.append(f"{entry.name}: {b' '.join(arguments).decode()}")
    return found


def end(token: str) -> None:
    """Kill whoever is left, for the sake of the tests that come after one that failed."""

    def none_left() -> bool:
        left = alive(token)
        for line in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(line.partition(":")[0]), signal.SIGKILL)
        return not left

    eventually_blocking(none_left)


async def _live(token: str) -> None:
    children = Children(token, tracer=NoOpTracer(), grace_s=0.3)

    async def again_and_again(script: str, life_s: float) -> None:
        for number in itertools.count():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(life_s):
                    await children.run(*command(script, token))
            if number == 0:
                print("going round", flush=True)

    print("ready", flush=True)
    async with asyncio.TaskGroup() as tasks:
        for number, script in enumerate((*FAMILIES.values(), FORGETFUL)):
            tasks.create_task(again_and_again(script, 0.3 + 0.1 * number))


if __name__ == "__main__":
    asyncio.run(_live(sys.argv[1]))
