"""A process that owns an embedded server, to be killed; also a script, run by `Owner`."""

import asyncio
import contextlib
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from dbopsd.db.server.embedded import EmbeddedServer

_ROOT = Path(__file__).parents[2]


class Owner:
    """Another daemon, so to speak: a process that starts the server of `state_dir` and waits."""

    def __init__(self, state_dir: Path, *, user: str | None = None) -> None:
        python = sys.executable if user is None else _python_for(user)
        self._process = subprocess.Popen(
            [python, "-m", "tests.support.owner", str(state_dir)],
            cwd=_ROOT,
            user=user,
            group=user and _group(user),
            extra_groups=None if user is None else [],
            env={**os.environ, "HOME": "/nonexistent", "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ready(self) -> str:
        """The server's DSN, once it is ready; or AssertionError with what the process said."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, self.end(signal.SIGKILL)
        return line

    def end(self, number: signal.Signals) -> str:
        """Send a signal and wait for the end; what it wrote to standard error."""
        self._process.send_signal(number)
        _, errors = self._process.communicate(timeout=30)
        return errors

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.end(signal.SIGKILL)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


def _python_for(user: str) -> str:
    """A Python that the user may run: ours may lie in a 0700 home, the system's does not."""
    for python in (sys.executable, f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"):
        try:
            subprocess.run([python, "-c", ""], user=user, check=True, cwd="/")
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    raise LookupError(f"there is no Python that '{user}' may run")


def _group(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


async def _own(state_dir: Path) -> None:
    loop = asyncio.get_running_loop()
    asked_to_end = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, asked_to_end.set)
    server = EmbeddedServer(state_dir)
    print(await server.start(), flush=True)
    await asked_to_end.wait()
    await server.stop()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_own(Path(sys.argv[1])))
