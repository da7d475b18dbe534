"""What a source is: samples that no query gives. Each lives in a file of its own in `sources/`."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from dbopsd.db.database import Database
from dbopsd.health.report import Report
from dbopsd.metrics import sources
from dbopsd.metrics.model import Collection, Metric, Sample, Series

SOURCES_EVERY_S: Final = 1.0
"""How often sources are asked: they ask nobody else, and `pg_up` must not be old."""

Value = tuple[Metric, tuple[str, ...], float | None]
"""A metric, the values of its labels, and its value; None: there is none."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a source may look at. `now` is in seconds since 1970."""

    database: Database
    report: Report
    collections: Mapping[str, Collection]
    now: float


@dataclass(frozen=True, slots=True)
class Source:
    """Samples of the daemon's own, or of the machine that it runs on."""

    name: str
    about: str
    metrics: tuple[Metric, ...]
    measure: Callable[[Subject], Iterable[Value]]
    every_s: float = SOURCES_EVERY_S

    def samples(self, subject: Subject) -> tuple[Sample, ...]:
        """What it finds now."""
        return tuple(
            Sample(Series(metric, labels), value, subject.now)
            for metric, labels, value in self.measure(subject)
            if value is not None
        )


def load_sources() -> tuple[Source, ...]:
    """Every source in `sources/`, by name."""
    modules = sorted(module.name for module in pkgutil.iter_modules(sources.__path__))
    return tuple(
        importlib.import_module(f"{sources.__name__}.{module}").SOURCE for module in modules
    )
