"""A process of `bench.played`, started, asked and ended by the bench.

One JSON line a request on its standard input, one a response on its standard output. It ends when
its standard input does, so none outlives the bench, however that ends.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, Self

_ROOT = Path(__file__).parents[1]
_END_S = 15.0
_LOG_TAIL_BYTES = 4000


class ChildFailed(Exception):
    """A child ended, or answered with an error; the text has what it wrote last."""


class Child:
    """A running `python -m bench.played.MODULE ARGUMENT…`. Left as a context, it has ended."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._module = module
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"bench.played.{module}", *arguments],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            bufsize=1,
            # A terminal's Ctrl-C is for the bench, which ends its children in order.
            start_new_session=True,
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True, name=f"reads {module}").start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, command: str, *, timeout_s: float = 90.0, **arguments: Any) -> Any:
        """The answer to `command`; raises `ChildFailed` if none comes within `timeout_s`."""
        self.tell(command, **arguments)
        return self.answer(timeout_s=timeout_s)

    def tell(self, command: str, **arguments: Any) -> None:
        """Send `command` and go on; `answer()` waits for it. One may be under way at a time."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then the answer says what happened
            self._process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")

    def answer(self, *, timeout_s: float = 60.0) -> Any:
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            raise self._failed(f"does not answer within {timeout_s:g} s") from None
        if line is None:
            raise self._failed("has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise self._failed(answer["error"])
        return answer["value"]

    def close(self) -> None:
        """Ask it to end, and kill it if it does not."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)

    def _failed(self, what: str) -> ChildFailed:
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - _LOG_TAIL_BYTES))
        written = self._log.read().decode(errors="replace").strip()
        return ChildFailed(f"{self._module} {what}\n{written}".rstrip())
