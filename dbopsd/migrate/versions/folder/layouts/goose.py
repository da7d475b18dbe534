"""goose: `N_name.sql`, with `-- +goose Up` and `-- +goose Down` in it.

As its internal/sqlparser/parser.go and migrate.go read files: annotations stand at the beginning of
a line, a version is above 0 and fits 64 bits, directories are left out, and a Go file with a
version is a migration too. What stands between StatementBegin and StatementEnd needs no semicolon.
"""

import re
from dataclasses import replace
from typing import Final

from dbopsd.migrate.versions.folder.layout import Fit, FolderReader, Layout, Order, Version
from dbopsd.migrate.versions.folder.sections import Marker, read_sections
from dbopsd.migrate.versions.folder.tree import Tree
from dbopsd.migrate.versions.model.migration_file import MigrationFile
from dbopsd.migrate.versions.sql.positions import line_and_column

_NAME: Final = re.compile(r"([0-9]+)_(.*)\.sql")
_CODE: Final = re.compile(r"[0-9]+_.*(?<!_test)\.go")
_ANNOTATION: Final = re.compile(
    r"^--[ \t]*\+goose[ \t]+(?P<what>[^\r\n]*?)[ \t]*\r?(?:\n|\Z)", re.MULTILINE
)
_MARK: Final = re.compile(rb"^--[ \t]*\+goose[ \t]+up[ \t\r]*$", re.MULTILINE | re.IGNORECASE)
_KNOWN: Final = frozenset(
    {
        "UP",
        "DOWN",
        "STATEMENTBEGIN",
        "STATEMENTEND",
        "NO TRANSACTION",
        "ENVSUB ON",
        "ENVSUB OFF",
        "ENVSUBST ON",
        "ENVSUBST OFF",
    }
)
_MOST_VERSION: Final = 2**63 - 1


def _fit(tree: Tree) -> Fit:
    names = (name for name in tree.listing().files if name.endswith(".sql"))
    return Fit.BY_MARK if any(_MARK.search(tree.read(name) or b"") for name in names) else Fit.NO


def _read(reader: FolderReader) -> list[MigrationFile]:
    found: list[MigrationFile] = []
    for name in reader.flat_files():
        match = _NAME.fullmatch(name)
        order = _order(match[1]) if match else None
        if match and order:
            migration = _migration(reader, Version(match[1], order, match[2], name))
            found += [migration] if migration else []
        elif _CODE.fullmatch(name):
            reader.refuse_code(name)
        elif name.endswith(".sql"):
            message = f"its name does not begin with a number from 1 to {_MOST_VERSION}"
            reader.problems.add("BAD_NAME", message, name)
        else:
            reader.leave_out(name, "it is no file of this layout")
    return found


def _migration(reader: FolderReader, version: Version) -> MigrationFile | None:
    text = reader.text(version.path)
    if text is None:
        return None
    annotations = [
        (" ".join(match["what"].upper().split()), match) for match in _ANNOTATION.finditer(text)
    ]
    for what, match in annotations:
        if what not in _KNOWN and not reader.problems.is_full(version.path):
            message = f"'+goose {match['what']}' is not an annotation of goose"
            place = line_and_column(text, match.start())
            reader.problems.add("BAD_DIRECTIVE", message, version.path, place=place)
    markers = [
        Marker(what == "UP", match.start(), match.end())
        for what, match in annotations
        if what in ("UP", "DOWN")
    ]
    whats = {what for what, _ in annotations}
    rules = replace(
        reader.rules,
        transactional="NO TRANSACTION" not in whats,
        dollars="ENVSUB ON" in whats or "ENVSUBST ON" in whats,
    )
    text = _with_semicolons(text, [match for what, match in annotations if what == "STATEMENTEND"])
    return read_sections(reader, version, text, markers, rules)


def _with_semicolons(text: str, ends: list[re.Match[str]]) -> str:
    """The text with a semicolon before the comment of each StatementEnd, and as long as it was."""
    pieces: list[str] = []
    passed = 0
    for match in ends:
        pieces += (text[passed : match.start()], ";--", text[match.start() + 3 : match.end()])
        passed = match.end()
    return "".join([*pieces, text[passed:]])


def _order(version: str) -> Order | None:
    fits = re.fullmatch(r"[0-9]{1,255}", version) and 0 < int(version) <= _MOST_VERSION
    return (0, int(version)) if fits else None


LAYOUT: Final = Layout("goose", _fit, _read, _order)
