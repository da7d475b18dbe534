"""The control store: what every process knows of operations, on SQLite or PostgreSQL.

Its modules are loaded when they are first named: SQLAlchemy and DBOS take some 60 MB, which a
daemon that is never asked for an operation does without.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbopsd.operations.store import alerts, duties, liveness, requests, schedules, store

__all__ = ["alerts", "duties", "liveness", "requests", "schedules", "store"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(name)
