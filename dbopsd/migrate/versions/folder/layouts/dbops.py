"""dbopsd's own layout: `NNN_name.sql`, `NNN_name_rollback.sql` and the repeatable `R_name.sql`.

Atlas' own files are read by it, too: `-- atlas:txmode none` at the top means no transaction.
The name may be left out, a hyphen may stand before it, and a version may have several numbers, of
which the last may follow an underscore: `000001.sql`, `0011-index.sql`, `03.00.00_01_pre_x.sql`.
"""

import re
from typing import Final

from dbopsd.migrate.versions.folder.layout import Fit, FolderReader, Layout, Order, Version
from dbopsd.migrate.versions.folder.script import Part
from dbopsd.migrate.versions.folder.tree import Tree
from dbopsd.migrate.versions.model.migration_file import MigrationFile

# As many digits as the name of a file may have: Python refuses to read numbers of thousands.
_DIGITS: Final = "[0-9]{1,255}"
_NUMBERS: Final = rf"{_DIGITS}(?:\.{_DIGITS})+(?:_{_DIGITS})?|{_DIGITS}"
_VERSIONED: Final = re.compile(rf"({_NUMBERS})(?:[_-](?!rollback\.sql)(.+?))?([_-]rollback)?\.sql")
_REPEATABLE: Final = re.compile(r"R_(?!_)(.+?)(_rollback)?\.sql")
# golang-migrate and sqlx have these, and read them otherwise.
_OTHERS: Final = re.compile(r".+\.(?:up|down)\.sql")
_CODE: Final = re.compile(r"[0-9]+[._-].*\.(?:go|py|rb|php|[cm]?[jt]s|java|kt|rs|exs?|sh)")
_ATLAS_OUTSIDE: Final = re.compile(
    rb"(?:\s++|--(?![ \t]*atlas:txmode)[^\n]*+\n)*+--[ \t]*atlas:txmode[ \t]+none[ \t\r]*(?:\n|\Z)"
)
_VERSION: Final = re.compile(_NUMBERS)
_NUMBER: Final = re.compile(r"[0-9]+")


def _version(name: str) -> tuple[Version, bool] | None:
    """What a file's name says, and whether it is a rollback."""
    if _OTHERS.fullmatch(name):
        return None
    if match := _VERSIONED.fullmatch(name):
        order = _order(match[1]) or ()
        return Version(match[1], order, match[2] or "", name), bool(match[3])
    if match := _REPEATABLE.fullmatch(name):
        return Version("", (1, match[1]), match[1], name), bool(match[2])
    return None


def _fit(tree: Tree) -> Fit:
    return Fit.BY_NAMES if any(map(_version, tree.listing().files)) else Fit.NO


def _read(reader: FolderReader) -> list[MigrationFile]:
    ups: list[Version] = []
    downs: list[Version] = []
    for name in reader.flat_files():
        found = _version(name)
        if found is None:
            _refuse(reader, name)
        elif found[1] and not found[0].version:
            message = "a repeatable migration is never rolled back: remove this file"
            reader.problems.add("ROLLBACK_OF_REPEATABLE", message, name)
        else:
            (downs if found[1] else ups).append(found[0])

    def part(path: str) -> Part:
        outside = _ATLAS_OUTSIDE.match(reader.tree.read(path) or b"")
        return reader.part(path, transactional=False) if outside else reader.part(path)

    return reader.pairs(ups, downs, part)


def _refuse(reader: FolderReader, name: str) -> None:
    if name.endswith(".sql"):
        message = "its name is none of NNN_name.sql, NNN_name_rollback.sql and R_name.sql"
        reader.problems.add("BAD_NAME", message, name)
    elif _CODE.fullmatch(name):
        reader.refuse_code(name)
    else:
        reader.leave_out(name, "it is no file of this layout")


def _order(version: str) -> Order | None:
    if not _VERSION.fullmatch(version):
        return None
    numbers = [int(number) for number in _NUMBER.findall(version)]
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    return (0, *numbers)


LAYOUT: Final = Layout("dbops", _fit, _read, _order)
