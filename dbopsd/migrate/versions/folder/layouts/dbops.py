"""dbopsd's own layout: `NNN_name.sql`, `NNN_name_rollback.sql` and the repeatable `R_name.sql`."""

import re
from typing import Final

from dbopsd.migrate.versions.folder.layout import Fit, FolderReader, Layout, Order, Version
from dbopsd.migrate.versions.folder.tree import Tree
from dbopsd.migrate.versions.model.migration_file import MigrationFile

_VERSIONED: Final = re.compile(r"([0-9]+)_(.+?)(_rollback)?\.sql")
_REPEATABLE: Final = re.compile(r"R_(?!_)(.+)\.sql")
# golang-migrate and sqlx have these, and read them otherwise.
_OTHERS: Final = re.compile(r".+\.(?:up|down)\.sql")


def _version(name: str) -> tuple[Version, bool] | None:
    """What a file's name says, and whether it is a rollback."""
    if _OTHERS.fullmatch(name):
        return None
    if match := _VERSIONED.fullmatch(name):
        return Version(match[1], (0, int(match[1])), match[2], name), bool(match[3])
    if match := _REPEATABLE.fullmatch(name):
        title = match[1].removesuffix("_rollback")
        return Version("", (1, title), title, name), title != match[1]
    return None


def _fit(tree: Tree) -> Fit:
    return Fit.BY_NAMES if any(map(_version, tree.listing().files)) else Fit.NO


def _read(reader: FolderReader) -> list[MigrationFile]:
    ups: list[Version] = []
    downs: list[Version] = []
    for name in reader.tree.listing().files:
        found = _version(name)
        if found is not None:
            version, is_rollback = found
            (downs if is_rollback else ups).append(version)
        elif name.endswith(".sql"):
            message = "its name is none of NNN_name.sql, NNN_name_rollback.sql and R_name.sql"
            reader.problems.add("BAD_NAME", message, name)
    for down in [down for down in downs if not down.version]:
        message = "a repeatable migration is never rolled back: remove this file"
        reader.problems.add("ROLLBACK_OF_REPEATABLE", message, down.path)
        downs.remove(down)
    return reader.pairs(ups, downs, reader.part)


def _order(version: str) -> Order | None:
    return (0, int(version)) if re.fullmatch(r"[0-9]{1,255}", version) else None


LAYOUT: Final = Layout("dbops", _fit, _read, _order)
