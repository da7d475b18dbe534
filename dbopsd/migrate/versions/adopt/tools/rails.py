"""Rails: a row for each version that is applied. Its own files are Ruby, and are not compared.

`ActiveRecord::SchemaMigration`: `version` is a string, which Rails compares as a number.
"""

from typing import Final

from dbopsd.db.statement import load_sql
from dbopsd.migrate.versions.adopt.history import (
    AdoptableTool,
    ColumnKind,
    History,
    HistoryTable,
    Recorded,
    Rows,
)
from dbopsd.migrate.versions.adopt.versions import by_version, number
from dbopsd.migrate.versions.model.migration_file import Folder
from dbopsd.migrate.versions.model.requests import Tool

_NOTE: Final = (
    "Rails' migrations are Ruby: the files of this folder are taken for them by their version "
    "alone, and when, by whom and with what text they were applied is not known"
)


def _understand(rows: Rows, folder: Folder) -> History:
    applied = {number(version): version for (version,) in rows}
    files = by_version(folder, number)
    known = [Recorded(applied[key], file) for key, file in files.items() if key in applied]
    unknown = [
        Recorded(version, None)
        for key, version in applied.items()
        if key is None or key not in files
    ]
    return History((*known, *sorted(unknown, key=lambda each: each.version)), (_NOTE,))


TOOL: Final = AdoptableTool(
    Tool.RAILS,
    HistoryTable(
        "Rails",
        ("schema_migrations",),
        {"version": ColumnKind.TEXT},
        beside="ar_internal_metadata",
    ),
    load_sql(__package__, "rails.sql").statement,
    _understand,
)
