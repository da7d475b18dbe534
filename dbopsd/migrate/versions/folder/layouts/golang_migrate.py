"""golang-migrate: `N_name.up.sql` and `N_name.down.sql`.

As its source/parse.go reads names: any digits that fit 64 bits; a name may be empty; directories
are left out. A file is one message, so the server wraps several statements in a transaction, and
a lone one in none.
"""

import re
from functools import partial
from typing import Final

from dbopsd.migrate.versions.folder.layout import (
    Fit,
    FolderReader,
    Layout,
    Order,
    Version,
    is_sql,
)
from dbopsd.migrate.versions.folder.tree import Tree
from dbopsd.migrate.versions.model.migration_file import MigrationFile

_NAME: Final = re.compile(r"([0-9]+)_(.*)\.(down|up)\.(.+)")
_MOST_VERSION: Final = 2**64 - 1


def _fit(tree: Tree) -> Fit:
    fits = (name.endswith(".sql") and _NAME.fullmatch(name) for name in tree.listing().files)
    return Fit.BY_NAMES if any(fits) else Fit.NO


def _read(reader: FolderReader) -> list[MigrationFile]:
    versions: dict[str, list[Version]] = {"up": [], "down": []}
    for name in reader.flat_files():
        match = _NAME.fullmatch(name)
        if not match:
            reader.leave_out(name, "its name is neither N_name.up.sql nor N_name.down.sql")
        elif match[4] != "sql" and not is_sql(name):
            reader.refuse_code(name)
        elif match[4] != "sql":
            # Its tool runs it, whatever the suffix is.
            reader.problems.add("BAD_NAME", "name it .sql, in small letters", name)
        elif order := _order(match[1]):
            versions[match[3]].append(Version(match[1], order, match[2], name))
        else:
            message = f"its version is larger than {_MOST_VERSION}"
            reader.problems.add("BAD_NAME", message, name)
    part = partial(reader.part, refusals_outside=True, lone_refusals_only=True)
    return reader.pairs(versions["up"], versions["down"], part)


def _order(version: str) -> Order | None:
    fits = re.fullmatch(r"[0-9]{1,255}", version) and int(version) <= _MOST_VERSION
    return (0, int(version)) if fits else None


LAYOUT: Final = Layout("golang-migrate", _fit, _read, _order)
