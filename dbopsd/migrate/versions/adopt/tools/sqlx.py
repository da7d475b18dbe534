"""sqlx: a row for each version, with the SHA-384 of its up file.

`sqlx-postgres/src/migrate.rs`, `sqlx-core/src/migrate/migration.rs`; `success` is false where a
migration that is not in a transaction did not end, and `execution_time` is in nanoseconds, -1 until
it is known.
"""

from datetime import timedelta
from typing import Final

from dbopsd.db.statement import load_sql
from dbopsd.migrate.versions.adopt.checksums import is_digest_of
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

_ALGORITHM: Final = "sha384"
_UNFINISHED: Final = "sqlx has it as begun and not successful"
_NOTE: Final = "sqlx does not record who applied a migration"


def _understand(rows: Rows, folder: Folder) -> History:
    files = by_version(folder, number)
    recorded = []
    for version, description, installed_on, success, checksum, took_ns in rows:
        file = files.get(version)
        recorded.append(
            Recorded(
                str(version),
                file,
                name=description,
                result=Result.DONE if success else Result.INTERRUPTED,
                agrees=is_digest_of(file.content, checksum, _ALGORITHM) if file else None,
                checksum=checksum.hex(),
                checksum_algorithm=_ALGORITHM,
                started_at=installed_on,
                finished_at=installed_on + timedelta(microseconds=max(took_ns, 0) / 1000),
                problem="" if success else _UNFINISHED,
            )
        )
    return History(tuple(recorded), (_NOTE,))


TOOL: Final = AdoptableTool(
    Tool.SQLX,
    HistoryTable(
        "sqlx",
        ("_sqlx_migrations",),
        {
            "version": ColumnKind.INTEGER,
            "description": ColumnKind.TEXT,
            "installed_on": ColumnKind.TIME,
            "success": ColumnKind.BOOLEAN,
            "checksum": ColumnKind.BYTES,
            "execution_time": ColumnKind.INTEGER,
        },
    ),
    load_sql(__package__, "sqlx.sql").statement,
    _understand,
)
