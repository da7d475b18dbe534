"""sqlx, and Supabase's command: `N_name.sql`, or `N_name.up.sql` and `N_name.down.sql`.

As sqlx-core/src/migrate/source.rs reads names: a number that fits 64 bits with a sign, up to the
first underscore; directories are left out. A file that begins with `-- no-transaction` runs outside
of a transaction.
"""

import re
from typing import Final

from dbopsd.migrate.versions.folder.layout import Fit, FolderReader, Layout, Order, Version
from dbopsd.migrate.versions.folder.script import Part
from dbopsd.migrate.versions.folder.tree import Tree
from dbopsd.migrate.versions.model.migration_file import MigrationFile

_NAME: Final = re.compile(r"([0-9]+)_(.*?)(\.up|\.down)?\.sql")
_MOST_VERSION: Final = 2**63 - 1
_OUTSIDE: Final = b"-- no-transaction"
_BOM: Final = b"\xef\xbb\xbf"


def _fit(tree: Tree) -> Fit:
    """Without the comment that only sqlx knows, `.up.sql` is read as golang-migrate reads it.

    Where both kinds of files are, golang-migrate would leave one out.
    """
    matches = [match for name in tree.listing().files if (match := _NAME.fullmatch(name))]
    if any(match[2].endswith("_rollback") for match in matches):
        return Fit.NO
    if any(_is_outside(tree.read(match.string)) for match in matches):
        return Fit.BY_MARK
    kinds = {bool(match[3]) for match in matches}
    return Fit.BY_NAMES if len(kinds) > 1 else Fit.NO


def _is_outside(content: bytes | None) -> bool:
    return content is not None and content.removeprefix(_BOM).startswith(_OUTSIDE)


def _read(reader: FolderReader) -> list[MigrationFile]:
    ups: list[Version] = []
    downs: list[Version] = []
    for name in reader.flat_files():
        match = _NAME.fullmatch(name)
        order = _order(match[1]) if match else None
        if match and order:
            versions = downs if match[3] == ".down" else ups
            versions.append(Version(match[1], order, match[2], name))
        elif "_" in name and name.endswith(".sql"):
            message = f"its name does not begin with a number of at most {_MOST_VERSION}"
            reader.problems.add("BAD_NAME", message, name)
        else:
            reader.leave_out(name, "its name is not N_name.sql")

    def part(path: str) -> Part:
        return reader.part(path, transactional=not _is_outside(reader.tree.read(path)))

    return reader.pairs(ups, downs, part)


def _order(version: str) -> Order | None:
    fits = re.fullmatch(r"[0-9]{1,255}", version) and int(version) <= _MOST_VERSION
    return (0, int(version)) if fits else None


LAYOUT: Final = Layout("sqlx", _fit, _read, _order)
