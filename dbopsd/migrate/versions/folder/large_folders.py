"""Folders that are read in a process of their own, where they are large."""

import asyncio
import json
import os
import pickle
import sys
from typing import Any, Final

from dbopsd.config.migrations import DatabaseMigrationsConfig, MigrationSetConfig
from dbopsd.migrate.versions.folder.errors import FolderUnreadable, LayoutAmbiguous, LayoutUnknown
from dbopsd.migrate.versions.folder.exits import reason_of
from dbopsd.migrate.versions.folder.read_folder import Reading, read_whole
from dbopsd.migrate.versions.folder.tree import TreeTooLarge
from dbopsd.migrate.versions.model.migration_file import Folder
from dbopsd.operations.kind import RunsPrograms

_MODULE: Final = f"{__package__}.reading_process"
_SMALL_BYTES: Final = 2**20
"""What files may have in all that are read here: some tenths of a second in a thread."""
_ERRORS: Final = {
    each.__name__: each for each in (FolderUnreadable, LayoutAmbiguous, LayoutUnknown)
}


async def read_any_folder(
    programs: RunsPrograms, directory: MigrationSetConfig, config: DatabaseMigrationsConfig
) -> Folder:
    """What `read_folder` reads, without holding anybody up. Raises what it does."""
    return (await read_apart(programs, directory, config)).folder


async def read_apart(
    programs: RunsPrograms, directory: MigrationSetConfig, config: DatabaseMigrationsConfig
) -> Reading:
    """Read a folder in a thread, and one that is large in a process.

    A single step of a regular expression over a large text stops all threads for its time. Raises
    what `read_folder` does.
    """
    try:
        return await asyncio.to_thread(read_whole, directory, config, most_bytes=_SMALL_BYTES)
    except TreeTooLarge:
        return await _read_there(programs, directory, config)


async def _read_there(
    programs: RunsPrograms, directory: MigrationSetConfig, config: DatabaseMigrationsConfig
) -> Reading:
    request = {
        "set": directory.set,
        "dir": str(directory.dir),
        "config": config.model_dump(mode="json", by_alias=True),
    }
    answer = os.memfd_create("folder")
    try:
        command = (sys.executable, "-I", "-m", _MODULE)
        async with programs.program(*command, stdout=answer, summary="read migrations") as program:
            if program.stdin is not None:
                program.stdin.write(json.dumps(request).encode() + b"\n")
                program.stdin.close()
            status = await program.wait()
        if status:
            raise FolderUnreadable(directory.set, str(directory.dir), reason_of(status))
        return await asyncio.to_thread(_answered, answer)
    finally:
        os.close(answer)


def _answered(descriptor: int) -> Reading:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        answer: Any = pickle.load(file)  # noqa: S301 - of our own process, which runs nothing
    if isinstance(answer, Reading):
        return answer
    kind, fields = answer
    raise _ERRORS[kind](**fields)
