"""Tasks that look at the file: the snapshot, and what is in a table."""

from contextlib import closing
from pathlib import Path

from dbopsd.migrate.importer.processes.context import Context
from dbopsd.migrate.importer.processes.tasks import ProfileTable, SnapshotTaken, TakeSnapshot
from dbopsd.migrate.importer.source.contents import TableProfile
from dbopsd.migrate.importer.source.profile import profile_table
from dbopsd.migrate.importer.source.snapshot import take_snapshot
from dbopsd.migrate.importer.source.snapshot_check import open_immutable


async def take(task: TakeSnapshot, context: Context) -> SnapshotTaken:
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


async def profile(task: ProfileTable, context: Context) -> TableProfile:
    """Look at what is in a table, or in a range of it."""
    with closing(open_immutable(Path(task.snapshot))) as connection:
        found = profile_table(connection, task.table, rowid_range=task.key_range)
    context.progress(found.rows)
    return found
