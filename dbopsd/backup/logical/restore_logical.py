"""Restores a dump, or tables of it, into a PostgreSQL database of the configured server.

All of it in one transaction: it is there whole, or nothing is. What exists already is never
touched. Afterwards the rows of every table are counted and compared with the backup's; of a backup
of the schema alone, the tables are looked for. A new database has a name of dbopsd's own until then
(`new_database.py`).

Owners and privileges are not restored: all belongs to the role that dbopsd logs in as, whether or
not the former owners exist, and nobody else has rights on it. Subscriptions are left out, lest a
copy begins to receive what the original does.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dbopsd.backup.catalog.commit import CommitRecord, TableRows
from dbopsd.backup.leases import hold_lease
from dbopsd.backup.logical.create_logical import COUNT_ROWS, in_database, private_login
from dbopsd.backup.logical.dump_choice import check_request, chosen_tables
from dbopsd.backup.logical.dump_stream import cause_of
from dbopsd.backup.logical.errors import LogicalRestoreFailed, TablesExist
from dbopsd.backup.logical.new_database import NewDatabase
from dbopsd.backup.logical.stored_dump import (
    StoredDump,
    read_toc,
    scratch_bytes,
    served_dump,
)
from dbopsd.backup.logical.toc import TABLE, Toc, TocEntry
from dbopsd.backup.model.description import backup_name
from dbopsd.backup.model.reports import RestorePlan, RestoreReport
from dbopsd.backup.model.requests import RestoreBackupRequest
from dbopsd.backup.repository import Repository
from dbopsd.backup.scratch_room import require_room
from dbopsd.backup.server import read_server
from dbopsd.db.client_tools import at_least, installations
from dbopsd.db.server.installation import Installation
from dbopsd.db.statement import Statement, load_sql
from dbopsd.operations.kind import Run

_PROGRAM: Final = "pg_restore"
_EXISTING: Final = load_sql(__package__, "existing_relations.sql").statement
_DATABASE: Final = Statement(
    "SELECT oid::pg_catalog.int8 FROM pg_catalog.pg_database"
    " WHERE datname OPERATOR(pg_catalog.=) %s",
    "SELECT pg_database",
)
_SCHEMAS: Final = Statement(
    "SELECT nspname::pg_catalog.text FROM pg_catalog.pg_namespace", "SELECT pg_namespace"
)
_DROP_TABLE: Final = Statement("DROP TABLE IF EXISTS {table} CASCADE", "DROP TABLE")
_OWNERS: Final = (
    "Owners and privileges are not restored: all of it belongs to role {role}, and nobody else has "
    "rights on it."
)
_NO_REFERENCES: Final = (
    "Foreign keys to tables that were not restored with it are left out, and so are views."
)
# CREATE EXTENSION pg_cron succeeds only in the database that cron.database_name names.
_BOUND_TO_A_NAME: Final = frozenset({"pg_cron"})
_CREATE_IT_FIRST: Final = (
    ". Extension {extension} goes only into a database of a certain name, and a new one gets its "
    "name last: create PostgreSQL database '{database}' empty and restore again, which restores in "
    "place"
)
_NO_ROWS: Final = (
    "The backup holds the schema alone: every table is empty, sequences begin anew, materialized "
    "views are not populated, and there are no large objects."
)
_TAKES_ROOM: Final = (
    "The pg_restore of PostgreSQL 15 reads files only: it needs {mib} MiB of the worker's disk for "
    "as long as it runs."
)


async def restore_logical(
    run: Run, repository: Repository, record: CommitRecord, request: RestoreBackupRequest
) -> RestoreReport:
    """Restore the dump `record`, or `request.tables` of it, into `request.dbname`.

    That is created where it does not exist, and is there once it is whole; empty: the PostgreSQL
    database that was dumped. A foreign key comes with a table if the other table does. Raises
    `TablesExist`, `DumpedTableNotFound`, `ToolsTooOld`, `ScratchTooSmall`, `LogicalRestoreFailed`,
    `BackupDamaged` and what the server and the store do.
    """
    check_request(request)
    layout = repository.layout(record.system_identifier)
    async with hold_lease(
        repository.store, layout, f"restore-{run.operation}", backups=[record.id]
    ):
        toc = await read_toc(repository, record.streams)
        server = await read_server(run.database)
        dump_major = int(toc.dump_version.split(".")[0].split("devel")[0])
        found = await installations(run.database.config.pg_bin)
        tool = at_least(run.database.name, found, max(server.major, dump_major), (_PROGRAM,))
        dbname = request.dbname or record.dbname
        work = _LogicalRestore(run, repository, record, request, toc, tool, dbname)
        return await work.restore()


@dataclass(frozen=True)
class _LogicalRestore:
    run: Run
    repository: Repository
    record: CommitRecord
    request: RestoreBackupRequest
    toc: Toc
    tool: Installation
    dbname: str

    async def restore(self) -> RestoreReport:
        began = time.monotonic()
        chosen = chosen_tables(self.record, self.toc.tables, self.request.tables)
        await require_room(self.run.scratch, self.record.id, self._scratch_bytes(chosen))
        there = await self._oid(self.dbname) is not None
        if self.request.dry_run:
            await self._require_free(chosen, there)
            return self._report(chosen, began)
        # Once only: what a later attempt finds there is of this one.
        there = await self.run.step(
            "look at the target", lambda: self._require_free(chosen, there), returns=bool
        )
        if there:
            if not await self._existing(chosen):
                await self._restore(self.dbname, chosen, await self._needed(chosen))
            await self._require_restored(self.dbname, chosen, made=False)
        else:
            await self._restore_new(chosen)
        return self._report(chosen, began)

    async def _restore_new(self, chosen: Sequence[tuple[str, str]]) -> None:
        """Make the database under a name of ours, and give it its own once it is whole.

        An attempt that comes after one that ended there finds it by its OID, under either name: it
        is dropped only where that is not recorded, or where the operation ends (`clean_up`).
        """
        database = NewDatabase(self.run, self.dbname)

        async def restore() -> int:
            try:
                await database.create()
                await self._restore(database.name, chosen, self._all_needed(chosen))
                await self._require_restored(database.name, chosen, made=True)
                return await database.oid()
            except BaseException:
                await asyncio.shield(database.drop())
                raise

        oid = await self.run.step("restore into a new database", restore, returns=int)
        self.run.progress("publish")
        await database.publish(oid)

    async def _oid(self, name: str) -> int | None:
        """The OID of a database; None where there is none of this name."""
        async with self.run.database.session() as session:
            found = await session.fetch_one(_DATABASE, (name,))
        return None if found is None else int(found[0])

    async def _require_free(self, chosen: Sequence[tuple[str, str]], there: bool) -> bool:
        """Raise `TablesExist` where something of it is there; whether the database is."""
        if there:
            existing = await self._existing(chosen)
            if existing:
                raise TablesExist(self.dbname, tuple(existing))
        return there

    async def _existing(self, chosen: Sequence[tuple[str, str]], dbname: str = "") -> list[str]:
        """Which tables, sequences and views that are to be restored exist."""
        relations = [
            each.relation
            for each in self._entries(chosen)
            if each.kind in (TABLE, "SEQUENCE", "VIEW", "MATERIALIZED VIEW")
        ]
        async with in_database(self.run.database, dbname or self.dbname) as session:
            found = await session.fetch_all(
                _EXISTING,
                {
                    "schemas": [schema for schema, _ in relations],
                    "names": [name for _, name in relations],
                },
            )
        return [f"{schema}.{name}" for schema, name in found]

    def _entries(self, chosen: Sequence[tuple[str, str]]) -> list[TocEntry]:
        """What is restored of the dump, without what that may need."""
        return self.toc.of_tables(chosen) if chosen else list(self.toc.entries)

    def _all_needed(self, chosen: Sequence[tuple[str, str]]) -> list[TocEntry]:
        """What is restored into a new database: with all that it needs."""
        return self.toc.with_needed(self._entries(chosen), lambda _entry: True)

    async def _needed(self, chosen: Sequence[tuple[str, str]]) -> list[TocEntry]:
        """What is restored into one that is there: with a schema that is missing there."""
        async with in_database(self.run.database, self.dbname) as session:
            schemas = {name for (name,) in await session.fetch_all(_SCHEMAS)}
        return self.toc.with_needed(
            self._entries(chosen),
            lambda entry: entry.kind == "SCHEMA" and entry.name not in schemas,
        )

    def _files(self, chosen: Sequence[tuple[str, str]]) -> list[str]:
        """The files of the dump that are read."""
        if not chosen:
            return [stream.name for stream in self.record.streams]
        return [each.file for each in self._all_needed(chosen) if each.file]

    def _scratch_bytes(self, chosen: Sequence[tuple[str, str]]) -> int:
        return scratch_bytes(self.record, self.tool, self._files(chosen))

    async def _restore(
        self, dbname: str, chosen: Sequence[tuple[str, str]], entries: Sequence[TocEntry]
    ) -> None:
        files = [each.file for each in entries if each.file] if chosen else self._files(chosen)
        self.run.progress("restore")
        async with (
            private_login(self.run, dbname) as (login, scratch),
            served_dump(
                self.repository, self.record, scratch, reader=self.tool, files=files
            ) as dump,
        ):
            listed = scratch / "entries"
            listed.write_text("".join(f"{each.id};\n" for each in entries))
            done = await dump.read_by(
                self.run.child(
                    str(self.tool.tool(_PROGRAM)),
                    f"--dbname={login.dbname}",
                    "--no-password",
                    "--single-transaction",
                    "--exit-on-error",
                    "--no-owner",
                    "--no-privileges",
                    "--no-subscriptions",
                    *([f"--use-list={listed}"] if chosen else []),
                    str(dump.directory),
                    environment=login.environment,
                    summary=_PROGRAM,
                )
            )
            if done.exit_status != 0:
                cause = cause_of(done.stderr, _PROGRAM) + self._advice(dbname, entries)
                raise LogicalRestoreFailed(self.dbname, cause)
            self._require_read(dump, files)

    def _advice(self, dbname: str, entries: Sequence[TocEntry]) -> str:
        """What to do where the name of a new database can be why it could not be restored."""
        bound = [
            entry.name
            for entry in entries
            if entry.kind == "EXTENSION" and entry.name in _BOUND_TO_A_NAME
        ]
        if not bound or dbname == self.dbname:
            return ""
        return _CREATE_IT_FIRST.format(extension=bound[0], database=self.dbname)

    def _require_read(self, dump: StoredDump, files: Sequence[str]) -> None:
        dump.require_read(name for name in files if name in dump.toc.data_files)

    async def _require_restored(
        self, dbname: str, chosen: Sequence[tuple[str, str]], *, made: bool
    ) -> None:
        """Raise `LogicalRestoreFailed` unless every table has the rows of the backup.

        Of the schema alone: unless every table is there.
        """
        if self.record.schema_only:
            existing = set(await self._existing(chosen, dbname))
            for schema, name in chosen or self.toc.tables:
                if f"{schema}.{name}" not in existing:
                    cause = f"table {schema}.{name} was not there after the restore"
                    raise LogicalRestoreFailed(self.dbname, cause)
            return
        self.run.progress("counting rows")
        async with in_database(self.run.database, dbname) as session:
            for table in self._counted(chosen):
                count = COUNT_ROWS.with_identifiers(table=(table.schema, table.table))
                ((rows,),) = await session.fetch_all(count)
                if rows != table.rows:
                    if not made:
                        await self._drop_tables(chosen)
                    cause = (
                        f"table {table.schema}.{table.table} had {rows} rows after the restore, "
                        f"and {table.rows} in the backup: something in the database changed them"
                    )
                    raise LogicalRestoreFailed(self.dbname, cause)

    async def _drop_tables(self, chosen: Sequence[tuple[str, str]]) -> None:
        async with (
            in_database(self.run.database, self.dbname) as session,
            session.transaction(),
        ):
            for relation in chosen or self.toc.tables:
                await session.execute(_DROP_TABLE.with_identifiers(table=relation))

    def _counted(self, chosen: Sequence[tuple[str, str]]) -> list[TableRows]:
        counts = self.record.row_counts
        return [
            table
            for table in (counts.tables if counts else ())
            if not chosen or (table.schema, table.table) in chosen
        ]

    def _report(self, chosen: Sequence[tuple[str, str]], began: float) -> RestoreReport:
        name = backup_name(self.repository.database, self.record.id)
        role = self.run.database.dsn.role or "of the dsn"
        room = self._scratch_bytes(chosen)
        return RestoreReport(
            directory="",
            chain=(name,),
            timeline=self.record.timeline,
            target=self.request.target,
            plan=RestorePlan(name),
            seconds=round(time.monotonic() - began, 3),
            instructions=(
                f"It is in PostgreSQL database {self.dbname}.",
                _OWNERS.format(role=role),
                *([_NO_ROWS] if self.record.schema_only else []),
                *([_NO_REFERENCES] if chosen else []),
                *([_TAKES_ROOM.format(mib=-(-room // 2**20))] if room else []),
            ),
            tables=self._table_lines(chosen),
            dry_run=self.request.dry_run,
            schema_only=self.record.schema_only,
        )

    def _table_lines(self, chosen: Sequence[tuple[str, str]]) -> tuple[str, ...]:
        """The tables that are restored, with what each has."""
        if self.record.schema_only:
            return tuple(f"{schema}.{name}: no rows" for schema, name in chosen or self.toc.tables)
        return tuple(
            f"{each.schema}.{each.table}: {each.rows} rows" for each in self._counted(chosen)
        )
