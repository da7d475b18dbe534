"""golang-migrate: `N_name.up.sql` and `N_name.down.sql`.

As its source/parse.go reads names: any digits that fit 64 bits; a name may be empty. Files are sent
whole, so the server wraps several statements in one transaction, and a lone one in none.
"""

import re
from functools import partial
from typing import Final

from dbopsd.migrate.versions.folder.layout import Fit, FolderReader, Layout, Order, Version
from dbopsd.migrate.versions.folder.tree import Tree
from dbopsd.migrate.versions.model.migration_file import MigrationFile

_NAME: Final = re.compile(r"([0-9]+)_(.*)\.(down|up)\.sql")
_MOST_VERSION: Final = 2**64 - 1


def _fit(tree: Tree) -> Fit:
    return Fit.BY_NAMES if any(map(_NAME.fullmatch, tree.listing().files)) else Fit.NO


def _read(reader: FolderReader) -> list[MigrationFile]:
    versions: dict[str, list[Version]] = {"up": [], "down": []}
    for name in reader.tree.listing().files:
        match = _NAME.fullmatch(name)
        order = _order(match[1]) if match else None
        if match and order:
            versions[match[3]].append(Version(match[1], order, match[2], name))
        elif match:
            message = f"its version is larger than {_MOST_VERSION}"
            reader.problems.add("BAD_NAME", message, name)
        elif name.endswith(".sql"):
            message = "its name is neither N_name.up.sql nor N_name.down.sql: it is left out"
            reader.problems.add("FILE_IGNORED", message, name, blocking=False)
    return reader.pairs(versions["up"], versions["down"], partial(reader.part, lone_outside=True))


def _order(version: str) -> Order | None:
    fits = re.fullmatch(r"[0-9]{1,255}", version) and int(version) <= _MOST_VERSION
    return (0, int(version)) if fits else None


LAYOUT: Final = Layout("golang-migrate", _fit, _read, _order)
