"""Drizzle: a row for each migration, by the hash of its file; from 1.0 on also by its name.

`drizzle-orm/src/migrator.ts`: SHA-256 of the file, in newer versions of its text with line feeds
alone; `created_at` is the entry's `when` in `meta/_journal.json`, in milliseconds. 1.0 has no
journal (`created_at` is the time in the directory's name), goes by `name` and records `applied_at`,
in tables of older versions since it was upgraded (`up-migrations/pg.ts`).
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from dbopsd.db.statement import load_sql
from dbopsd.migrate.versions.adopt.checksums import is_hex_digest_of
from dbopsd.migrate.versions.adopt.history import (
    AdoptableTool,
    ColumnKind,
    History,
    HistoryTable,
    Recorded,
    Rows,
)
from dbopsd.migrate.versions.model.migration_file import Folder, MigrationFile
from dbopsd.migrate.versions.model.requests import Tool
from dbopsd.security.roots import open_folder

_ALGORITHM: Final = "sha256"
_MOST_JOURNAL_BYTES: Final = 16 * 1024 * 1024
_NOTE: Final = (
    "Drizzle does not record who applied a migration, and before version 1.0 not when: its table "
    "then has the time at which it was generated"
)


def _understand(rows: Rows, folder: Folder) -> History:
    generated = _generated_at(folder)
    named = {file.version: file for file in folder.migrations}
    recorded = []
    for digest, created_at, name, applied_at in rows:
        if name is None:
            file = _with_digest(folder, digest) or generated.get(created_at)
        else:
            file = named.get(name)
        recorded.append(
            Recorded(
                file.version if file else name or digest[:12],
                file,
                agrees=_agrees(file, digest) if file else None,
                checksum=digest,
                checksum_algorithm=_ALGORITHM,
                started_at=applied_at,
                finished_at=applied_at,
            )
        )
    return History(tuple(recorded), (_NOTE,))


def _agrees(file: MigrationFile, digest: str) -> bool:
    return file.checksum == digest or is_hex_digest_of(file.content, digest, _ALGORITHM)


def _with_digest(folder: Folder, digest: str) -> MigrationFile | None:
    exact = next((file for file in folder.migrations if file.checksum == digest), None)
    return exact or next(
        (file for file in folder.migrations if _agrees(file, digest)),
        None,
    )


def _generated_at(folder: Folder) -> Mapping[int, MigrationFile]:
    """The files by the time that the journal has for them; none where there is no journal."""
    try:
        with open_folder("meta", [Path(folder.directory)]) as meta:
            descriptor = meta.open_file("_journal.json")
            with os.fdopen(descriptor, "rb") as journal:
                entries = json.loads(journal.read(_MOST_JOURNAL_BYTES))["entries"]
        when = {str(entry["tag"]): int(entry["when"]) for entry in entries}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {
        when[stem]: file
        for file in folder.migrations
        if (stem := PurePosixPath(file.up.path).stem) in when
    }


TOOL: Final = AdoptableTool(
    Tool.DRIZZLE,
    HistoryTable(
        "Drizzle",
        ("__drizzle_migrations",),
        {"id": ColumnKind.INTEGER, "hash": ColumnKind.TEXT, "created_at": ColumnKind.INTEGER},
        optional={
            "name": ColumnKind.TEXT,
            "applied_at": ColumnKind.TIME,
            "version": ColumnKind.INTEGER,
        },
        schemas=("drizzle", "public"),
    ),
    load_sql(__package__, "drizzle.sql").statement,
    _understand,
    nullable=frozenset({1, 2, 3}),  # created_at, name, applied_at
)
