"""The migrations of real projects, and how their own tools order and run them."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

_VENDORED: Final = Path(__file__).parent / "migration_histories"
_CONCURRENTLY: Final = re.compile(r"^\s*(CREATE|DROP)\s.*\bCONCURRENTLY\b", re.MULTILINE)


def _by_name(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.sql"))


def _by_directory(directory: Path) -> list[Path]:
    return sorted(directory.glob("*/migration.sql"))


def _by_journal(directory: Path) -> list[Path]:
    journal = json.loads((directory / "meta" / "_journal.json").read_text())
    return [directory / f"{entry['tag']}.sql" for entry in journal["entries"]]


@dataclass(frozen=True)
class RealHistory:
    """A folder as its project has it."""

    directory: Path
    ordered: Callable[[Path], list[Path]]
    """Its files as the project's own tool runs them."""
    layout: str = "dbops"
    """What it is recognised as."""
    variables: Mapping[str, str] = field(default_factory=dict)
    before: str = ""
    """SQL that the project runs first."""

    @property
    def files(self) -> list[Path]:
        return self.ordered(self.directory)

    def text(self, file: Path) -> str:
        """What runs: with the values of its placeholders."""
        text = file.read_text(encoding="utf-8")
        for name, value in self.variables.items():
            text = re.sub(rf":{name}\b", value, text)
        return text

    def psql_arguments(self, scratch: Path) -> list[str]:
        """The arguments of one psql that runs all files, each in a transaction where it may."""
        arguments = ["-c", self.before] if self.before else []
        for number, file in enumerate(self.files):
            text = self.text(file)
            copy = scratch / f"{number}.sql"
            copy.write_text(text, encoding="utf-8")
            run = ["-f", str(copy)]
            transactional = not _CONCURRENTLY.search(text)
            arguments += ["-c", "BEGIN", *run, "-c", "COMMIT"] if transactional else run
        return arguments


def _installed(package: str, path: str) -> Path:
    return Path(str(distribution(package).locate_file(path)))


REAL_HISTORIES: Final[Mapping[str, RealHistory]] = {
    "procrastinate": RealHistory(
        _installed("procrastinate", "procrastinate/sql/migrations"), _by_name
    ),
    "litellm-proxy-extras": RealHistory(
        _installed("litellm-proxy-extras", "litellm_proxy_extras/migrations"),
        _by_directory,
        "prisma",
    ),
    "graphile-worker": RealHistory(
        _VENDORED / "graphile_worker" / "sql",
        _by_name,
        variables={"GRAPHILE_WORKER_SCHEMA": "graphile_worker"},
        before="CREATE SCHEMA graphile_worker",
    ),
    "workflow-world-postgres": RealHistory(
        _VENDORED / "workflow_world_postgres" / "migrations", _by_journal, "drizzle"
    ),
    "elephantq": RealHistory(_VENDORED / "elephantq" / "migrations", _by_name),
}
