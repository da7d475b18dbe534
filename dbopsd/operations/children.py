"""The programs that an attempt at an operation runs, none of which outlives it.

Each runs under a process of its own, its guardian (`child_process_guard.py`), which ends it with
all that it started when this process dies, however that happens, or lets go of it.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, use_span

from dbopsd.operations.errors import ChildNotStarted, ChildOutputTooLarge
from dbopsd.operations.kind import Completed
from dbopsd.operations.orphan_processes import CHILD_VARIABLE, OPERATION_VARIABLE, sweep_child
from dbopsd.telemetry import names

_GUARDIAN: Final = str(Path(__file__).with_name("child_process_guard.py"))

# Nothing of our own environment reaches the programs: PGOPTIONS or a locale of the caller's would
# change what they do.
_ENVIRONMENT: Final = {
    "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
    "TZ": "UTC",
}
_STDOUT_LIMIT_BYTES = 64 * 2**20
_STDERR_KEPT_BYTES = 64 * 2**10
_CHUNK_BYTES = 64 * 2**10
_GRACE_S = 1.0
_SWEEP_AGAIN_S = 0.2

T = TypeVar("T")


class Children:
    """The programs of one attempt at `operation`.

    A program that is ended has `grace_s` seconds from SIGTERM to SIGKILL. Each has a span, "exec
    {summary}", that its own spans may continue from TRACEPARENT; arguments and output reach no
    span. The kernel ties a program's life to the *thread* that starts it, too: use this from an
    event loop whose thread lives as long as the attempt.
    """

    def __init__(
        self,
        operation: str,
        *,
        tracer: Tracer,
        grace_s: float = _GRACE_S,
        stdout_limit_bytes: int = _STDOUT_LIMIT_BYTES,
    ) -> None:
        self.operation = operation
        self._tracer = tracer
        self._grace_s = grace_s
        self._stdout_limit_bytes = stdout_limit_bytes
        self._starting: set[asyncio.Task[Child]] = set()
        self._closed = False

    async def run(
        self,
        *command: str,
        stdin: bytes | None = None,
        environment: Mapping[str, str] | None = None,
        summary: str = "",
    ) -> Completed:
        """Run a program to its end, with `stdin` on its standard input.

        All of its standard output is kept, and the last 64 KiB of its standard error. Raises
        `ChildNotStarted`, and `ChildOutputTooLarge` past the limit. Whatever this raises,
        `CancelledError` too, the program and all that it started has ended by then.
        """
        async with self.open(
            *command,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
            environment=environment,
            summary=summary,
        ) as child:
            feeding = asyncio.create_task(_feed(child.stdin, stdin or b""))
            try:
                stdout = await _read_all(child.stdout, self._stdout_limit_bytes, command[0])
                status = await child.wait()
            finally:
                # A program may well end before it has read everything.
                feeding.cancel()
                await asyncio.wait({feeding})
            return Completed(exit_status=status, stdout=stdout, stderr=child.stderr)

    @asynccontextmanager
    async def open(
        self,
        *command: str,
        stdin: int = asyncio.subprocess.DEVNULL,
        stdout: int = asyncio.subprocess.PIPE,
        environment: Mapping[str, str] | None = None,
        summary: str = "",
    ) -> AsyncIterator["Child"]:
        """A program that runs for the time of the context at most, with streams to it.

        `stdin` and `stdout` are PIPE, DEVNULL or a file descriptor. At the context's end the
        program is ended, if it has not ended by itself, and what it had yet to say is lost:
        `await child.wait()` first. Raises `ChildNotStarted`.
        """
        if self._closed:
            raise ChildNotStarted(command[0], "the attempt that it is for has ended")
        program = Path(command[0]).name
        span = self._tracer.start_span(
            f"exec {summary or program}",
            kind=SpanKind.INTERNAL,
            attributes={names.PROCESS_EXECUTABLE_NAME: program},
        )
        mark = uuid.uuid4().hex
        complete = {
            **_ENVIRONMENT,
            **(environment or {}),
            **_traceparent(span),
            OPERATION_VARIABLE: self.operation,
            CHILD_VARIABLE: mark,
        }
        starting = asyncio.create_task(
            _start(command, self.operation, mark, complete, self._grace_s, stdin, stdout)
        )
        self._starting.add(starting)
        ended_by = ""
        try:
            # The caller's span records errors of the body.
            with use_span(span, record_exception=False, set_status_on_exception=False):
                # Whole or not at all: a start that is cancelled halfway would leave a process.
                child = await asyncio.shield(starting)
                span.set_attribute(names.PROCESS_PID, child.pid)
                yield child
        except BaseException as error:
            ended_by = type(error).__qualname__
            raise
        finally:
            try:
                await _even_if_cancelled(_end(starting))
            finally:
                self._starting.discard(starting)
                _tell(span, starting, ended_by)
                span.end()

    async def close(self) -> None:
        """End every program and whatever it started, and return once all have ended."""
        self._closed = True
        await _even_if_cancelled(asyncio.gather(*map(_end, tuple(self._starting))))


@dataclass
class Child:
    """A program that runs. `stdin` and `stdout` are there if they are pipes."""

    pid: int
    """Of the program itself."""
    stdin: asyncio.StreamWriter | None
    _output: "_Output | None"
    _guardian: asyncio.subprocess.Process
    _control: "_Control"
    _operation: str
    _mark: str
    _errors: bytearray = field(default_factory=bytearray)
    exit_status: int | None = field(default=None, init=False)
    """None until it is known that it has ended, by `wait()` or the end of the context."""

    def __post_init__(self) -> None:
        self._ending = asyncio.create_task(self._ended())
        self._reading = asyncio.create_task(_keep_last(self._guardian.stderr, self._errors))

    @property
    def stdout(self) -> asyncio.StreamReader | None:
        """What it writes to standard output; at its end once the program was ended."""
        return None if self._output is None else self._output.reader

    @property
    def stderr(self) -> bytes:
        """The last 64 KiB of what it wrote to standard error."""
        return bytes(self._errors[-_STDERR_KEPT_BYTES:])

    async def wait(self) -> int:
        """Its exit status (negative: the signal), once it has ended with all that it started.

        Read `stdout` to its end first, or beside: a program that cannot write does not end.
        """
        status = await asyncio.shield(self._ending)
        await asyncio.shield(self._reading)
        return status

    async def end(self) -> None:
        """End it, if it still runs, with all that it started, and let go of every pipe."""
        self._control.let_go()
        if self.stdin is not None:
            self.stdin.close()
        await self._ending
        if self._output is not None:
            self._output.let_go()
        await self._reading
        await self._guardian.wait()
        await self._control.close()
        if self.stdin is not None:
            with contextlib.suppress(ConnectionError):
                await self.stdin.wait_closed()

    async def _ended(self) -> int:
        said, text = await self._control.next_line()
        if said == "ended":
            self.exit_status = int(text)
        else:
            # The guardian was killed. The program goes by the signal that its parent's death is;
            # what it started has nobody now but us.
            await _sweep(self._operation, self._mark, self._guardian.pid, until=self._reading)
            self.exit_status = -signal.SIGKILL
        return self.exit_status


@dataclass
class _Control:
    """Our end of the socket that the guardian lives by."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def next_line(self) -> tuple[str, str]:
        """What the guardian says next, and its argument; two empty strings if it was killed."""
        line = b""
        with contextlib.suppress(ConnectionError):
            line = await self.reader.readline()
        said, _, text = line.decode().strip().partition(" ")
        return said, text

    def let_go(self) -> None:
        """Have the guardian end everything. It still has its last word."""
        with contextlib.suppress(OSError):
            self.writer.write_eof()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@dataclass
class _Output:
    """Our end of a pipe that the program writes to.

    Unlike the one that asyncio makes for a process, it can be let go of while somebody reads it,
    and with something left in it.
    """

    reader: asyncio.StreamReader
    transport: asyncio.ReadTransport

    @classmethod
    async def open(cls) -> tuple["_Output", int]:
        """The pipe, and the descriptor to write to it with."""
        loop = asyncio.get_running_loop()
        ours, theirs = os.pipe()
        reader = asyncio.StreamReader(limit=_CHUNK_BYTES, loop=loop)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader, loop=loop), os.fdopen(ours, "rb", 0)
        )
        return cls(reader, transport), theirs

    def let_go(self) -> None:
        """Close it. Its reader then sees the end of the file."""
        self.transport.close()


async def _start(
    command: tuple[str, ...],
    operation: str,
    mark: str,
    environment: Mapping[str, str],
    grace_s: float,
    stdin: int,
    stdout: int,
) -> Child:
    """Start a program under a guardian. Not to be cancelled: see `open`."""
    ours, theirs = socket.socketpair()
    control = _Control(*await asyncio.open_unix_connection(sock=ours))
    output: _Output | None = None
    with theirs, contextlib.ExitStack() as descriptors:
        if stdout == asyncio.subprocess.PIPE:
            output, stdout = await _Output.open()
            descriptors.callback(os.close, stdout)
        try:
            guardian = await asyncio.create_subprocess_exec(
                # -I and -S: nobody's site packages or PYTHON… variables run here.
                *(sys.executable, "-I", "-S", _GUARDIAN),
                *(str(theirs.fileno()), str(grace_s), *command),
                # Whatever the worker's own is, it is not held by a program.
                cwd="/",
                env=environment,
                stdin=stdin,
                stdout=stdout,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            if output is not None:
                output.let_go()
            await control.close()
            # The text may name the guardian, and a ValueError's is about a NUL in an argument.
            cause = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else ""
            raise ChildNotStarted(command[0], cause or "an argument holds a NUL") from error
    said, text = await control.next_line()
    if said == "started":
        return Child(int(text), guardian.stdin, output, guardian, control, operation, mark)
    if said != "failed":
        # It was killed, maybe with the program begun and not yet told of: see `Child._ended`.
        silence = asyncio.ensure_future(guardian.communicate())
        await _sweep(operation, mark, guardian.pid, until=silence)
    if guardian.stdin is not None:
        guardian.stdin.close()
    if output is not None:
        output.let_go()
    if said == "failed":
        await guardian.communicate()
    await control.close()
    if said == "failed":
        raise ChildNotStarted(command[0], _why(command[0], int(text), environment["PATH"]))
    raise ChildNotStarted(command[0], f"its guardian ended with {guardian.returncode}")


async def _sweep(operation: str, mark: str, guardian: int, *, until: "asyncio.Future[Any]") -> None:
    """Kill what a killed guardian looked after, `until` nobody holds its standard error any more.

    Again and again: a process in the middle of an exec has no environment to be known by.
    """
    while not until.done():
        await sweep_child(operation, mark, guardian)
        await asyncio.wait({until}, timeout=_SWEEP_AGAIN_S)


def _why(program: str, number: int, path: str) -> str:
    where = "" if "/" in program else f" in {path}"
    return f"{os.strerror(number)}{where}"


async def _end(starting: "asyncio.Task[Child]") -> None:
    """End a child, be it only starting."""
    try:
        child = await starting
    except ChildNotStarted:
        return
    await child.end()


async def _even_if_cancelled(work: Awaitable[T]) -> T:
    """Await `work` to its end, and only then be cancelled, if that was asked for meanwhile."""
    future = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return future.result()


async def _feed(stdin: asyncio.StreamWriter | None, content: bytes) -> None:
    if stdin is None:
        return
    with contextlib.suppress(ConnectionError):  # it has ended, or closed its standard input
        stdin.write(content)
        await stdin.drain()
        stdin.close()
        await stdin.wait_closed()


async def _read_all(stdout: asyncio.StreamReader | None, limit_bytes: int, program: str) -> bytes:
    content = bytearray()
    while stdout is not None and (chunk := await stdout.read(_CHUNK_BYTES)):
        content += chunk
        if len(content) > limit_bytes:
            raise ChildOutputTooLarge(program, limit_bytes)
    return bytes(content)


async def _keep_last(stderr: asyncio.StreamReader | None, kept: bytearray) -> None:
    while stderr is not None and (chunk := await stderr.read(_CHUNK_BYTES)):
        kept += chunk
        # Not down to the limit: cutting costs, and comes once in a while this way.
        if len(kept) > 4 * _STDERR_KEPT_BYTES:
            del kept[:-_STDERR_KEPT_BYTES]


def _traceparent(span: Span) -> dict[str, str]:
    """https://www.w3.org/TR/trace-context/#traceparent-header, as an environment variable."""
    context = span.get_span_context()
    if not context.is_valid:
        return {}
    ids = f"{context.trace_id:032x}-{context.span_id:016x}"
    return {"TRACEPARENT": f"00-{ids}-{context.trace_flags:02x}"}


def _tell(span: Span, starting: "asyncio.Task[Child]", ended_by: str) -> None:
    """Put the program's end on its span; `ended_by` is the error that ended it, if one did."""
    if not starting.cancelled() and starting.exception() is None:
        status = starting.result().exit_status
        if status is not None:
            span.set_attribute(names.PROCESS_EXIT_CODE, status)
            ended_by = ended_by or (f"exit {status}" if status else "")
    if ended_by:
        span.set_attribute(names.ERROR_TYPE, ended_by)
        span.set_status(Status(StatusCode.ERROR, ended_by))
