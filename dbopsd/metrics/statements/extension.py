"""Where pg_stat_statements is, and what is said where it is not."""

from dataclasses import dataclass
from typing import Final

from dbopsd.db.errors import StatementFailed
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement, load_sql
from dbopsd.metrics.statements.errors import StatementsUnavailable

_EXTENSION: Final = load_sql(__package__, "extension.sql").statement
_OLDEST: Final = (1, 9)
# Columns have other names from this version of the extension on: it can be older than the server.
_RENAMED_IN: Final = (1, 11)
_TIMES: Final = {
    "shared_read": ("s", "shared_blk_read_time"),
    "shared_write": ("s", "shared_blk_write_time"),
    "local_read": ("s", "local_blk_read_time"),
    "local_write": ("s", "local_blk_write_time"),
}
_TIMES_BEFORE: Final = {
    "shared_read": ("s", "blk_read_time"),
    "shared_write": ("s", "blk_write_time"),
    "local_read": ("absent", "ms"),
    "local_write": ("absent", "ms"),
}
_NOT_LOADED: Final = "55000"


@dataclass(frozen=True, slots=True)
class Extension:
    """The extension in the database of a session."""

    version: tuple[int, ...]
    schema: str
    server_version: int
    postgres_database: str
    sees_all: bool

    def qualified(self, file: str) -> Statement:
        """The statement of a file, with the extension's schema and this version's columns in it."""
        times = _TIMES if self.version >= _RENAMED_IN else _TIMES_BEFORE
        return load_sql(__package__, file).statement.with_identifiers(schema=self.schema, **times)


async def require_extension(session: Session, database: str) -> Extension:
    """The extension, loaded and usable.

    Raises `StatementsUnavailable`, which says what to do, and `DatabaseError`.
    """
    row = await session.fetch_one(_EXTENSION)
    assert row is not None  # noqa: S101 - a SELECT from VALUES
    server_version, postgres_database, version, schema, usable, available, sees_all = row
    if version is None:
        load = (
            "add pg_stat_statements to shared_preload_libraries, restart the server, and run "
            if available
            else "install the server's contrib package, add pg_stat_statements to "
            "shared_preload_libraries, restart the server, and run "
        )
        raise StatementsUnavailable(
            database,
            f"the extension is not installed in '{postgres_database}': unless it is done, {load}"
            "CREATE EXTENSION pg_stat_statements in that database",
        )
    if not usable:
        raise StatementsUnavailable(
            database,
            f"the role of the DSN may not use its schema: GRANT USAGE ON SCHEMA {schema} to it",
        )
    parts = tuple(int(part) for part in version.split(".") if part.isdigit())
    if parts < _OLDEST:
        raise StatementsUnavailable(
            database,
            f"version {version} is installed, and 1.9 is needed: "
            "ALTER EXTENSION pg_stat_statements UPDATE",
        )
    extension = Extension(parts, schema, server_version, postgres_database, sees_all)
    try:
        await session.fetch_one(extension.qualified("statements_info.sql"))
    except StatementFailed as error:
        if error.sqlstate != _NOT_LOADED:
            raise
        raise StatementsUnavailable(
            database,
            "the extension is installed and not loaded: add pg_stat_statements to "
            "shared_preload_libraries and restart the server",
        ) from error
    return extension
