"""The scratch databases of a round trip, on the server of the database that migrations are for."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import ClassVar, Final

from dbopsd.db.database import Database
from dbopsd.db.errors import DatabaseError
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.errors import DbopsError, StatusCode
from dbopsd.migrate.versions.fingerprint.schema_digests import SchemaDigests
from dbopsd.migrate.versions.model.migration_file import Script
from dbopsd.migrate.versions.roundtrip.scripts import run_script
from dbopsd.migrate.versions.roundtrip.statements import load
from dbopsd.migrate.versions.sql.lexer import READ_WITH

APPLICATION_NAME: Final = "dbopsd round trip"

_CREATE_COPY: Final = Statement("CREATE DATABASE {name} TEMPLATE {template}", "CREATE DATABASE")
_DROP: Final = Statement("DROP DATABASE IF EXISTS {name} WITH (FORCE)", "DROP DATABASE")
# The idle session that has the lock must live as long as the scratch databases.
_SETTINGS: Final = {"idle_session_timeout": "0", "lock_timeout": "0", "statement_timeout": "0"}


@dataclass(eq=False)
class NoScratchDatabase(DbopsError):
    """The role may not make databases."""

    reason: ClassVar[str] = "NO_SCRATCH_DATABASE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    role: str

    @property
    def message(self) -> str:
        return (
            f"a round trip needs a scratch database on the server of '{self.database}', and role "
            f"'{self.role}' may not make one: ALTER ROLE … CREATEDB as an administrator"
        )


@asynccontextmanager
async def scratch_databases(
    database: Database, operation: str
) -> AsyncIterator["ScratchDatabases"]:
    """Scratch databases for the time of the context, and those of dead operations dropped first.

    Raises `NoScratchDatabase`, and what the server says, as that it is a standby.
    """
    async with _administration(database) as session:
        oid, search_path, may_create, role = await _here(session)
        if not may_create:
            raise NoScratchDatabase(database.name, role)
        name = _name(oid, operation)
        # Before the look at what others left: with it, nobody takes ours for such.
        await session.fetch_one(load("lock"), {"name": name})
        await _drop_leftovers(session, oid, own=name)
        scratch = ScratchDatabases(database, session, name, search_path)
        try:
            yield scratch
        finally:
            await scratch.close()


async def drop_scratch_databases(database: Database, operation: str) -> None:
    """Drop what an operation left that is dead, and what others left."""
    async with _administration(database) as session:
        oid, _, _, _ = await _here(session)
        await _drop_leftovers(session, oid, own=_name(oid, operation))


class ScratchDatabases:
    """One database to work on, and once it was spoilt, one to make it again from."""

    def __init__(
        self, database: Database, administration: Session, name: str, search_path: str
    ) -> None:
        config = database.config.migrations
        self._database = database
        self._administration = administration
        self._name = name
        self._settings = {
            **READ_WITH,
            **_SETTINGS,
            "search_path": config.search_path if config.search_path is not None else search_path,
        }
        self._statement_timeout_s = config.statement_timeout_s
        self._made = 0
        self._stack = AsyncExitStack()
        self._session: Session | None = None
        self._digests: SchemaDigests | None = None
        self._current = ""
        self._clean = ""
        # How many scripts made the clean one what it is.
        self._replayed = 0

    async def session(self) -> Session:
        """A session on the database to work on, which is made if there is none."""
        if self._session is None:
            await self._make_current()
        if self._session is None:
            raise AssertionError("unreachable: it was connected to")
        return self._session

    async def digest(self) -> str:
        """Of its schema; see `SchemaDigests`."""
        await self.session()
        if self._digests is None:
            # Scripts discard what a session has, and with it a plan.
            observer = await self._stack.enter_async_context(self._connected(self._current))
            self._digests = SchemaDigests(observer, self._database.config.migrations.schema_)
        return await self._digests.digest()

    async def run(self, script: Script) -> None:
        """Run a script there. Raises `StepFailed` and `ReachesBeyond`."""
        await run_script(await self.session(), script, self._statement_timeout_s)

    async def restore(self, scripts: Sequence[Script]) -> None:
        """Have a database again on which the scripts ran, and nothing else.

        They are those of the call before, and more. Raises `StepFailed` if one does not run a
        second time.
        """
        if not self._clean:
            self._clean = await self._create_empty()
        async with self._connected(self._clean) as session:
            for script in scripts[self._replayed :]:
                await run_script(session, script, self._statement_timeout_s)
                self._replayed += 1
        await self._leave_current()
        await self._make_current()

    async def close(self) -> None:
        """Drop them. What cannot be dropped now is, at the start of the next round trip."""
        with suppress(DatabaseError):
            await self._leave_current()
        if self._clean:
            with suppress(DatabaseError):
                await self._drop(self._clean)

    async def _make_current(self) -> None:
        if self._clean:
            self._current = self._next_name()
            copy = _CREATE_COPY.with_identifiers(name=self._current, template=self._clean)
            await self._administration.execute(copy)
        else:
            self._current = await self._create_empty()
        self._session = await self._stack.enter_async_context(self._connected(self._current))

    async def _leave_current(self) -> None:
        self._session = self._digests = None
        await self._stack.aclose()
        if self._current:
            await self._drop(self._current)
            self._current = ""

    async def _create_empty(self) -> str:
        name = self._next_name()
        row = await self._administration.fetch_one(load("create_database"), {"name": name})
        if row is None:
            raise AssertionError("unreachable: every session has a database")
        await self._administration.execute(Statement(row[0], "CREATE DATABASE"))
        return name

    def _next_name(self) -> str:
        self._made += 1
        return f"{self._name}_{self._made}"

    async def _drop(self, name: str) -> None:
        await self._administration.execute(_DROP.with_identifiers(name=name))

    @asynccontextmanager
    async def _connected(self, name: str) -> AsyncIterator[Session]:
        async with self._database.dedicated_session(
            "write",
            application_name=APPLICATION_NAME,
            query_timeout_s=None,
            settings=self._settings,
            dsn=self._database.dsn.to_postgres_database(name),
        ) as session:
            yield session


@asynccontextmanager
async def _administration(database: Database) -> AsyncIterator[Session]:
    async with database.dedicated_session(
        "write", application_name=APPLICATION_NAME, query_timeout_s=None, settings=_SETTINGS
    ) as session:
        yield session


async def _here(session: Session) -> tuple[int, str, bool, str]:
    row = await session.fetch_one(load("here"))
    if row is None:
        raise AssertionError("unreachable: every session has a database and a role")
    oid, search_path, may_create, role = row
    return oid, search_path, may_create, role


async def _drop_leftovers(session: Session, oid: int, *, own: str) -> None:
    for name, prefix in await session.fetch_all(
        load("scratch_databases"), {"prefix": _prefix(oid)}
    ):
        # An operation has one attempt at a time.
        if prefix == own or await session.fetch_one(load("lock"), {"name": prefix}) == (True,):
            await session.execute(_DROP.with_identifiers(name=name))


def _prefix(oid: int) -> str:
    """How the names begin. The lock is seen only from the database of the oid."""
    return f"dbops_roundtrip_{oid}_"


def _name(oid: int, operation: str) -> str:
    return _prefix(oid) + hashlib.sha256(operation.encode()).hexdigest()[:12]
