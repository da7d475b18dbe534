"""Drizzle: `meta/_journal.json` and the file `TAG.sql` of each entry; from 1.0 on directories.

As its migrator.ts reads them: only what the journal has, in its order; from 1.0 on each
`DIRECTORY/migration.sql`, by the directory's name, which begins with the time in 14 digits
(`snapshot.json` beside it is drizzle-kit's). What stands before a `--> statement-breakpoint` needs
no semicolon. Everything is in a transaction.
"""

import json
import re
from functools import partial
from typing import Any, Final

from dbopsd.migrate.versions.folder.layout import Fit, FolderReader, Layout, Order, Version
from dbopsd.migrate.versions.folder.script import Part, read_part
from dbopsd.migrate.versions.folder.tree import Tree
from dbopsd.migrate.versions.model.migration_file import MigrationFile

_JOURNAL: Final = "meta/_journal.json"
_BREAKPOINT: Final = "--> statement-breakpoint"
# As long, with a semicolon for the statement before it.
_SEMICOLON: Final = ";-- statement-breakpoint"
_MOST_INDEX: Final = 2**31 - 1
_FILE: Final = "migration.sql"
_SNAPSHOT: Final = "snapshot.json"
_LOOKED_AT: Final = 10
"""How many directories are looked at to recognise the layout."""
_DIRECTORY: Final = re.compile(r"[0-9]{14}(?![0-9])_?(.*)")


def _fit(tree: Tree) -> Fit:
    if _has_journal(tree):
        return Fit.BY_MARK
    return Fit.BY_MARK if any(map(partial(_is_migration, tree), _directories(tree))) else Fit.NO


def _has_journal(tree: Tree) -> bool:
    return "meta" in tree.listing().directories and tree.exists(_JOURNAL)


def _directories(tree: Tree) -> tuple[str, ...]:
    return tree.listing().directories[:_LOOKED_AT]


def _is_migration(tree: Tree, directory: str) -> bool:
    return tree.exists(f"{directory}/{_FILE}") and tree.exists(f"{directory}/{_SNAPSHOT}")


def _read(reader: FolderReader) -> list[MigrationFile]:
    is_older = _has_journal(reader.tree) or not reader.tree.listing().directories
    versions = _of_journal(reader) if is_older else _of_directories(reader)

    def part(path: str) -> Part:
        text = (reader.text(path) or "").replace(_BREAKPOINT, _SEMICOLON)
        return read_part(text, path, reader.problems, reader.rules)

    return reader.pairs(versions, [], part)


def _of_directories(reader: FolderReader) -> list[Version]:
    for name in reader.tree.listing().files:
        reader.leave_out(name, "it is not in a directory of its own")
    versions: list[Version] = []
    for name in reader.tree.listing().directories:
        path = f"{name}/{_FILE}"
        match = _DIRECTORY.fullmatch(name)
        if not reader.tree.exists(path):
            message = f"the directory '{name}' has no {_FILE}: it is left out"
            reader.problems.add("FILE_LEFT_OUT", message, path, blocking=False)
        elif match:
            reader.tree.read(path)  # while its directory is open
            versions.append(Version(name, (1, name), match[1], path))
        else:
            message = "the name of its directory does not begin with a time of 14 digits"
            reader.problems.add("BAD_NAME", message, path)
    return versions


def _of_journal(reader: FolderReader) -> list[Version]:
    found: dict[str, Version] = {}
    for index, tag in _entries(reader):
        version = Version(str(index), (0, index), tag, f"{tag}.sql")
        if version.path in found:
            message = f"the journal has the entry '{tag}' twice"
            reader.problems.add("BAD_JOURNAL", message, _JOURNAL, version=version.version)
        elif reader.tree.exists(version.path):
            found[version.path] = version
        else:
            message = f"the journal has the entry '{tag}', and there is no such file"
            reader.problems.add("FILE_MISSING", message, version.path, version=version.version)
    for name in reader.tree.listing().files:
        if name not in found:
            reader.leave_out(name, "the journal does not have it")
    return list(found.values())


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
    if type(index) is not int or abs(index) > _MOST_INDEX:
        raise ValueError
    if not isinstance(tag, str) or not tag or not tag.isprintable():
        raise ValueError
    return index, tag


def _order(version: str) -> Order | None:
    if _DIRECTORY.fullmatch(version):
        return 1, version
    return (0, int(version)) if re.fullmatch(r"-?[0-9]{1,255}", version) else None


LAYOUT: Final = Layout("drizzle", _fit, _read, _order)
