"""Takes a full or incremental backup of a cluster, up to its commit record."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from dbopsd.backup.catalog.commit import CommitRecord, RowCounts, write_commit
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.catalog.layout import Layout, new_backup_id
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.codec.sealed_object import DataKey
from dbopsd.backup.leases import hold_lease
from dbopsd.backup.model.requests import CreateBackupRequest, Source
from dbopsd.backup.physical.archived_wal import Patience, wait_until_kept, wait_until_stored
from dbopsd.backup.physical.backup_manifest import NeededWal
from dbopsd.backup.physical.base_backup import (
    BaseBackup,
    BaseBackupRequest,
    StreamWriters,
    take_base_backup,
)
from dbopsd.backup.physical.errors import (
    BaseBackupRefused,
    IncrementalUnsupported,
    NoSuchSource,
    WalNotStored,
)
from dbopsd.backup.physical.incremental import NoParent, find_chain, parent_manifest
from dbopsd.backup.physical.source import APPLICATION, BackupSource, find_source, source_session
from dbopsd.backup.physical.spooled_backup import take_spooled_backup
from dbopsd.backup.repository import Repository
from dbopsd.backup.row_counts.count_rows import Limits, count_rows
from dbopsd.backup.row_counts.later_record import write_later_record
from dbopsd.backup.server import read_server
from dbopsd.backup.wal.first_use import prepare_store
from dbopsd.db.client_tools import at_least, installations
from dbopsd.db.errors import DatabaseError
from dbopsd.db.statement import Statement
from dbopsd.operations.kind import Run

_CLOCK: Final = Statement("SELECT pg_catalog.clock_timestamp()", "SELECT clock_timestamp")
_TOOLS: Final = ("pg_basebackup",)
# https://ucum.org
_BYTES: Final = "By"
_INCREMENTAL_SINCE: Final = 17
# Rows are worth less than the backup: without the WAL to check them it is committed all the same.
_COUNTS_WAL_S: Final = 60.0


async def take_physical_backup(
    run: Run,
    repository: Repository,
    request: CreateBackupRequest,
    patience: Patience | None = None,
) -> CommitRecord:
    """Take a full or an incremental backup, and commit it.

    Where an incremental one cannot be, it is full, and says why. Where a standby is preferred, and
    there is none or it refuses, it is the primary's, and says why.
    """
    patience = patience or Patience()
    if request.source is not None or repository.config.source != "prefer-standby":
        source = await find_source(run.database, request.source)
        return await take_from(source, run, repository, request, patience)
    try:
        standby = await find_source(run.database, Source.STANDBY)
    except (NoSuchSource, DatabaseError) as error:
        problem = (
            f"no host of the dsn is a standby ({error.problem})"
            if isinstance(error, NoSuchSource)
            else error.message
        )
        why = f"a standby: {problem}"
    else:
        try:
            return await take_from(standby, run, repository, request, patience)
        except BaseBackupRefused as error:
            why = f"{standby.description}: {error.cause}"
    primary = await find_source(run.database, Source.PRIMARY)
    return await take_from(replace(primary, in_place_of=why), run, repository, request, patience)


async def take_from(
    source: BackupSource,
    run: Run,
    repository: Repository,
    request: CreateBackupRequest,
    patience: Patience,
) -> CommitRecord:
    """Take a backup from this server. Otherwise as `take_physical_backup`."""
    await prepare_store(repository, run.database, run.state_dir)
    return await _PhysicalBackup(run, repository, request, source, patience).take()


@dataclass(frozen=True)
class _Parent:
    """What an incremental backup rests on."""

    record: CommitRecord
    manifest: Path


@dataclass
class _PhysicalBackup:
    """One backup that is taken from `source`."""

    run: Run
    repository: Repository
    request: CreateBackupRequest
    source: BackupSource
    patience: Patience
    fallback: str = field(default="", init=False)

    @property
    def layout(self) -> Layout:
        return self.repository.layout(self.source.server.system_identifier)

    @property
    def wal_off(self) -> bool:
        return self.repository.config.wal == "off"

    async def take(self) -> CommitRecord:
        server = self.source.server
        incremental = self.request.kind is BackupKind.INCREMENTAL
        if incremental and server.major < _INCREMENTAL_SINCE:
            raise IncrementalUnsupported(self.run.database.name, server.version)
        if incremental:
            try:
                return await self._take_incremental()
            except (NoParent, BaseBackupRefused) as error:
                self.fallback = error.cause if isinstance(error, BaseBackupRefused) else str(error)
        return await self._take(None)

    async def _take_incremental(self) -> CommitRecord:
        chain = await find_chain(self.repository, self.source.server)
        parent = chain[-1]
        async with AsyncExitStack() as stack:
            await self._lease(stack, "parent", [each.id for each in chain])
            manifest = await stack.enter_async_context(
                parent_manifest(self.repository, self.run.scratch, parent)
            )
            return await self._take(_Parent(parent, manifest))

    async def _take(self, parent: _Parent | None) -> CommitRecord:
        kind = BackupKind.INCREMENTAL if parent else BackupKind.FULL
        id_ = new_backup_id(kind.value, datetime.now(UTC))
        async with AsyncExitStack() as stack:
            # Before the first object: retention would take it for what a killed attempt has left.
            await self._lease(stack, "backup", making=id_)
            if self.repository.config.wal == "stream":
                await self._wait_for_receiver()
            data_key = await self.repository.keys.create()
            start_time = await self._clock()
            base = await self._base(id_, data_key, parent)
            stop_time = await self._clock()
            await self._wait_for_wal(base.needed_wal, self.patience)
            row_counts = await self._row_counts(base)
            server = self.source.server
            record = CommitRecord(
                id=id_,
                database=self.run.database.name,
                kind=kind,
                system_identifier=server.system_identifier,
                server_version=server.version,
                timeline=base.label.timeline,
                start_lsn=base.label.start,
                stop_lsn=base.needed_wal[-1].end,
                start_time=start_time,
                stop_time=stop_time,
                codec=str(self.repository.compression),
                made_by=version("dbopsd"),
                source=self.source.description,
                streams=base.streams,
                parent=parent.record.id if parent else "",
                parent_manifest_sha256=parent.record.manifest_sha256 if parent else "",
                key_id=self.repository.keys.key_id,
                data_key=data_key.id.hex() if data_key else "",
                manifest_sha256=base.manifest_sha256,
                segment_bytes=server.segment_bytes,
                checksums=server.checksums,
                tablespaces=base.tablespaces,
                row_counts=row_counts,
                label=self.request.label,
                fallback=self.fallback,
                wal_included=self.wal_off,
            )
            self.run.progress("commit")
            content = write_commit(record, data_key)
            await self.repository.store.create(self.layout.commit(id_), content)
        return record

    async def _lease(
        self, stack: AsyncExitStack, purpose: str, backups: Sequence[str] = (), making: str = ""
    ) -> None:
        """Keep backups, the one being made, and the WAL from now on until the context's end."""
        await stack.enter_async_context(
            hold_lease(
                self.repository.store,
                self.layout,
                f"create-{self.run.operation}-{purpose}",
                backups=backups,
                making=making,
                wal_from=self.source.server.position,
            )
        )

    async def _wait_for_receiver(self) -> None:
        """Return once WAL from now on is kept. Raises `WalNotStored`."""
        self.run.progress("wal")
        await wait_until_kept(
            self.run.database, self.repository, self.layout, self.source.server, self.patience
        )

    async def _base(self, id_: str, data_key: DataKey | None, parent: _Parent | None) -> BaseBackup:
        run = self.run
        found = await installations(run.database.config.pg_bin)
        tool = at_least(run.database.name, found, self.source.server.major, _TOOLS)
        request = BaseBackupRequest(
            database=run.database.name,
            tool=tool.tool(_TOOLS[0]),
            conninfo=run.database.login(application_name=APPLICATION, host=self.source.host),
            label=id_,
            checkpoint=self.request.checkpoint,
            fetch_wal=self.wal_off,
            rate_limit_bytes=self.repository.config.rate_limit,
            incremental=parent.manifest if parent else None,
        )
        # How much an incremental one will be is not known.
        total = 0 if parent else self.source.size_bytes

        def advance(done: int) -> None:
            run.progress("copy", done, max(total, done) if total else 0, _BYTES)

        run.progress("checkpoint")
        writers = StreamWriters(self.repository, self.layout.backup(id_), data_key)
        # One pipe takes the tar of the data directory only.
        take = take_spooled_backup if self.source.tablespaces else take_base_backup
        return await take(run, run.scratch, request, writers, advance)

    async def _row_counts(self, base: BaseBackup) -> RowCounts:
        """The rows of tables soon after the backup; no table where they cannot be known."""
        stop = base.needed_wal[-1].end
        try:
            return await self._count_rows(stop)
        except DatabaseError as error:
            return _nothing_counted(stop, error.message)
        except WalNotStored as error:
            return _nothing_counted(stop, f"nothing can be replayed to then: {error.problem}")

    async def _count_rows(self, stop: Lsn) -> RowCounts:
        if self.wal_off:
            return _nothing_counted(stop, "without a WAL archive no later moment can be restored")
        primary = await read_server(self.run.database)
        own = self.source.server
        if primary.in_recovery:
            return _nothing_counted(stop, "no host of the dsn takes writes")
        if (primary.system_identifier, primary.timeline) != (own.system_identifier, own.timeline):
            return _nothing_counted(stop, "another server took over during the backup")

        def advance(done: int, total: int) -> None:
            self.run.progress("rows", done, total, "{table}")

        counts = await count_rows(self.run.database, Limits(), advance)
        # A drill replays to just before this record.
        needed = NeededWal(own.timeline, stop, await write_later_record(self.run.database))
        standstill_s = min(self.patience.standstill_s, _COUNTS_WAL_S)
        await self._wait_for_wal([needed], replace(self.patience, standstill_s=standstill_s))
        return counts

    async def _wait_for_wal(self, needed: Sequence[NeededWal], patience: Patience) -> None:
        if self.wal_off:
            return

        def advance(done: int, total: int) -> None:
            self.run.progress("wal", done, total, _BYTES)

        await wait_until_stored(
            self.repository,
            self.layout,
            needed,
            self.source.server.segment_bytes,
            patience,
            advance,
        )

    async def _clock(self) -> datetime:
        """The time on the server whose clock dates commits, or else on the source."""
        database = self.run.database
        try:
            ((now,),) = await database.run(
                lambda session: session.fetch_all(_CLOCK), idempotent=True
            )
        except DatabaseError:
            async with source_session(database, self.source.host) as session:
                ((now,),) = await session.fetch_all(_CLOCK)
        found: datetime = now
        return found.astimezone(UTC)


def _nothing_counted(stop: Lsn, reason: str) -> RowCounts:
    return RowCounts(stop, (), (f"every table: {reason}",))
