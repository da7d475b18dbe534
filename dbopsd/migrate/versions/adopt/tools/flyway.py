"""Flyway: a row for each run, repeatable ones without a version.

`JdbcTableSchemaHistory`, `ChecksumCalculator`, `SqlMigrationResolver`, `CoreMigrationType`: the
last row of a version says what is so. A row of the type DELETE or UNDO… takes the version back;
BASELINE says that all up to it is there; the checksum of a repeatable one is taken after its
placeholders were replaced. On PostgreSQL a failed migration leaves a row only if it was not in a
transaction.
"""

from collections.abc import Hashable, Mapping
from datetime import timedelta
from typing import Final

from dbopsd.db.statement import load_sql
from dbopsd.migrate.versions.adopt.checksums import flyway_crc32
from dbopsd.migrate.versions.adopt.history import (
    AdoptableTool,
    ColumnKind,
    History,
    HistoryTable,
    Recorded,
    Rows,
)
from dbopsd.migrate.versions.adopt.versions import by_version, dotted
from dbopsd.migrate.versions.model.ledger_run import Result
from dbopsd.migrate.versions.model.migration_file import Folder, MigrationFile
from dbopsd.migrate.versions.model.requests import Tool

_ALGORITHM: Final = "crc32"
_BASELINES: Final = frozenset({"BASELINE", "SQL_BASELINE", "INIT"})
_PLACEHOLDER: Final = "${"
_TIMES: Final = (
    "Flyway's times have no time zone and are read in that of dbopsd's connection; its checksums "
    "do not see line ends"
)
_CLAIM: Final = (
    "Flyway has a baseline: every file up to version {version} is taken to be applied, and whether "
    "it was is not known"
)
_NOT_SQL: Final = "Flyway has it as a migration of the type {kind}, which is no SQL"
_FAILED: Final = "Flyway has it as failed"


def _understand(rows: Rows, folder: Folder) -> History:
    versioned = by_version(folder, dotted)
    files = _repeatables(folder) | dict(versioned.items())
    latest: dict[Hashable, Recorded] = {}
    notes = [_TIMES]
    for version, description, kind, checksum, who, installed_on, took_ms, success in rows:
        key = _key(version, description)
        latest.pop(key, None)  # what is done again goes to the end
        if kind in _BASELINES and version is not None:
            notes.append(_CLAIM.format(version=version))
            latest.update(_baselined(dotted(version) or (), versioned))
            continue
        if kind in ("SCHEMA", "DELETE") or kind.startswith("UNDO"):
            continue
        file = files.get(key)
        latest[key] = Recorded(
            version or "",
            file,
            name=description,
            result=_result(file, success=success),
            agrees=_agrees(file, checksum) if file else None,
            checksum="" if checksum is None else str(checksum),
            checksum_algorithm="" if checksum is None else _ALGORITHM,
            started_at=installed_on - timedelta(milliseconds=took_ms),
            finished_at=installed_on,
            who=who,
            problem=_problem(kind, success=success),
        )
    return History(tuple(latest.values()), tuple(notes))


def _key(version: str | None, description: str) -> Hashable:
    """What is the same for all rows of one migration, and for its file."""
    if version is None:
        return "R", description.replace("_", " ")  # as Flyway has the description of a file
    return dotted(version) or version


def _repeatables(folder: Folder) -> dict[Hashable, MigrationFile]:
    return {_key(None, file.name): file for file in folder.migrations if file.repeatable}


def _baselined(
    version: tuple[int, ...], files: Mapping[tuple[int, ...], MigrationFile]
) -> dict[Hashable, Recorded]:
    return {key: Recorded(file.version, file) for key, file in files.items() if key <= version}


def _agrees(file: MigrationFile, checksum: int | None) -> bool | None:
    if checksum is None:
        return None
    text = file.content.decode()
    if flyway_crc32(text) == checksum:
        return True
    if not file.repeatable or _PLACEHOLDER not in text:
        return False
    # The checksum of a repeatable one is that of its text with the values of the placeholders,
    # which may have been other ones than those that are configured now.
    return True if flyway_crc32(file.up.text) == checksum else None


def _result(file: MigrationFile | None, *, success: bool) -> Result:
    if success:
        return Result.DONE
    left_nothing = file is not None and file.up.transactional
    return Result.FAILED if left_nothing else Result.INTERRUPTED


def _problem(kind: str, *, success: bool) -> str:
    if not success:
        return _FAILED
    return "" if kind == "SQL" else _NOT_SQL.format(kind=kind)


TOOL: Final = AdoptableTool(
    Tool.FLYWAY,
    HistoryTable(
        "Flyway",
        ("flyway_schema_history", "schema_version"),  # the latter before Flyway 5
        {
            "installed_rank": ColumnKind.INTEGER,
            "version": ColumnKind.TEXT,
            "description": ColumnKind.TEXT,
            "type": ColumnKind.TEXT,
            "script": ColumnKind.TEXT,
            "checksum": ColumnKind.INTEGER,
            "installed_by": ColumnKind.TEXT,
            "installed_on": ColumnKind.TIME,
            "execution_time": ColumnKind.INTEGER,
            "success": ColumnKind.BOOLEAN,
        },
        optional=None,
    ),
    load_sql(__package__, "flyway.sql").statement,
    _understand,
    nullable=frozenset({0, 3}),  # version (of a repeatable one), checksum
)
