"""Drizzle: a row for each migration, by the hash of its file.

`drizzle-orm/src/migrator.ts`: SHA-256 of the file, in newer versions of its text with line feeds
alone; `created_at` is the entry's `when` in `meta/_journal.json`, in milliseconds. Tables of
version 1 have further columns (`up-migrations/pg.ts`).
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
    "Drizzle records neither when a migration was applied nor by whom: its table has the time at "
    "which it was generated"
)


def _understand(rows: Rows, folder: Folder) -> History:
    generated = _generated_at(folder)
    recorded = []
    for digest, created_at in rows:
        file = _with_digest(folder, digest)
        agrees = file is not None
        if file is None:
            file = generated.get(created_at)
        recorded.append(
            Recorded(
                file.version if file else digest[:12],
                file,
                agrees=agrees if file else None,
                checksum=digest,
                checksum_algorithm=_ALGORITHM,
            )
        )
    return History(tuple(recorded), (_NOTE,))


def _with_digest(folder: Folder, digest: str) -> MigrationFile | None:
    exact = next((file for file in folder.migrations if file.checksum == digest), None)
    return exact or next(
        (file for file in folder.migrations if is_hex_digest_of(file.content, digest, _ALGORITHM)),
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
        optional=frozenset({"name", "applied_at", "version"}),
        schemas=("drizzle", "public"),
    ),
    load_sql(__package__, "drizzle.sql").statement,
    _understand,
)
