"""Prisma: a row for each attempt, by the name of the migration's directory.

`schema-engine`: `sql_migration_persistence.rs` and `checksum.rs`. A row without `finished_at` is an
attempt that failed (`logs` has the error) or whose process died; `rolled_back_at` says that
somebody declared it undone (`prisma migrate resolve`). With a driver adapter
(`schema_engine_wasm` in the error) each statement of a file is committed by itself.
"""

import hashlib
from pathlib import PurePosixPath
from typing import Final

from dbopsd.db.statement import load_sql
from dbopsd.migrate.versions.adopt.checksums import is_hex_digest_of, spellings
from dbopsd.migrate.versions.adopt.history import (
    AdoptableTool,
    ColumnKind,
    History,
    HistoryTable,
    Recorded,
    Rows,
)
from dbopsd.migrate.versions.model.ledger_run import Result
from dbopsd.migrate.versions.model.migration_file import Folder, MigrationFile
from dbopsd.migrate.versions.model.requests import Tool

_ALGORITHM: Final = "sha256"
_DIGEST_CHARS: Final = 64
# Not the error: it may quote rows, and more people may read the ledger.
_FAILED: Final = "Prisma has it as failed: the column logs of its table has the error"
_DIED: Final = "Prisma has it as begun, and neither finished nor failed"
_NOTE: Final = "Prisma does not record who applied a migration"
_RESOLVED: Final = (
    "{count} of them Prisma did not run: somebody declared them applied (`prisma migrate resolve`)"
)


def _understand(rows: Rows, folder: Folder) -> History:
    files = {_directory(file): file for file in folder.migrations}
    latest: dict[str, Recorded] = {}
    resolved = 0
    for row in rows:
        name, checksum, started_at, finished_at, rolled_back_at, logs, steps, each_by_itself = row
        before = latest.get(name)
        if rolled_back_at is not None or (before is not None and before.result is Result.DONE):
            continue
        latest.pop(name, None)
        file = files.get(name)
        agrees = _agrees(file.content, checksum) if file else None
        result, problem = Result.DONE, ""
        if finished_at is None:
            alone = agrees is True and file is not None and file.up.statements == 1
            result = _unfinished(file, logs, whole=alone or not each_by_itself)
            problem = _FAILED if logs else _DIED
        latest[name] = Recorded(
            name,
            file,
            result=result,
            agrees=agrees,
            checksum=checksum,
            checksum_algorithm=_ALGORITHM,
            started_at=started_at,
            finished_at=finished_at,
            problem=problem,
        )
        resolved += result is Result.DONE and not steps
    notes = (_NOTE, _RESOLVED.format(count=resolved)) if resolved else (_NOTE,)
    return History(tuple(latest.values()), notes)


def _directory(file: MigrationFile) -> str:
    """The name of the directory that it has, or had before it got another layout."""
    return PurePosixPath(file.up.path).parent.name or f"{file.version}_{file.name}"


def _unfinished(file: MigrationFile | None, logs: str | None, *, whole: bool) -> Result:
    """The result of an attempt without an end; `whole`: the file was sent as one message."""
    left_nothing = logs and whole and file is not None and file.up.transactional
    return Result.FAILED if left_nothing else Result.INTERRUPTED


def _agrees(content: bytes, checksum: str) -> bool:
    if len(checksum) == _DIGEST_CHARS:
        return is_hex_digest_of(content, checksum, _ALGORITHM)
    # Old versions wrote each byte without its leading zero (prisma-engines#1887).
    return any(
        "".join(f"{byte:x}" for byte in hashlib.sha256(spelled).digest()) == checksum
        for spelled in spellings(content)
    )


TOOL: Final = AdoptableTool(
    Tool.PRISMA,
    HistoryTable(
        "Prisma",
        ("_prisma_migrations",),
        {
            "id": ColumnKind.TEXT,
            "checksum": ColumnKind.TEXT,
            "finished_at": ColumnKind.TIME,
            "migration_name": ColumnKind.TEXT,
            "logs": ColumnKind.TEXT,
            "rolled_back_at": ColumnKind.TIME,
            "started_at": ColumnKind.TIME,
            "applied_steps_count": ColumnKind.INTEGER,
        },
    ),
    load_sql(__package__, "prisma.sql").statement,
    _understand,
    nullable=frozenset(
        {3, 4, 5, 7}
    ),  # finished_at, rolled_back_at, logs, and whether they name the engine
)
