"""Drizzle: `meta/_journal.json`, and the file `TAG.sql` of each entry.

As its migrator.ts reads them: only what the journal has, in its order. What stands before a
`--> statement-breakpoint` needs no semicolon. Everything is in a transaction.
"""

import json
import re
from typing import Any, Final

from dbopsd.migrate.versions.folder.layout import Fit, FolderReader, Layout, Order, Version
from dbopsd.migrate.versions.folder.script import Part, read_part
from dbopsd.migrate.versions.folder.tree import Tree
from dbopsd.migrate.versions.model.migration_file import MigrationFile

_JOURNAL: Final = "meta/_journal.json"
_BREAKPOINT: Final = "--> statement-breakpoint"
# As long, with a semicolon for the statement before it.
_SEMICOLON: Final = ";-- statement-breakpoint"


def _fit(tree: Tree) -> Fit:
    has_meta = "meta" in tree.listing().directories
    return Fit.BY_MARK if has_meta and tree.exists(_JOURNAL) else Fit.NO


def _read(reader: FolderReader) -> list[MigrationFile]:
    versions: list[Version] = []
    for index, tag in _entries(reader):
        version = Version(str(index), (0, index), tag, f"{tag}.sql")
        if reader.tree.exists(version.path):
            versions.append(version)
        else:
            message = f"the journal has the entry '{tag}', and there is no such file"
            reader.problems.add("FILE_MISSING", message, version.path, version=version.version)
    known = {version.path for version in versions}
    for name in reader.tree.listing().files:
        if name not in known:
            reader.leave_out(name, "the journal does not have it")

    def part(path: str) -> Part:
        text = (reader.text(path) or "").replace(_BREAKPOINT, _SEMICOLON)
        return read_part(text, path, reader.problems, reader.rules)

    return reader.pairs(versions, [], part)


def _entries(reader: FolderReader) -> list[tuple[int, str]]:
    """The index and the tag of each entry."""
    text = reader.text(_JOURNAL)
    if text is None:
        return []
    try:
        entries = json.loads(text)["entries"]
        return [_entry(entry) for entry in entries]
    except json.JSONDecodeError as error:
        place = (error.lineno, error.colno)
        reader.problems.add("BAD_JOURNAL", f"it is not JSON: {error.msg}", _JOURNAL, place=place)
    except (KeyError, TypeError, ValueError, RecursionError):
        message = 'it has no "entries" that each have an "idx" and a "tag"'
        reader.problems.add("BAD_JOURNAL", message, _JOURNAL)
    return []


def _entry(entry: Any) -> tuple[int, str]:
    """Raises ValueError, TypeError and KeyError."""
    index, tag = entry["idx"], entry["tag"]
    if type(index) is not int or not isinstance(tag, str) or not tag or not tag.isprintable():
        raise ValueError
    return index, tag


def _order(version: str) -> Order | None:
    return (0, int(version)) if re.fullmatch(r"-?[0-9]{1,255}", version) else None


LAYOUT: Final = Layout("drizzle", _fit, _read, _order)
