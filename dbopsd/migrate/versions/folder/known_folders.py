"""Folders that are understood anew only when one of their files has changed, for frequent looks."""

import asyncio
from typing import TYPE_CHECKING, Final

from dbopsd.config.migrations import DatabaseMigrationsConfig, MigrationSetConfig
from dbopsd.migrate.versions.folder.large_folders import read_apart
from dbopsd.migrate.versions.folder.read_folder import open_tree
from dbopsd.migrate.versions.model.migration_file import Folder
from dbopsd.operations.kind import RunsPrograms

if TYPE_CHECKING:
    from dbopsd.migrate.versions.folder.tree import Seen

_MOST_BYTES: Final = 16 * 2**20
"""How large the files of a folder may be together that is kept."""


class KnownFolders:
    """The last folder of each set. Its files are read each time, and compared with those of then.

    `programs` runs what reads large ones.
    """

    def __init__(self, programs: RunsPrograms) -> None:
        self._programs = programs
        self._known: dict[tuple[str, str], tuple[Seen, Folder]] = {}

    async def read(
        self, database: str, directory: MigrationSetConfig, config: DatabaseMigrationsConfig
    ) -> Folder:
        """What `read_folder` reads. A set of a database always has the same configuration."""
        key = (database, directory.set)
        if known := self._known.get(key):
            seen, folder = known
            if await asyncio.to_thread(_is_like, directory, seen):
                return folder
        # From the start: what was looked at to compare may be no matter of the folder any more.
        reading = await read_apart(self._programs, directory, config)
        if reading.size_bytes <= _MOST_BYTES:
            self._known[key] = reading.seen, reading.folder
        return reading.folder


def _is_like(directory: MigrationSetConfig, seen: "Seen") -> bool:
    with open_tree(directory) as tree:
        return tree.is_like(seen)
