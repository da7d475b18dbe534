"""Samples that no query gives: a source a file."""

import importlib
import pkgutil

from dbopsd.metrics.source import Source


def load_sources() -> tuple[Source, ...]:
    """Every source in this package, by name."""
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(importlib.import_module(f"{__name__}.{module}").SOURCE for module in modules)
