"""The task that writes the values that did not arrive to a file."""

from contextlib import aclosing
from pathlib import Path
from typing import Final

from dbopsd.migrate.importer.processes.context import Context
from dbopsd.migrate.importer.processes.tasks import RejectsWritten, WriteRejects
from dbopsd.migrate.importer.rejects_file import new_rejects_file
from dbopsd.migrate.importer.target import records

# What is held in memory at once: so many values, or fewer where they are large.
_MOST_VALUES: Final = 1000
_MOST_BYTES: Final = 32 * 2**20
_TOLD_AT_ONCE: Final = 1000


async def write_rejects(task: WriteRejects, context: Context) -> RejectsWritten:
    """Write them from their table, which has those of each part that is copied.

    Raises `RejectsUnwritable`.
    """
    told = 0
    session = await context.session()
    # Counted and read as of one moment.
    async with session.transaction(isolation="REPEATABLE READ", read_only=True):
        values, largest = await records.measure_rejects(session, task.import_id)
        at_once = min(max(_MOST_BYTES // max(largest, 1), 1), _MOST_VALUES)
        with new_rejects_file(Path(task.path)) as file:
            async with aclosing(records.rejects(session, task.import_id, at_once)) as found:
                async for each in found:
                    file.add(*each)
                    told += 1
                    if told % _TOLD_AT_ONCE == 0:
                        context.progress(_TOLD_AT_ONCE)
            context.progress(told % _TOLD_AT_ONCE)
            size = file.finish(values)
    return RejectsWritten(values, size)
