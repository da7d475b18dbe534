"""Migrate the control store to the version of this dbopsd."""

import logging
import threading
from typing import Final

import sqlalchemy as sa
from dbos import DBOS

from dbopsd.operations.errors import ControlStoreNewer
from dbopsd.operations.store.sql_engine import SQLITE
from dbopsd.operations.store.tables import SCHEMA, VERSION, metadata, operations, store_version

_log = logging.getLogger(__name__)

# Of our own choosing, as those of PostgreSQL's advisory locks are.
_ADVISORY_LOCK: Final = 5_075_175_075
_in_process: Final = threading.Lock()


def migrate(engine: sa.Engine, url: str, where: str) -> None:
    """Make or upgrade the tables, ours and DBOS's; nothing where they are as they should be.

    Any number of processes may do it at once. Raises `ControlStoreNewer`.
    """
    with _in_process:
        if version_of(engine) == VERSION:
            return
        refuse_newer(engine, where)
        # DBOS's first: ours carry the version that says both are there.
        DBOS.migrate(url)
        with engine.begin() as connection:
            _lock(connection)
            if _version_in(connection) == VERSION:
                return
            if connection.dialect.name != SQLITE:
                connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
            _upgrade(connection)
            metadata.create_all(connection)
            connection.execute(sa.delete(store_version))
            connection.execute(sa.insert(store_version).values(version=VERSION))
        _log.info("the control store %s has version %d now", where, VERSION)


def _upgrade(connection: sa.Connection) -> None:
    """Change the tables that are there already."""
    if _version_in(connection) == 1:
        table = connection.dialect.identifier_preparer.format_table(
            operations, use_schema=connection.dialect.name != SQLITE
        )
        for change in (
            "ADD COLUMN lost_by_stage TEXT NOT NULL DEFAULT '{}'",
            "ADD COLUMN lost_alone BOOLEAN NOT NULL DEFAULT false",
            "DROP COLUMN lost",
        ):
            connection.exec_driver_sql(f"ALTER TABLE {table} {change}")


def refuse_newer(engine: sa.Engine, where: str) -> None:
    """Raise `ControlStoreNewer` unless the store's version is ours or older."""
    version = version_of(engine)
    if version > VERSION:
        raise ControlStoreNewer(
            where,
            f"its version is {version}, this dbopsd knows {VERSION}: upgrade this dbopsd",
        )


def _lock(connection: sa.Connection) -> None:
    """Wait for other processes that migrate; held to the end of the transaction."""
    if connection.dialect.name == SQLITE:
        connection.execute(sa.text("BEGIN IMMEDIATE"))
    else:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))


def version_of(engine: sa.Engine) -> int:
    """The version that the store has; 0 without tables."""
    with engine.connect() as connection:
        return _version_in(connection)


def _version_in(connection: sa.Connection) -> int:
    schema = None if connection.dialect.name == SQLITE else SCHEMA
    if not sa.inspect(connection).has_table(store_version.name, schema=schema):
        return 0
    return connection.execute(sa.select(store_version.c.version)).scalar() or 0
