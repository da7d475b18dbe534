"""dbmate: `N….sql`, with `-- migrate:up` and `-- migrate:down` in it.

As its pkg/dbmate/migration.go and db.go read files: the version is all digits at the beginning, as
text, and files apply by their names, so 10_x comes before 1_x; directories are left out.
"""

import re
from typing import Final

from dbopsd.migrate.versions.folder.layout import Fit, FolderReader, Layout, Order, Version
from dbopsd.migrate.versions.folder.sections import Marker, read_sections
from dbopsd.migrate.versions.folder.tree import Tree
from dbopsd.migrate.versions.model.migration_file import MigrationFile

_NAME: Final = re.compile(r"([0-9]+)(.*)\.sql")
_MARKER: Final = re.compile(
    r"^--[ \t]*migrate:(?P<kind>up|down)(?P<options>[ \t]+[^\r\n]*)?\r?(?:\n|\Z)", re.MULTILINE
)
_MARK: Final = re.compile(rb"^--[ \t]*migrate:up[ \t\r]*$|^--[ \t]*migrate:up[ \t]", re.MULTILINE)


def _fit(tree: Tree) -> Fit:
    names = (name for name in tree.listing().files if _NAME.fullmatch(name))
    return Fit.BY_MARK if any(_MARK.search(tree.read(name) or b"") for name in names) else Fit.NO


def _read(reader: FolderReader) -> list[MigrationFile]:
    found = (_migration(reader, name) for name in reader.flat_files())
    return [migration for migration in found if migration]


def _migration(reader: FolderReader, name: str) -> MigrationFile | None:
    match = _NAME.fullmatch(name)
    if not match:
        reader.leave_out(name, "its name does not begin with a number")
        return None
    text = reader.text(name)
    if text is None:
        return None
    version = Version(match[1], _order(match[1]) or (), match[2].lstrip("_-. "), name)
    markers = [
        Marker(
            found["kind"] == "up",
            found.start(),
            found.end(),
            transactional="transaction:false" not in (found["options"] or "").split(),
        )
        for found in _MARKER.finditer(text)
    ]
    return read_sections(reader, version, text, markers, reader.rules)


def _order(version: str) -> Order | None:
    # What follows the version in a name is nearly always an underscore, which sorts after digits.
    return (0, f"{version}_") if re.fullmatch(r"[0-9]+", version) else None


LAYOUT: Final = Layout("dbmate", _fit, _read, _order)
