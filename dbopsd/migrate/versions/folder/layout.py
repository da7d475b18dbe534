"""What a layout of migration files is, and what it needs to read them."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final

from dbopsd.migrate.versions.folder.problems import Problems
from dbopsd.migrate.versions.folder.script import Part, Rules, decode, read_part
from dbopsd.migrate.versions.folder.tree import Tree
from dbopsd.migrate.versions.model.migration import ROLLBACK_WITHOUT_MIGRATION, Phase
from dbopsd.migrate.versions.model.migration_file import MigrationFile

Order = tuple[int | str, ...]

LEFT_OUT: Final = "FILE_LEFT_OUT"
"""The reason of a problem: a file of SQL that the layout's tool would not run either."""


class Fit(IntEnum):
    """How surely the files of a folder are in a layout."""

    NO = 0
    BY_NAMES = 1
    """Their names fit, which other layouts have too."""
    BY_MARK = 2
    """There is something that only this layout has."""


@dataclass(frozen=True)
class Layout:
    """The rules of a tool. A file of `layouts/` has one, as `LAYOUT`."""

    name: str
    """As the configuration has it."""
    fit: Callable[[Tree], Fit]
    read: "Callable[[FolderReader], list[MigrationFile]]"
    """The migrations, in any order; what is wrong is added to the problems."""
    version_order: Callable[[str], Order | None]
    """`MigrationFile.order` of a version, also of one that has no file; None: it is no version."""


@dataclass(frozen=True)
class Version:
    """What the name of a file says."""

    version: str
    """As the file writes it; empty: it is repeatable."""
    order: Order
    name: str
    path: str


@dataclass(frozen=True)
class FolderReader:
    """What a layout reads with."""

    tree: Tree
    problems: Problems
    rules: Rules
    """Those of a file without a rule of its layout."""

    def flat_files(self) -> tuple[str, ...]:
        """The names of the files, in a layout without directories. What is below is left out."""
        for path in self.tree.files_below():
            self.leave_out(path, "it is in a directory of its own")
        for name in self.tree.listing().directories:
            self.leave_out(name, "it is a directory")
        return self.tree.listing().files

    def text(self, path: str) -> str | None:
        """The text of a file; None: it has none, which is a problem."""
        content = self.tree.read(path)
        return None if content is None else decode(content, path, self.problems)

    def part(self, path: str, **rules: Any) -> Part:
        """A file that is one script, with other `rules`; empty where it has no text."""
        changed = replace(self.rules, **rules) if rules else self.rules
        return read_part(self.text(path) or "", path, self.problems, changed)

    def migration(
        self, version: Version, up: Part, down: Part | None = None, *, phase: Phase | None = None
    ) -> MigrationFile | None:
        """The migration; None: its file cannot be read, which is a problem already."""
        content = self.tree.read(version.path)
        if content is None:
            return None
        if up.empty and not self.problems.blocks(version.path):
            message = "it has no statement: applying it only records it"
            self.problems.add(
                "EMPTY_MIGRATION", message, version.path, version=version.version, blocking=False
            )
        return MigrationFile(
            self.tree.set,
            version.version,
            version.order,
            version.name,
            up.script,
            content,
            hashlib.sha256(content).hexdigest(),
            down=None if down is None or down.empty else down.script,
            repeatable=not version.version,
            phase=phase or up.phase,
        )

    def pairs(
        self,
        ups: Iterable[Version],
        downs: Iterable[Version],
        part: Callable[[str], Part],
    ) -> list[MigrationFile]:
        """The migrations of separate files for up and down, which `part` reads by their path."""
        rollbacks: dict[Order, Version] = {}
        for down in downs:
            if (other := rollbacks.setdefault(down.order, down)) is not down:
                self.duplicate(other, down, "rollbacks")
        found: list[MigrationFile] = []
        orders: set[Order] = set()
        for up in ups:
            orders.add(up.order)
            rollback = rollbacks.get(up.order)
            migration = self.migration(up, part(up.path), part(rollback.path) if rollback else None)
            if migration:
                found.append(migration)
        for order, down in rollbacks.items():
            if order not in orders:
                message = f"it rolls back version {down.version}, of which there is no migration"
                self.problems.add(
                    ROLLBACK_WITHOUT_MIGRATION, message, down.path, version=down.version
                )
        return found

    def refuse_code(self, path: str) -> None:
        """Add the problem that a migration is no SQL, and cannot be left out either."""
        message = (
            "it is a migration that only its own tool can run: write it as SQL, or remove it where "
            "it is applied everywhere"
        )
        self.problems.add("CANNOT_RUN", message, path)

    def leave_out(self, path: str, why: str) -> None:
        """Report a file of SQL that the layout's tool would not run."""
        if not is_sql(path):
            return
        if not path.endswith(".sql"):
            why = "its suffix is not '.sql' in small letters"
        self.problems.add(LEFT_OUT, f"{why}: it is left out", path, blocking=False)

    def duplicate(self, first: Version, second: Version, what: str = "migrations") -> None:
        """Add the problem that two files are of one version."""
        message = f"{first.path} and {second.path} are both {what} of version {second.version}"
        self.problems.add("DUPLICATE_VERSION", message, second.path, version=second.version)


def is_sql(path: str) -> bool:
    """Whether somebody may take the file for SQL: the suffix is in capitals where it should not."""
    return path.lower().endswith(".sql")
