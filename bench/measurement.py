"""What a measurement is. Each lives in a file of its own in `measurements/`."""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench import measurements
from bench.workbench import Workbench


@dataclass(frozen=True, slots=True)
class Bar:
    """What a value must reach: at least the bound, or at most."""

    bound: float
    at_least: bool

    def holds(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound


def at_least(bound: float) -> Bar:
    return Bar(bound, at_least=True)


def at_most(bound: float) -> Bar:
    return Bar(bound, at_least=False)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report. Without a bar it is there for comparison."""

    what: str
    value: float
    unit: str
    bar: Bar | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """PASS, MISS, or nothing where there is no bar."""
        if self.bar is None:
            return ""
        return "PASS" if self.bar.holds(self.value) else "MISS"


@dataclass(frozen=True, slots=True)
class Measurement:
    """`limit_s`: when it is given up, should something in it hang."""

    title: str
    run: Callable[[Workbench], Sequence[Row]]
    limit_s: float = 180.0


def load_measurements() -> dict[str, Measurement]:
    """Every measurement in `measurements/`, by its module's name."""
    names = sorted(module.name for module in pkgutil.iter_modules(measurements.__path__))
    return {
        name: importlib.import_module(f"{measurements.__name__}.{name}").MEASUREMENT
        for name in names
    }
