"""A folder of migrations, read once: what was hashed is what runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dbopsd.config.migrations import DatabaseMigrationsConfig, MigrationSetConfig
from dbopsd.migrate.versions.folder.errors import LayoutAmbiguous, LayoutUnknown
from dbopsd.migrate.versions.folder.layout import (
    LEFT_OUT,
    Fit,
    FolderReader,
    Layout,
    Order,
    Version,
    is_sql,
)
from dbopsd.migrate.versions.folder.layouts import LAYOUTS
from dbopsd.migrate.versions.folder.problems import Problems, printable
from dbopsd.migrate.versions.folder.script import Rules
from dbopsd.migrate.versions.folder.tree import Seen, Tree
from dbopsd.migrate.versions.model.migration_file import Folder, MigrationFile

_OWN: Final = "dbops"
_SHOWN: Final = 3
_MEANINGLESS: Final = frozenset({LEFT_OUT, "BAD_NAME", "CANNOT_RUN"})


def read_folder(directory: MigrationSetConfig, config: DatabaseMigrationsConfig) -> Folder:
    """The migrations of a set, in the order in which they apply, and what is wrong with its files.

    Blocks, and parses nothing: it takes linear time on any file. Raises `FolderUnreadable`,
    `LayoutAmbiguous` and `LayoutUnknown`.
    """
    return read_whole(directory, config).folder


@dataclass(frozen=True)
class Reading:
    """A folder, and what it was made of."""

    folder: Folder
    seen: Seen
    size_bytes: int
    """Of all files that were read."""


def read_whole(
    directory: MigrationSetConfig,
    config: DatabaseMigrationsConfig,
    *,
    most_bytes: int | None = None,
) -> Reading:
    """What `read_folder` does. Raises `TreeTooLarge` above `most_bytes`, where that is given."""
    with open_tree(directory, most_bytes=most_bytes) as tree:
        folder = read_tree(tree, config)
    return Reading(folder, tree.seen, tree.size_bytes)


def open_tree(directory: MigrationSetConfig, *, most_bytes: int | None = None) -> Tree:
    """The files of a set, to be opened by `with`."""
    return Tree(directory.set, Path(directory.dir), Problems(directory.set), most_bytes)


def read_tree(tree: Tree, config: DatabaseMigrationsConfig) -> Folder:
    """What `read_folder` does, of an open tree that nothing was read of."""
    layout = _recognised(tree, config) if config.layout == "auto" else LAYOUTS[config.layout]
    reader = _reader(tree, tree.problems, config)
    migrations = tuple(_in_order(reader, layout.read(reader)))
    return Folder(tree.set, layout.name, str(tree.directory), migrations, tree.problems.found)


def version_order(layout: str, version: str) -> Order | None:
    """`MigrationFile.order` of a version, also of one without a file; None: it is no version."""
    return LAYOUTS[layout].version_order(version)


def _reader(tree: Tree, problems: Problems, config: DatabaseMigrationsConfig) -> FolderReader:
    return FolderReader(tree, problems, Rules(variables=config.variables))


def _recognised(tree: Tree, config: DatabaseMigrationsConfig) -> Layout:
    fits = [(layout.fit(tree), layout) for layout in LAYOUTS.values()]
    best = max(fit for fit, _ in fits)
    layouts = [layout for fit, layout in fits if fit == best]
    if best is Fit.NO:
        return _of_none(tree)
    if len(layouts) > 1:
        names = _with_examples(tree, config, layouts)
        raise LayoutAmbiguous(tree.set, printable(str(tree.directory)), names)
    return layouts[0]


def _with_examples(tree: Tree, config: DatabaseMigrationsConfig, layouts: Sequence[Layout]) -> str:
    """The names of the layouts, each with a file that it knows and another one of them does not."""
    files = [path for listed in tree.walk() for path in listed if is_sql(path)]
    strange = [_strange(tree, config, layout) for layout in layouts]
    named = []
    for layout, own in zip(layouts, strange, strict=True):
        others = set().union(*strange) - own
        example = next((path for path in files if printable(path) in others), None)
        named.append(f"{layout.name} ('{printable(example)}')" if example else layout.name)
    return " and ".join(named)


def _strange(tree: Tree, config: DatabaseMigrationsConfig, layout: Layout) -> set[str]:
    """The files that have no meaning in a layout."""
    problems = Problems(tree.set)
    layout.read(_reader(tree, problems, config))
    return {each.path for each in problems.found if each.reason in _MEANINGLESS}


def _of_none(tree: Tree) -> Layout:
    """An empty folder is where a team starts."""
    strange = [path for files in tree.walk() for path in files if is_sql(path)]
    if strange:
        seen = ", ".join(f"'{printable(path)}'" for path in strange[:_SHOWN])
        raise LayoutUnknown(tree.set, printable(str(tree.directory)), seen)
    return LAYOUTS[_OWN]


def _in_order(reader: FolderReader, migrations: list[MigrationFile]) -> list[MigrationFile]:
    """Without those whose version another file has already."""
    found: list[MigrationFile] = []
    for migration in sorted(migrations, key=lambda each: (each.order, each.up.path)):
        if found and found[-1].order == migration.order:
            first, second = (
                Version(each.version or each.name, each.order, each.name, each.up.path)
                for each in (found[-1], migration)
            )
            reader.duplicate(first, second)
        else:
            found.append(migration)
    return found
