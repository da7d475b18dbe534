"""diesel: a row for each version that is applied.

`diesel_migrations`: the version is the name of the directory up to its first `_`, without dashes
(as the layout has it too), and is compared as text.
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

# The row of a migration of diesel's own, which older command lines put into every project.
_INITIAL_SETUP: Final = "00000000000000"
_NOTE: Final = (
    "diesel keeps no checksums: whether the files are those that were applied is not known; its "
    "times have no time zone and are read in that of dbopsd's connection"
)


def _understand(rows: Rows, folder: Folder) -> History:
    files = by_version(folder, str)
    return History(
        tuple(
            Recorded(version, files.get(version), started_at=run_on, finished_at=run_on)
            for version, run_on in rows
            if version in files or version != _INITIAL_SETUP
        ),
        (_NOTE,),
    )


TOOL: Final = AdoptableTool(
    Tool.DIESEL,
    HistoryTable(
        "diesel",
        ("__diesel_schema_migrations",),
        {"version": ColumnKind.TEXT, "run_on": ColumnKind.TIME},
    ),
    load_sql(__package__, "diesel.sql").statement,
    _understand,
)
