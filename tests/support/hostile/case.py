"""What a hostile case is, and how its file is made."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

Build = Callable[[Path], None]
"""Writes a file at a path where none is."""


@dataclass(frozen=True)
class Case:
    """A small SQLite file, valid and of a kind that is found in the wild."""

    name: str
    breaks: str
    """What importers do to it."""
    build: Build
    impossible: str = ""
    """What PostgreSQL cannot hold of it: an import that fails and says so is right, too."""
    file_name: str = ""
    """What the file is called; empty: after the case."""

    def make(self, directory: Path) -> Path:
        """Write the file into the directory."""
        path = directory / (self.file_name or f"{self.name}.db")
        self.build(path)
        return path


def sql(name: str, breaks: str, *statements: str, impossible: str = "") -> Case:
    """A case that SQL statements make."""
    return Case(name, breaks, lambda path: run(path, *statements), impossible)


def run(path: Path, *statements: str) -> None:
    """Execute the statements on the file, one by one, outside transactions of Python's own."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def fill(path: Path, create: str, insert: str, rows: list[tuple[object, ...]]) -> None:
    """A table, and rows that are easier to make in Python."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(create)
        connection.execute("BEGIN")
        connection.executemany(insert, rows)
        connection.execute("COMMIT")


def values(*each: str, start: int = 1) -> str:
    """`(1, a), (2, b)`: SQL values with a number before each, for an INSERT."""
    return ", ".join(f"({number}, {value})" for number, value in enumerate(each, start))
