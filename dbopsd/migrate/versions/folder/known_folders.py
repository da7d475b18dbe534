"""Folders that are understood anew only when one of their files has changed, for frequent looks."""

from typing import TYPE_CHECKING, Final

from dbopsd.config.migrations import DatabaseMigrationsConfig, MigrationSetConfig
from dbopsd.migrate.versions.folder.read_folder import open_tree, read_tree
from dbopsd.migrate.versions.model.migration_file import Folder

if TYPE_CHECKING:
    from dbopsd.migrate.versions.folder.tree import Seen

_MOST_BYTES: Final = 16 * 2**20
"""How large the files of a folder may be together that is kept."""


class KnownFolders:
    """The last folder of each set. Its files are read each time, and compared with those of then.

    May be used by several threads.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[Seen, Folder]] = {}

    def read(
        self, database: str, directory: MigrationSetConfig, config: DatabaseMigrationsConfig
    ) -> Folder:
        """What `read_folder` reads. A set of a database always has the same configuration."""
        key = (database, directory.set)
        if known := self._known.get(key):
            seen, folder = known
            with open_tree(directory) as tree:
                if tree.is_like(seen):
                    return folder
        # From the start: what was looked at to compare may be no matter of the folder any more.
        with open_tree(directory) as tree:
            folder = read_tree(tree, config)
        if tree.size_bytes <= _MOST_BYTES:
            self._known[key] = tree.seen, folder
        return folder
