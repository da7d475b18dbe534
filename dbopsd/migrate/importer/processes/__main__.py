"""A process of an import: reads tasks from standard input and answers on standard output."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from typing import Any, Final

from opentelemetry.metrics import NoOpMeter

from dbopsd.db.errors import DatabaseError
from dbopsd.errors import DbopsError
from dbopsd.migrate.importer.processes import (
    compare,
    copy,
    digest,
    look,
    missing,
    rejects,
    tasks,
)
from dbopsd.migrate.importer.processes.context import Context
from dbopsd.migrate.importer.processes.messages import Setup, decode, encode, line
from dbopsd.telemetry.span_relay import RelayTracer

_WORK: Final[dict[str, tuple[type[Any], Callable[..., Any]]]] = {
    "TakeSnapshot": (tasks.TakeSnapshot, look.take),
    "ProfileTable": (tasks.ProfileTable, look.profile),
    "CopyPart": (tasks.CopyPart, copy.copy_part),
    "WriteRejects": (tasks.WriteRejects, rejects.write_rejects),
    "DigestSource": (tasks.DigestSource, digest.digest_source),
    "DigestTarget": (tasks.DigestTarget, digest.digest_target),
    "FindDifferences": (tasks.FindDifferences, compare.find_differences),
    "FindMissing": (tasks.FindMissing, missing.find_missing),
}


_NICENESS: Final = 5
"""Whoever answers callers on this machine comes first."""


async def main() -> None:
    """Do task after task until standard input ends."""
    os.nice(_NICENESS)

    def tell(message: object) -> None:
        sys.stdout.buffer.write(line(message))
        sys.stdout.buffer.flush()

    setup = decode(Setup, json.loads(sys.stdin.buffer.readline()))
    context = Context(
        setup,
        tracer=RelayTracer(lambda told: tell({"span": told})),
        meter=NoOpMeter("dbopsd"),
        progress=lambda units: tell({"progress": units}),
    )
    async with context:
        # Nothing else runs here: to wait for a line may as well block.
        while text := sys.stdin.buffer.readline():
            message = json.loads(text)
            kind, work = _WORK[message["task"]]
            try:
                answer = await work(decode(kind, message["with"]), context)
            except DbopsError as error:
                transient = isinstance(error, DatabaseError) and error.transient
                await context.forget_session()
                failure = {
                    "cause": error.reason,
                    "status": error.code.name,
                    "text": error.message,
                    "transient": transient,
                }
                tell({"failed": failure})
            else:
                tell({"done": encode(type(answer), answer)})


if __name__ == "__main__":
    asyncio.run(main())
