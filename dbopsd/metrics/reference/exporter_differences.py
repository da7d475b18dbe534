"""Where samples differ from those of postgres_exporter on purpose, and why.

The list is `exporter_differences.toml`. The reference page shows it; tests allow what it names.
"""

import tomllib
from collections.abc import Mapping
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
    ROWS = "rows"
    """Which label values there are."""


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


@dataclass(frozen=True, slots=True)
class Differences:
    """The differences in the order of the file.

    `instead`: what there is, as Markdown, for each name that dashboards ask for and that no
    release of today has.
    """

    listed: tuple[Difference, ...]
    instead: Mapping[str, str]

    def than(self, exporter: Exporter) -> tuple[Difference, ...]:
        """Those from one exporter."""
        return tuple(each for each in self.listed if exporter in each.than)


def load_differences() -> Differences:
    """Read the file."""
    text = resources.files(__package__).joinpath("exporter_differences.toml").read_text("utf-8")
    read = tomllib.loads(text)
    listed = tuple(
        Difference(
            tuple(each["series"]),
            Differs(each["differs"]),
            frozenset(map(Exporter, each["than"])),
            each["reason"],
        )
        for each in read["difference"]
    )
    return Differences(listed, read["instead"])
