"""The layouts, a file each: `NAME.py` with its `LAYOUT`."""

import importlib
import pkgutil
from typing import Final

from dbopsd.migrate.versions.folder.layout import Layout


def _load() -> dict[str, Layout]:
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    layouts = [importlib.import_module(f"{__name__}.{module}").LAYOUT for module in modules]
    return {layout.name: layout for layout in layouts}


LAYOUTS: Final = _load()
"""Every layout, by its name."""
