"""dbmate: a row for each version that is applied, and nothing else of it.

`pkg/driver/postgres/postgres.go`: `version varchar(255) primary key`, the digits that the file's
name begins with, as text.
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
from dbopsd.migrate.versions.adopt.versions import by_version
from dbopsd.migrate.versions.model.migration_file import Folder
from dbopsd.migrate.versions.model.requests import Tool

_NOTE: Final = "dbmate's table has versions only: when, by whom and with what text is not known"


def _understand(rows: Rows, folder: Folder) -> History:
    applied = {version for (version,) in rows}
    files = by_version(folder, str)
    known = [Recorded(version, file) for version, file in files.items() if version in applied]
    unknown = [Recorded(version, None) for version in sorted(applied - files.keys())]
    return History((*known, *unknown), (_NOTE,))


TOOL: Final = AdoptableTool(
    Tool.DBMATE,
    HistoryTable(
        "dbmate",
        ("schema_migrations",),
        {"version": ColumnKind.TEXT},
        never_beside="ar_internal_metadata",
    ),
    load_sql(__package__, "dbmate.sql").statement,
    _understand,
)
