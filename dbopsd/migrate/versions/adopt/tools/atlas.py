"""Atlas: a row for each version, with how many of its statements are done.

`sql/migrate/migrate.go` and `dir.go`: the hash is cumulative, over all files up to this one, so
that one changed file changes those of all later ones; a version is the file's name up to
its first `_`. One that failed, was mended and then finished keeps the error and the hash of its
first attempt: only the count of its statements says that it is applied.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Final

from dbopsd.db.statement import load_sql
from dbopsd.migrate.versions.adopt.checksums import atlas_sums
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

_BASELINE: Final = 1
_NOTE: Final = (
    "Atlas does not record who applied a migration, and its hashes are cumulative: one file that "
    "differs, or was put in between, makes those of the later ones differ"
)
_CLAIM: Final = "Atlas has a baseline: every file up to it is taken to be applied"


def _understand(rows: Rows, folder: Folder) -> History:
    files = {_version(file): file for file in folder.migrations if not file.repeatable}
    agreement = _agreement(rows, files)
    recorded: list[Recorded] = []
    notes = [_NOTE]
    for version, description, kind, applied, total, executed_at, took_ns, error, digest in rows:
        if version.startswith("."):  # what Atlas keeps of itself, such as .atlas_cloud_identifier
            continue
        if kind == _BASELINE:
            notes.append(_CLAIM)
            recorded.extend(_baselined(version, files))
            continue
        finished = applied == total
        recorded.append(
            Recorded(
                version,
                files.get(version),
                name=description,
                result=Result.DONE if finished else Result.INTERRUPTED,
                agrees=agreement.get(version),
                checksum=digest,
                checksum_algorithm="atlas-sha256",
                started_at=executed_at,
                finished_at=executed_at + timedelta(microseconds=max(took_ns, 0) / 1000),
                statements=total,
                statements_done=applied,
                problem="" if finished else _stopped(applied, total, error),
            )
        )
    return History(tuple(recorded), tuple(notes))


def _version(file: MigrationFile) -> str:
    name = PurePosixPath(file.up.path).name
    return name.removesuffix(".sql").split("_", 1)[0]


def _baselined(version: str, files: Mapping[str, MigrationFile]) -> list[Recorded]:
    # Atlas orders files by their names, and looks for the one of the baseline among them.
    return [Recorded(each, file) for each, file in sorted(files.items()) if each <= version]


def _stopped(applied: int, total: int, error: str | None) -> str:
    stopped = f"Atlas did {applied} of its {total} statements"
    # Not the error: it may quote rows, and more people may read the ledger.
    return f"{stopped}: the column error of its table says why it stopped" if error else stopped


def _agreement(rows: Rows, files: Mapping[str, MigrationFile]) -> dict[str, bool | None]:
    """Whether each file is the one that was applied, by its version; None: it cannot be told."""
    by_name = sorted((PurePosixPath(file.up.path).name, version) for version, file in files.items())
    sums = atlas_sums((name, files[version].content) for name, version in by_name)
    hashes = {version: digest.removeprefix("h1:") for version, *_, digest in rows}
    mended = {version for version, *_, error, _ in rows if error}
    agreement: dict[str, bool | None] = {}
    # Whether all before this file is as it was: then it is this file that differs.
    before = True
    for name, version in by_name:
        if name not in sums:
            continue
        agrees: bool | None = None
        if hashes.get(version) == sums[name]:
            agrees = True
        elif hashes.get(version) and before and version not in mended:
            agrees = False
        agreement[version] = agrees
        before = agrees is True
    return agreement


TOOL: Final = AdoptableTool(
    Tool.ATLAS,
    HistoryTable(
        "Atlas",
        ("atlas_schema_revisions",),
        {
            "version": ColumnKind.TEXT,
            "description": ColumnKind.TEXT,
            "type": ColumnKind.INTEGER,
            "applied": ColumnKind.INTEGER,
            "total": ColumnKind.INTEGER,
            "executed_at": ColumnKind.TIME,
            "execution_time": ColumnKind.INTEGER,
            "error": ColumnKind.TEXT,
            "hash": ColumnKind.TEXT,
        },
        optional=None,
        schemas=("atlas_schema_revisions", "public"),
    ),
    load_sql(__package__, "atlas.sql").statement,
    _understand,
    nullable=frozenset({7}),  # error
)
