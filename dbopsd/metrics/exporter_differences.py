"""Where samples differ from those of postgres_exporter on purpose, and why.

The list is `exporter_differences.toml`. The reference page shows it; tests allow what it names.
"""

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from importlib import resources


class Differs(StrEnum):
    """In what a series differs."""

    MISSING = "missing"
    LABELS = "labels"
    TYPE = "type"
    VALUE = "value"


class Exporter(StrEnum):
    """Which postgres_exporter it is compared with."""

    UPSTREAM = "upstream"
    """The series that its main branch has."""

    DEBIAN = "debian"
    """What Debian's 0.11.1 says beside the daemon."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One reason, and the series that it is about; `*` in their names stands for any text."""

    series: tuple[str, ...]
    differs: Differs
    than: frozenset[Exporter]
    reason: str

    def covers(self, name: str) -> bool:
        """Whether it is about the series of this name."""
        return any(fnmatchcase(name, pattern) for pattern in self.series)


def load_differences() -> tuple[Difference, ...]:
    """Every difference, in the order of the file."""
    text = resources.files(__package__).joinpath("exporter_differences.toml").read_text("utf-8")
    return tuple(
        Difference(
            tuple(each["series"]),
            Differs(each["differs"]),
            frozenset(map(Exporter, each["than"])),
            each["reason"],
        )
        for each in tomllib.loads(text)["difference"]
    )
