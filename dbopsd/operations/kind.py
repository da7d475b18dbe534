"""The declaration of a kind of operation."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from opentelemetry.trace import Tracer

if TYPE_CHECKING:  # a child process knows kinds' requests, and starts with little
    from dbopsd.db.database import Database

RequestT = TypeVar("RequestT", bound="Request")
ResultT = TypeVar("ResultT")
StepT = TypeVar("StepT")


@dataclass(frozen=True)
class Request:
    """What is asked of an operation: the base of every kind's request."""

    def check(self) -> None:
        """Raise `InvalidField`, or another `DbopsError`, for values that cannot be.

        What the values alone tell, without looking at a file or a database. A call and a schedule
        both go through it before anything starts. A field is named by its attribute.
        """


@dataclass(frozen=True, slots=True)
class Completed:
    """What a child process left: its exit status (negative: the signal) and its output."""

    exit_status: int
    stdout: bytes
    stderr: bytes


class Program(Protocol):
    """A program that runs beside the attempt. `stdin` and `stdout` are there if they are pipes."""

    pid: int
    stdin: asyncio.StreamWriter | None

    @property
    def stdout(self) -> asyncio.StreamReader | None:
        """What it writes to standard output."""

    @property
    def stderr(self) -> bytes:
        """The last 64 KiB of what it wrote to standard error."""

    async def wait(self) -> int:
        """Its exit status (negative: the signal), once it has ended with all that it started."""


class RunsPrograms(Protocol):
    """What runs programs for some work: none of them outlives it."""

    async def child(
        self,
        *command: str,
        stdin: bytes | None = None,
        environment: Mapping[str, str] | None = None,
        summary: str = "",
    ) -> Completed:
        """Run a program to its end, in a process group that ends with the work.

        `environment` is all that it gets besides PATH, LC_ALL, TZ and TRACEPARENT. Its span is
        named by `summary` (default: the program's name); arguments do not reach spans or logs.
        Raises `ChildNotStarted`; an exit status other than 0 is the caller's to judge.
        """

    def program(
        self,
        *command: str,
        environment: Mapping[str, str] | None = None,
        stdout: int = asyncio.subprocess.PIPE,
        summary: str = "",
    ) -> AbstractAsyncContextManager[Program]:
        """A program with a pipe to its standard input, for the time of the context.

        `stdout` is PIPE, DEVNULL, or a file descriptor for those who read much: it stays open here.
        At the context's end it is ended, if it has not ended by itself. Otherwise as `child`.
        """


class Run(RunsPrograms, Protocol):
    """What an operation may use while it runs: one attempt at it."""

    @property
    def operation(self) -> str:
        """The operation's id."""

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""

    @property
    def requester(self) -> str:
        """Who asked for it."""

    @property
    def database(self) -> "Database":
        """The database that it works on."""

    @property
    def tracer(self) -> Tracer:
        """Makes spans that belong to the operation's trace."""

    @property
    def scratch(self) -> Path:
        """A directory of this operation's own on this machine, removed at the operation's end."""

    @property
    def state_dir(self) -> Path:
        """The worker's state directory on this machine, for files that outlive the operation.

        In a directory of the kind's own there; nobody else removes them.
        """

    async def step(
        self, name: str, work: Callable[[], Awaitable[StepT]], *, returns: type[StepT]
    ) -> StepT:
        """Do `work` once: an attempt that comes after it finds its result recorded.

        Steps come in the same order, with the same names, in every attempt. `returns` is what
        pydantic can write as JSON and read back. A process that dies within `work` does it again.
        """

    def locks_of(
        self, kind: "Kind[Any, Any]", *, wait_s: float
    ) -> AbstractAsyncContextManager[None]:
        """The locks of another kind, whose work is part of this one's, for the time of the context.

        Waits for them for `wait_s` seconds, and then raises `OperationInTheWay`. Where the context
        fails they are held to the operation's end, or until another attempt at it lets them go.
        """

    def progress(self, stage: str, done: int | None = None, total: int = 0, unit: str = "") -> None:
        """Say how far it has come. May be called as often as wanted: the newest is shown."""


async def _nothing_to_clean(_run: Run, _request: Any) -> None:
    """Leave everything as it is."""


@dataclass(frozen=True)
class Kind(Generic[RequestT, ResultT]):
    """A kind of operation. Request and result are dataclasses that pydantic writes as JSON.

    Their fields are those of the messages of the method that starts it (`dbopsd/rpc/codec.py`).
    """

    name: str
    """Of `a-z`, `0-9` and `-`, starting with a letter, at most 40: `create-backup`."""

    request_type: type[RequestT]
    result_type: type[ResultT]

    run: Callable[[Run, RequestT], Awaitable[ResultT]]
    """Does the work. It is cancelled (`asyncio.CancelledError`) when the operation is, when its
    deadline has passed, and when the worker stops or loses it; begun again after the latter two."""

    locks: frozenset[str] = frozenset()
    """Two operations on one database that share a lock never run side by side: the second is
    refused while the first is queued or running."""

    timeout_s: float | None = None
    """How long it may take from its request to its end, in seconds, unless the request says."""

    clean_up: Callable[[Run, RequestT], Awaitable[None]] = field(default=_nothing_to_clean)
    """Removes what `run` left, when it failed or was cancelled, before that is shown. Called again
    if it fails or its process dies. Must end within `operations.clean_up_timeout_s`."""
