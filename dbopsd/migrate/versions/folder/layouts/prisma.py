"""Prisma: `DIRECTORY/migration.sql`, beside `migration_lock.toml`.

As its `migrate deploy` reads them: directories apply in the order of their names as text, and each
must have the file. A file is one message, so a lone statement is in no transaction.
"""

from functools import partial
from typing import Final

from dbopsd.migrate.versions.folder.layout import Fit, FolderReader, Layout, Order, Version
from dbopsd.migrate.versions.folder.tree import Tree
from dbopsd.migrate.versions.model.migration_file import MigrationFile

_FILE: Final = "migration.sql"
_LOCK: Final = "migration_lock.toml"
_LOOKED_AT: Final = 10
"""How many directories are looked at to recognise the layout."""
# Drizzle has it beside the same file from 1.0 on.
_OTHERS: Final = "snapshot.json"


def _fit(tree: Tree) -> Fit:
    if _LOCK in tree.listing().files:
        return Fit.BY_MARK
    directories = tree.listing().directories[:_LOOKED_AT]
    has_file = any(tree.exists(f"{name}/{_FILE}") for name in directories)
    has_other = any(tree.exists(f"{name}/{_OTHERS}") for name in directories)
    return Fit.BY_MARK if has_file and not has_other else Fit.NO


def _read(reader: FolderReader) -> list[MigrationFile]:
    for name in reader.tree.listing().files:
        reader.leave_out(name, "it is not in a directory of its own")
    versions: list[Version] = []
    for name in reader.tree.listing().directories:
        path = f"{name}/{_FILE}"
        if reader.tree.exists(path):
            reader.tree.read(path)  # while its directory is open
            versions.append(Version(name, (0, name), name.partition("_")[2], path))
        else:
            message = f"the directory '{name}' has no {_FILE}"
            reader.problems.add("FILE_MISSING", message, path, version=name)
    part = partial(reader.part, refusals_outside=True, lone_refusals_only=True)
    return reader.pairs(versions, [], part)


def _order(version: str) -> Order | None:
    return (0, version) if version else None


LAYOUT: Final = Layout("prisma", _fit, _read, _order)
