"""The tools whose histories are known. One more to be adopted is one more file in `tools/`."""

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Final

from dbopsd.migrate.versions.adopt import tools
from dbopsd.migrate.versions.adopt.history import AdoptableTool, ColumnKind, HistoryTable
from dbopsd.migrate.versions.model.requests import Tool


def _load() -> dict[Tool, AdoptableTool]:
    modules = (
        importlib.import_module(f"{tools.__name__}.{found.name}")
        for found in pkgutil.iter_modules(tools.__path__)
    )
    return {module.TOOL.tool: module.TOOL for module in modules}


ADOPTABLE: Final[Mapping[Tool, AdoptableTool]] = _load()

_TEXT: Final = ColumnKind.TEXT
_INTEGER: Final = ColumnKind.INTEGER
_TIME: Final = ColumnKind.TIME

# Their migrations are code, or in an order of their own: shown, and never adopted.
SHOWN: Final = (
    HistoryTable("Alembic", ("alembic_version",), {"version_num": _TEXT}),
    HistoryTable(
        "Django",
        ("django_migrations",),
        {"id": _INTEGER, "app": _TEXT, "name": _TEXT, "applied": _TIME},
    ),
    HistoryTable(
        "Liquibase",
        ("databasechangelog",),
        {
            "id": _TEXT,
            "author": _TEXT,
            "filename": _TEXT,
            "orderexecuted": _INTEGER,
            "md5sum": _TEXT,
        },
        optional=None,
    ),
    HistoryTable("Ecto", ("schema_migrations",), {"version": _INTEGER, "inserted_at": _TIME}),
    HistoryTable(
        "node-pg-migrate", ("pgmigrations",), {"id": _INTEGER, "name": _TEXT, "run_on": _TIME}
    ),
    HistoryTable(
        "Knex",
        ("knex_migrations",),
        {"id": _INTEGER, "name": _TEXT, "batch": _INTEGER, "migration_time": _TIME},
    ),
)

KNOWN: Final = (*(each.table for each in ADOPTABLE.values()), *SHOWN)
