"""A process of an import: reads tasks from standard input and answers on standard output."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from opentelemetry.metrics import NoOpMeter

from dbopsd.db.errors import DatabaseError
from dbopsd.errors import DbopsError
from dbopsd.migrate.importer.copy import copy_part, rejects_file
from dbopsd.migrate.importer.model.source_profile import TableProfile
from dbopsd.migrate.importer.processes import tasks
from dbopsd.migrate.importer.processes.context import Context
from dbopsd.migrate.importer.processes.messages import Setup, decode, encode, line
from dbopsd.migrate.importer.processes.tasks import ProfileTable, SnapshotTaken, TakeSnapshot
from dbopsd.migrate.importer.profile.profile_table import profile_table
from dbopsd.migrate.importer.snapshot.sqlite_copy import open_immutable
from dbopsd.migrate.importer.snapshot.take_snapshot import take_snapshot
from dbopsd.migrate.importer.verify import find_differences, find_missing, table_rows
from dbopsd.telemetry.span_relay import RelayTracer

_NICENESS: Final = 5
"""Whoever answers callers on this machine comes first."""


async def take_snapshot_task(task: TakeSnapshot, context: Context) -> SnapshotTaken:
    """Copy the file. Whoever wants that no more ends the process."""
    told = 0

    def progress(done: int, _total: int) -> None:
        nonlocal told
        context.progress(done - told)
        told = done

    snapshot = take_snapshot(
        Path(task.source),
        Path(task.directory),
        integrity=task.integrity,
        progress=progress,
        cancelled=lambda: False,
    )
    return SnapshotTaken(
        str(snapshot.path),
        snapshot.size_bytes,
        recovered=snapshot.recovered,
        unchecked=snapshot.unchecked,
    )


async def profile_table_task(task: ProfileTable, context: Context) -> TableProfile:
    """Look at what is in a table, or in a range of it."""
    with closing(open_immutable(Path(task.snapshot))) as connection:
        found = profile_table(connection, task.table, rowid_range=task.key_range)
    context.progress(found.rows)
    return found


_WORK: Final[dict[str, tuple[type[Any], Callable[..., Any]]]] = {
    "TakeSnapshot": (tasks.TakeSnapshot, take_snapshot_task),
    "ProfileTable": (tasks.ProfileTable, profile_table_task),
    "CopyPart": (tasks.CopyPart, copy_part.copy_part),
    "WriteRejects": (tasks.WriteRejects, rejects_file.write_rejects),
    "DigestSource": (tasks.DigestSource, table_rows.digest_source),
    "DigestTarget": (tasks.DigestTarget, table_rows.digest_target),
    "FindDifferences": (tasks.FindDifferences, find_differences.find_differences),
    "FindMissing": (tasks.FindMissing, find_missing.find_missing),
}


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
