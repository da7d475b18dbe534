"""golang-migrate: one row, the version that the database is at, and whether that is unfinished.

`database/postgres/postgres.go`: the row is replaced before a migration begins (`dirty`), and again
when it has ended.
"""

from typing import Final

from dbopsd.db.statement import load_sql
from dbopsd.migrate.versions.adopt.errors import HistoryUnclear
from dbopsd.migrate.versions.adopt.history import (
    AdoptableTool,
    ColumnKind,
    History,
    HistoryTable,
    Recorded,
    Rows,
)
from dbopsd.migrate.versions.adopt.versions import by_version, number
from dbopsd.migrate.versions.model.ledger_run import Result
from dbopsd.migrate.versions.model.migration_file import Folder
from dbopsd.migrate.versions.model.requests import Tool

_TITLE: Final = "golang-migrate"
_NOTHING: Final = "golang-migrate has applied nothing: its table is empty"
_CLAIM: Final = (
    "golang-migrate keeps the newest version only: every file up to it is taken to be applied, and "
    "neither its text nor its time nor its user is known"
)
_DIRTY: Final = (
    "it was begun and its end was not recorded (dirty); it may also be the rollback of the next "
    "version that did not end"
)


def _understand(rows: Rows, folder: Folder) -> History:
    if not rows:
        return History(notes=(_NOTHING,))
    if len(rows) > 1:
        raise HistoryUnclear(_TITLE, "its table has one row, and this one has more")
    version, dirty = rows[0]
    files = by_version(folder, number)
    recorded = [
        Recorded(file.version, file)
        for key, file in files.items()
        if key < version or (key == version and not dirty)
    ]
    if dirty:
        recorded.append(
            Recorded(str(version), files.get(version), result=Result.INTERRUPTED, problem=_DIRTY)
        )
    elif version not in files:
        recorded.append(Recorded(str(version), None))
    return History(tuple(recorded), (_CLAIM,))


TOOL: Final = AdoptableTool(
    Tool.GOLANG_MIGRATE,
    HistoryTable(
        _TITLE,
        ("schema_migrations",),
        {"version": ColumnKind.INTEGER, "dirty": ColumnKind.BOOLEAN},
    ),
    load_sql(__package__, "golang_migrate.sql").statement,
    _understand,
)
