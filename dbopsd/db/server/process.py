"""Start PostgreSQL's programs as the server's account; none outlives this process."""

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from dbopsd.db.server.account import ServerAccount

_EXEC_AS = str(Path(__file__).with_name("exec_as.py"))

# Nothing of our own environment reaches the programs: PGDATA, PGOPTIONS or a locale of the
# caller's would change what they do.
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class Completed:
    """What a program left: its exit status (negative: the signal) and all that it wrote."""

    exit_status: int
    output: str


async def spawn(
    program: Path,
    *arguments: str,
    account: ServerAccount,
    death_signal: signal.Signals,
    stdin: int = asyncio.subprocess.DEVNULL,
    output: int = asyncio.subprocess.PIPE,
) -> asyncio.subprocess.Process:
    """Start `program` as `account` in a session of its own; it gets `death_signal` when we die.

    A session of its own keeps a terminal's Ctrl-C from the server until the daemon has drained.
    The kernel ties `death_signal` to the *thread* that forks: call this from an event loop whose
    thread lives as long as the program shall. Standard output and error both go to `output`.
    """
    return await asyncio.create_subprocess_exec(
        *command_as(account, program, *arguments, death_signal=death_signal, parent=os.getpid()),
        # A directory that the account may not enter is one that programs complain about.
        cwd="/",
        env=_ENVIRONMENT,
        stdin=stdin,
        stdout=output,
        stderr=asyncio.subprocess.STDOUT if output == asyncio.subprocess.PIPE else output,
        start_new_session=True,
    )


def command_as(
    account: ServerAccount,
    program: Path,
    *arguments: str,
    death_signal: signal.Signals,
    parent: int = 0,
) -> list[str]:
    """The command that becomes `program` as `account`, and gets `death_signal` without its parent.

    `parent`: the process that starts it, and without which it is not to begin; 0: any.
    """
    ids = (account.uid, account.gid) if account.foreign else (-1, -1)
    # -I and -S: nobody's site packages or PYTHON… variables run as root here.
    interpreter = [sys.executable, "-I", "-S", _EXEC_AS]
    numbers = [str(int(death_signal)), str(parent), *(str(number) for number in ids)]
    return [*interpreter, *numbers, str(program), *arguments]


async def run(
    program: Path, *arguments: str, account: ServerAccount, feed: bytes | None = None
) -> Completed:
    """Run `program` as `account` to its end, with `feed` on its standard input.

    Cancelled, it kills the program's whole process group and waits for the program first.
    """
    process = await spawn(
        program,
        *arguments,
        account=account,
        death_signal=signal.SIGKILL,
        stdin=asyncio.subprocess.DEVNULL if feed is None else asyncio.subprocess.PIPE,
    )
    try:
        output, _ = await process.communicate(feed)
    finally:
        if process.returncode is None:
            # Its children too (initdb starts `postgres`), else they hold the directory.
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return Completed(
        exit_status=process.returncode if process.returncode is not None else -signal.SIGKILL,
        output=output.decode(errors="replace"),
    )


def send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signal the process, unless it has ended."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


async def ends(process: asyncio.subprocess.Process, timeout_s: float) -> bool:
    """Whether the process ends within the time."""
    waiter = asyncio.ensure_future(process.wait())
    try:
        done, _ = await asyncio.wait({waiter}, timeout=timeout_s)
        return bool(done)
    finally:
        waiter.cancel()
