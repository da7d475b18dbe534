"""Versions as people and ledgers have them, by the rules of their layout: `3` is `003`."""

from dbopsd.migrate.versions.folder.read_folder import version_order
from dbopsd.migrate.versions.model.migration_file import Folder, MigrationFile


def find_version(folder: Folder, version: str) -> MigrationFile | None:
    """The versioned migration that is meant; None: the folder has none."""
    order = version_order(folder.layout, version)
    return next((file for file in folder.migrations if file.order == order), None)
