"""goose: a row for each run; old versions write one that is not applied when they roll back.

`internal/dialects/postgres.go`: the newest row of a version says what is so (`ORDER BY id DESC`);
version 0 is the row that the table begins with.
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

_SEED: Final = 0
_NOTE: Final = (
    "goose keeps no checksums: whether the files are those that were applied is not known; its "
    "times have no time zone and are read in that of dbopsd's connection"
)


def _understand(rows: Rows, folder: Folder) -> History:
    files = by_version(folder, number)
    applied: dict[int, Recorded] = {}
    for version, is_applied, at in rows:
        applied.pop(version, None)  # a version that is applied again goes to the end
        if is_applied and version != _SEED:
            file = files.get(version)
            applied[version] = Recorded(str(version), file, started_at=at, finished_at=at)
    return History(tuple(applied.values()), (_NOTE,))


TOOL: Final = AdoptableTool(
    Tool.GOOSE,
    HistoryTable(
        "goose",
        ("goose_db_version",),
        {
            "id": ColumnKind.INTEGER,
            "version_id": ColumnKind.INTEGER,
            "is_applied": ColumnKind.BOOLEAN,
            "tstamp": ColumnKind.TIME,
        },
    ),
    load_sql(__package__, "goose.sql").statement,
    _understand,
    nullable=frozenset({2}),  # tstamp
)
