"""diesel: `DIRECTORY/up.sql`, `down.sql` and `metadata.toml`.

As its migrations_internals read them: the version is the directory's name up to the first
underscore, without its dashes, as text; a `metadata.toml` without the key means no transaction.
"""

import re
import tomllib
from typing import Final

from dbopsd.migrate.versions.folder.layout import Fit, FolderReader, Layout, Order, Version
from dbopsd.migrate.versions.folder.script import Part
from dbopsd.migrate.versions.folder.tree import Tree
from dbopsd.migrate.versions.model.migration_file import MigrationFile

_UP: Final = "up.sql"
_DOWN: Final = "down.sql"
_LOOKED_AT: Final = 10
"""How many directories are looked at to recognise the layout."""
_METADATA: Final = "metadata.toml"
_METADATA_CHARS: Final = 4096
"""diesel's has one key. Reading TOML takes time by the square of its size."""
_TOML_PLACE: Final = re.compile(r" \(at line (\d+), column (\d+)\)$")


def _fit(tree: Tree) -> Fit:
    directories = tree.listing().directories[:_LOOKED_AT]
    found = any(tree.exists(f"{name}/{_UP}") for name in directories)
    return Fit.BY_MARK if found else Fit.NO


def _read(reader: FolderReader) -> list[MigrationFile]:
    for name in reader.tree.listing().files:
        reader.leave_out(name, "it is not in a directory of its own")
    ups: list[Version] = []
    downs: list[Version] = []
    transactional: dict[str, bool] = {}
    for directory in reader.tree.listing().directories:
        files = reader.tree.listing(directory).files
        text, _, name = directory.partition("_")
        version = text.replace("-", "")
        order = _order(version)
        if order is None or _UP not in files:
            message = f"the directory '{directory}' has no {_UP}, or no version before its name"
            reader.problems.add("FILE_MISSING", message, f"{directory}/{_UP}")
            continue
        metadata = f"{directory}/{_METADATA}"
        transactional[directory] = _METADATA not in files or _is_transactional(reader, metadata)
        ups.append(Version(version, order, name, f"{directory}/{_UP}"))
        if _DOWN in files:
            downs.append(Version(version, order, name, f"{directory}/{_DOWN}"))

    def part(path: str) -> Part:
        return reader.part(path, transactional=transactional[path.rpartition("/")[0]])

    return reader.pairs(ups, downs, part)


def _is_transactional(reader: FolderReader, path: str) -> bool:
    text = reader.text(path) or ""
    if len(text) > _METADATA_CHARS:
        message = f"it has more than {_METADATA_CHARS:,} characters"
        reader.problems.add("BAD_DIRECTIVE", message, path)
        return True
    try:
        value = tomllib.loads(text).get("run_in_transaction", False)
    except (ValueError, RecursionError) as error:
        said = str(error)
        found = _TOML_PLACE.search(said)
        place = (int(found[1]), int(found[2])) if found else (0, 0)
        cause = said[: found.start()] if found else said
        reader.problems.add("BAD_DIRECTIVE", f"it is not TOML: {cause}", path, place=place)
        return True
    if not isinstance(value, bool):
        message = "run_in_transaction is neither true nor false"
        reader.problems.add("BAD_DIRECTIVE", message, path)
        return True
    return value


def _order(version: str) -> Order | None:
    return (0, version) if version else None


LAYOUT: Final = Layout("diesel", _fit, _read, _order)
