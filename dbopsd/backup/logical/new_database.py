"""A database that a dump is restored into, under a name of dbopsd's own until it is whole.

The name is that of the operation and of its attempt: a worker that hung, and wakes when others have
the operation, removes what is its own and nothing of theirs.
"""

import asyncio
import contextlib
import hashlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dbopsd.backup.logical.create_logical import in_database
from dbopsd.backup.logical.errors import LogicalRestoreFailed
from dbopsd.db.errors import DatabaseError, PermissionMissing, StatementFailed
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.operations.kind import Run

_log = logging.getLogger(__name__)

_PUBLISH_S: Final = 60.0
_RETRY_S: Final = 1.0
# object_in_use: somebody is connected. invalid_catalog_name: another attempt was first.
_PASSING: Final = ("55006", "3D000")

# Of template0: another template may have tables of its own.
_CREATE: Final = Statement(
    "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'", "CREATE DATABASE"
)
_OID: Final = Statement(
    "SELECT oid::pg_catalog.int8 FROM pg_catalog.pg_database"
    " WHERE datname OPERATOR(pg_catalog.=) %s",
    "SELECT pg_database",
)
_NAME: Final = Statement(
    "SELECT datname::pg_catalog.text FROM pg_catalog.pg_database"
    " WHERE oid::pg_catalog.int8 OPERATOR(pg_catalog.=) %s::pg_catalog.int8",
    "SELECT pg_database",
)
_UNFINISHED: Final = Statement(
    "SELECT datname::pg_catalog.text FROM pg_catalog.pg_database"
    " WHERE pg_catalog.starts_with(datname::pg_catalog.text, %s)",
    "SELECT pg_database unfinished",
)
_CLOSE: Final = Statement("ALTER DATABASE {name} ALLOW_CONNECTIONS false", "ALTER DATABASE")
_OPEN: Final = Statement("ALTER DATABASE {name} ALLOW_CONNECTIONS true", "ALTER DATABASE")
_END_SESSIONS: Final = Statement(
    "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity"
    " WHERE datname OPERATOR(pg_catalog.=) %s"
    " AND backend_type OPERATOR(pg_catalog.=) 'client backend'",
    "SELECT pg_terminate_backend",
)
_RENAME: Final = Statement("ALTER DATABASE {made} RENAME TO {name}", "ALTER DATABASE")
_DROP: Final = Statement("DROP DATABASE IF EXISTS {name} WITH (FORCE)", "DROP DATABASE")


@dataclass(frozen=True)
class NewDatabase:
    """The database that this attempt makes, and that gets the name `wanted`."""

    run: Run
    wanted: str

    @property
    def name(self) -> str:
        """Its name until it is whole."""
        return f"{_prefix(self.run)}_{self.run.attempt}"

    async def create(self) -> None:
        """Make it, empty. What earlier attempts made is dropped."""
        await drop_unfinished(self.run)
        await asyncio.to_thread(_marker(self.run).touch)
        async with in_database(self.run.database, _own_database(self.run)) as session:
            await session.execute(_CREATE.with_identifiers(name=self.name))

    async def oid(self) -> int:
        """Its OID, while it has the name that it was made under."""
        async with in_database(self.run.database, _own_database(self.run)) as session:
            found = await session.fetch_one(_OID, (self.name,))
        if found is None:
            raise LogicalRestoreFailed(self.wanted, f"database '{self.name}' is not there any more")
        return int(found[0])

    async def drop(self) -> None:
        """Drop it. Where that fails, why the restore did counts for more."""
        try:
            await drop_unfinished(self.run)
        except DatabaseError as error:
            _log.warning("database '%s' is still there: %s", self.name, error)

    async def publish(self, oid: int) -> None:
        """Give the database `oid`, which this or an earlier attempt made, the name that is wanted.

        Sessions in it, such as those of an agent that looks at all databases, are ended. Tries for
        a minute, also where an answer was lost. Raises `LogicalRestoreFailed` where it is gone.
        """
        deadline = time.monotonic() + _PUBLISH_S
        while True:
            try:
                async with in_database(self.run.database, _own_database(self.run)) as session:
                    if await self._is_published(session, oid):
                        break
            except DatabaseError as error:
                if not _may_pass(error) or time.monotonic() >= deadline:
                    raise
                _log.info("database '%s' has no name yet: %s", self.wanted, error)
                await asyncio.sleep(_RETRY_S)
        await asyncio.to_thread(_marker(self.run).unlink, missing_ok=True)

    async def _is_published(self, session: Session, oid: int) -> bool:
        """Whether it has its name; if not, give it."""
        found = await session.fetch_one(_NAME, (oid,))
        name = "" if found is None else str(found[0])
        if name == self.wanted:
            return True
        if not name.startswith(_prefix(self.run)):
            what = "was dropped" if found is None else f"was renamed to '{name}'"
            raise LogicalRestoreFailed(
                self.wanted, f"the database that was restored (OID {oid}) {what} by somebody else"
            )
        await session.execute(_CLOSE.with_identifiers(name=name))
        # Where a session is another superuser's, it may end by itself.
        with contextlib.suppress(PermissionMissing):
            await session.execute(_END_SESSIONS, (name,))
        async with session.transaction():
            await session.execute(_RENAME.with_identifiers(made=name, name=self.wanted))
            await session.execute(_OPEN.with_identifiers(name=self.wanted))
        return False


async def drop_unfinished(run: Run) -> None:
    """Drop what this attempt and those before it made and did not publish.

    Needs no server where nothing was made. Raises `DatabaseError`.
    """
    marker = _marker(run)
    # What an earlier attempt did, perhaps on another machine, only the server knows.
    if run.attempt == 1 and not await asyncio.to_thread(marker.exists):
        return
    prefix = _prefix(run)
    async with in_database(run.database, _own_database(run)) as session:
        for (name,) in await session.fetch_all(_UNFINISHED, (prefix,)):
            # One of a later attempt is whole, perhaps: this one was given up, and does not know.
            if int(name.removeprefix(prefix).removeprefix("_") or 0) <= run.attempt:
                await session.execute(_DROP.with_identifiers(name=name))
    await asyncio.to_thread(marker.unlink, missing_ok=True)


def _prefix(run: Run) -> str:
    """How the names of an operation's new databases begin; another's begin otherwise."""
    return f"dbopsd_{hashlib.sha256(run.operation.encode()).hexdigest()[:32]}"


def _marker(run: Run) -> Path:
    """A file that is there while this attempt may have a database that is not published."""
    return run.scratch / f"{_prefix(run)}_{run.attempt}.made"


def _own_database(run: Run) -> str:
    return run.database.dsn.postgres_database


def _may_pass(error: DatabaseError) -> bool:
    return error.transient or (isinstance(error, StatementFailed) and error.sqlstate in _PASSING)
