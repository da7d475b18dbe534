"""Runs programs for an attempt at an operation, or for a duty: `RunsPrograms` (`kind.py`)."""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from opentelemetry.trace import Tracer

from dbopsd.operations.children import Children
from dbopsd.operations.kind import Completed, Program


class ProgramRunner:
    """The programs of one piece of work. `mark` tells them from those of any other."""

    def __init__(self, mark: str, *, tracer: Tracer) -> None:
        self._children = Children(mark, tracer=tracer)

    async def child(
        self,
        *command: str,
        stdin: bytes | None = None,
        environment: Mapping[str, str] | None = None,
        summary: str = "",
    ) -> Completed:
        """Run a program to its end, in a process group that ends with the work."""
        return await self._children.run(
            *command, stdin=stdin, environment=environment, summary=summary
        )

    def program(
        self,
        *command: str,
        environment: Mapping[str, str] | None = None,
        stdout: int = asyncio.subprocess.PIPE,
        summary: str = "",
    ) -> AbstractAsyncContextManager[Program]:
        """A program with a pipe to its standard input, for the time of the context."""
        return self._children.open(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=stdout,
            environment=environment,
            summary=summary,
        )

    async def close(self) -> None:
        """End every program that is left."""
        await self._children.close()
