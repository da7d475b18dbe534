"""Takes a logical backup: a dump in one snapshot, whose rows are counted in that same snapshot.

Before it is committed, the stored dump is read to its end by `pg_restore`, and every table has just
the rows that the snapshot had. A dump of the schema alone has every table of the snapshot, and no
rows, which are not counted: that would read the whole database.
"""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from dbopsd.backup.catalog.commit import (
    FIRST_FORMAT,
    SCHEMA_ONLY_FORMAT,
    CommitRecord,
    RowCounts,
    Stream,
    TableRows,
    write_commit,
)
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.catalog.layout import SCHEMA_ONLY_ID, Layout, new_backup_id
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.codec.sealed_object import DataKey
from dbopsd.backup.leases import hold_lease
from dbopsd.backup.logical.dump_stream import DumpRequest, DumpStream
from dbopsd.backup.logical.errors import DumpedTableNotFound
from dbopsd.backup.logical.stored_dump import newest_reader, read_to_end
from dbopsd.backup.model.requests import CreateBackupRequest
from dbopsd.backup.repository import Repository
from dbopsd.backup.server import Server, read_server
from dbopsd.backup.wal.first_use import prepare_store
from dbopsd.db.client_tools import ToolLogin, at_least, installations, write_login
from dbopsd.db.database import Database
from dbopsd.db.errors import InvalidStatement
from dbopsd.db.server.installation import Installation
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement, load_sql
from dbopsd.operations.kind import Run

APPLICATION: Final = "dbopsd backup"
TOOLS: Final = ("pg_dump", "pg_restore")

_SNAPSHOT: Final = load_sql(__package__, "snapshot.sql").statement
_TABLES: Final = load_sql(__package__, "dumped_tables.sql").statement
_ASKED: Final = load_sql(__package__, "asked_table.sql").statement
_CLOCK: Final = Statement("SELECT pg_catalog.clock_timestamp()", "SELECT clock_timestamp")
_INVALID_NAME: Final = "42602"
COUNT_ROWS: Final = Statement("SELECT pg_catalog.count(*) FROM ONLY {table}", "SELECT count")
# As pg_dump does: rows that a policy hides are an error, and no table waits for ever.
_SETTINGS: Final = {
    "row_security": "off",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "5min",
}


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """The moment of a dump."""

    snapshot: str
    at: datetime
    lsn: str


@dataclass(frozen=True, slots=True)
class _Table:
    schema: str
    name: str
    has_rows: bool

    @property
    def pattern(self) -> str:
        """Just this table, as a pattern of `pg_dump`."""
        return f"{_quoted(self.schema)}.{_quoted(self.name)}"


async def create_logical(
    run: Run, repository: Repository, request: CreateBackupRequest
) -> CommitRecord:
    """Dump a database or tables of it, and commit it once it is read and counted.

    `request.tables`: names as in SQL, with a schema or found by the search path; partitions and
    what inherits from a table come with it. Raises `DumpedTableNotFound`, `ToolsTooOld`,
    `DumpFailed`, `DumpIncomplete` and what the server and the store do.
    """
    await prepare_store(repository, run.database, run.state_dir)
    database = run.database
    server = await read_server(database)
    found = await installations(database.config.pg_bin)
    tools = at_least(database.name, found, server.major, TOOLS)
    reader = newest_reader(database.name, found)
    dbname = request.dbname or database.dsn.postgres_database
    work = _LogicalBackup(run, repository, request, server, tools, reader, dbname)
    return await work.take()


@dataclass(frozen=True)
class _LogicalBackup:
    run: Run
    repository: Repository
    request: CreateBackupRequest
    server: Server
    tools: Installation
    reader: Installation
    dbname: str

    @property
    def layout(self) -> Layout:
        return self.repository.layout(self.server.system_identifier)

    async def take(self) -> CommitRecord:
        what = SCHEMA_ONLY_ID if self.request.schema_only else BackupKind.LOGICAL.value
        id_ = new_backup_id(what, datetime.now(UTC))
        async with hold_lease(
            self.repository.store,
            self.layout,
            f"create-{self.run.operation}",
            backups=(),
            making=id_,
        ):
            data_key = await self.repository.keys.create()
            async with in_database(self.run.database, self.dbname) as session:
                record, tables = await self._dump(id_, data_key, session)
            self.run.progress("reading it back")
            dump = await read_to_end(
                self.run,
                self.repository,
                record,
                self.reader,
                self.run.scratch,
            )
            dump.require_tables(self.dbname, [(each.schema, each.name) for each in tables])
            dump.require_content(record)
            self.run.progress("commit")
            content = write_commit(record, data_key)
            await self.repository.store.create(self.layout.commit(id_), content)
        return record

    async def _dump(
        self, id_: str, data_key: DataKey | None, session: Session
    ) -> tuple[CommitRecord, Sequence[_Table]]:
        """The record of a dump that is stored, and the tables that the snapshot had."""
        schema_only = self.request.schema_only
        async with session.transaction(isolation="REPEATABLE READ", read_only=True):
            asked = [await self._asked(session, each) for each in self.request.tables]
            (moment,) = await session.fetch_all_as(_Snapshot, _SNAPSHOT)
            names = [table.pattern for table in asked]
            tables = await session.fetch_all_as(_Table, _TABLES, {"tables": names})
            counted = () if schema_only else tables
            counting = asyncio.create_task(self._count(session, counted))
            try:
                patterns = [table.pattern for table in tables] if asked else []
                streams = await self._store(id_, data_key, moment, patterns)
                rows = await counting
            finally:
                counting.cancel()
                await asyncio.wait([counting])
            ((stop_time,),) = await session.fetch_all(_CLOCK)
        lsn = Lsn.parse(moment.lsn)
        record = CommitRecord(
            id=id_,
            database=self.run.database.name,
            kind=BackupKind.LOGICAL,
            system_identifier=self.server.system_identifier,
            server_version=self.server.version,
            timeline=self.server.timeline,
            start_lsn=lsn,
            stop_lsn=lsn,
            start_time=moment.at.astimezone(UTC),
            stop_time=stop_time.astimezone(UTC),
            codec=str(self.repository.compression),
            made_by=version("dbopsd"),
            source="primary",
            streams=streams,
            key_id=self.repository.keys.key_id,
            data_key=data_key.id.hex() if data_key else "",
            segment_bytes=self.server.segment_bytes,
            checksums=self.server.checksums,
            row_counts=None if schema_only else RowCounts(lsn, rows),
            label=self.request.label,
            dbname=self.dbname,
            tables=tuple(f"{table.schema}.{table.name}" for table in asked),
            schema_only=schema_only,
            format=SCHEMA_ONLY_FORMAT if schema_only else FIRST_FORMAT,
        )
        return record, tables

    async def _asked(self, session: Session, name: str) -> _Table:
        place = f"PostgreSQL database '{self.dbname}'"
        try:
            found = await session.fetch_one(_ASKED, {"table": name})
        except InvalidStatement as error:
            if error.sqlstate != _INVALID_NAME:
                raise
            # Up to PostgreSQL 15; later ones find no such table.
            raise DumpedTableNotFound(name, place) from None
        if found is None:
            raise DumpedTableNotFound(name, place)
        return _Table(str(found[0]), str(found[1]), has_rows=True)

    async def _count(self, session: Session, tables: Sequence[_Table]) -> tuple[TableRows, ...]:
        counted = []
        for table in tables:
            if table.has_rows:
                count = COUNT_ROWS.with_identifiers(table=(table.schema, table.name))
                ((rows,),) = await session.fetch_all(count)
                counted.append(TableRows(self.dbname, table.schema, table.name, int(rows)))
        return tuple(counted)

    async def _store(
        self, id_: str, data_key: DataKey | None, moment: _Snapshot, patterns: Sequence[str]
    ) -> tuple[Stream, ...]:
        stream = DumpStream(
            self.repository,
            self.layout.backup(id_),
            data_key,
            lambda done: self.run.progress("dump", done, 0, "By"),
        )
        async with private_login(self.run, self.dbname) as (login, scratch):
            request = DumpRequest(
                self.dbname,
                self.tools.tool("pg_dump"),
                login.dbname,
                login.environment,
                moment.snapshot,
                patterns,
                scratch / "dump",
                schema_only=self.request.schema_only,
            )
            return await stream.take(self.run, request)


@asynccontextmanager
async def in_database(
    database: Database, dbname: str, *, timeout_s: float | None = None
) -> AsyncIterator[Session]:
    """A session of the database's role in another PostgreSQL database of its server."""
    async with database.dedicated_session(
        "write",
        application_name=APPLICATION,
        query_timeout_s=timeout_s,
        settings=_SETTINGS,
        dsn=database.dsn.to_postgres_database(dbname),
    ) as session:
        yield session


@asynccontextmanager
async def private_login(run: Run, dbname: str) -> AsyncIterator[tuple[ToolLogin, Path]]:
    """The login of a program to a PostgreSQL database, and a directory for it, which is removed."""
    conninfo = run.database.login(application_name=APPLICATION, dbname=dbname)
    directory = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="dump-", dir=run.scratch))
    try:
        yield await asyncio.to_thread(write_login, directory, conninfo), directory
    finally:
        with contextlib.suppress(FileNotFoundError):
            await asyncio.to_thread(shutil.rmtree, directory)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
