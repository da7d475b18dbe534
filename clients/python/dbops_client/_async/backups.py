"""`client.backups`: backups, restores and the WAL archive, by BackupService."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Unpack

from dbops.v1 import backup_pb2, backup_pb2_grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from dbops_client._async.operations import AsyncOperation, AsyncOperationStarter
from dbops_client._metadata import Metadata
from dbops_client._names import backup_name, database_name
from dbops_client._start_request import StartOptions

if TYPE_CHECKING:
    from dbops.v1.backup_pb2_grpc import BackupServiceAsyncStub

_PAGE_SIZE = 1000

BackupKind = Literal["FULL", "INCREMENTAL", "LOGICAL"]


class CreateBackupOptions(StartOptions, total=False):
    """The options of a backup, as the fields of `CreateBackupRequest` describe them."""

    kind: BackupKind
    checkpoint: Literal["FAST", "SPREAD"]
    source: Literal["PRIMARY", "STANDBY"]
    label: str
    hold_until: datetime
    dbname: str
    tables: Sequence[str]
    schema_only: bool


class VerifyBackupsOptions(StartOptions, total=False):
    """The options of a verification, as the fields of `VerifyBackupsRequest` describe them."""

    all: bool
    depth: Literal["OBJECTS", "CONTENTS"]


class DeleteBackupOptions(StartOptions, total=False):
    """The options of a deletion. With `dry_run` the operation only says what it would delete."""

    with_children: bool
    dry_run: bool


class RestoreBackupOptions(StartOptions, total=False):
    """The options of a restore, as the fields of `RestoreBackupRequest` describe them.

    With `dry_run` the operation only makes the plan.
    """

    target: backup_pb2.RecoveryTarget
    backup: str
    directory: str
    tablespace_mappings: Mapping[str, str]
    target_action: Literal["PROMOTE", "PAUSE"]
    start: bool
    dbname: str
    tables: Sequence[str]
    dry_run: bool


class DrillBackupOptions(StartOptions, total=False):
    """The options of a drill, as the fields of `DrillBackupRequest` describe them."""

    target: backup_pb2.RecoveryTarget
    backup: str
    random: bool
    check_sql: str
    keep: bool


class ApplyRetentionOptions(StartOptions, total=False):
    """The options of retention. With `dry_run` the operation only says what it would do."""

    dry_run: bool


class AsyncBackupsClient(AsyncOperationStarter):
    """Backups of a database.

    A backup is given as its id or as its resource name, `databases/main/backups/ID`. Directories
    are on the machine of the daemon's workers. An option that is not given has the default that
    its request describes.
    """

    @cached_property
    def _stub(self) -> "BackupServiceAsyncStub":
        return backup_pb2_grpc.BackupServiceStub(self._transport.channel)

    async def create(
        self, database: str, **options: Unpack[CreateBackupOptions]
    ) -> AsyncOperation[backup_pb2.Backup]:
        """Start to take a backup."""
        return await self._start(
            self._stub.CreateBackup,
            backup_pb2.CreateBackupRequest,
            backup_pb2.Backup,
            options,
            name=database_name(database),
        )

    async def get(
        self,
        database: str,
        backup: str,
        *,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> backup_pb2.Backup:
        """Return a backup, with its objects."""
        request = backup_pb2.GetBackupRequest(name=backup_name(database, backup))
        return await self._transport.call(self._stub.GetBackup, request, timeout_s, metadata)

    def list(
        self,
        database: str,
        *,
        kind: BackupKind | None = None,
        show_expired: bool = False,
        page_size: int = 0,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> AsyncIterator[backup_pb2.Backup]:
        """Iterate over the backups of `database`, the oldest first, over all pages.

        Pages are fetched as `client.databases.list` does.
        """
        request = backup_pb2.ListBackupsRequest(
            parent=database_name(database),
            kind=backup_pb2.Backup.Kind.Value(kind or "KIND_UNSPECIFIED"),
            show_expired=show_expired,
            page_size=page_size,
        )
        return self._list(
            self._stub.ListBackups, request, lambda page: page.backups, timeout_s, metadata
        )

    async def hold(
        self,
        database: str,
        backup: str,
        until: datetime,
        *,
        validate_only: bool = False,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> backup_pb2.Backup:
        """Keep a backup, and what it rests on, from being removed before `until`; return it."""
        held_until = Timestamp()
        held_until.FromDatetime(until)
        change = backup_pb2.Backup(name=backup_name(database, backup), held_until=held_until)
        return await self._update(change, "held_until", validate_only, timeout_s, metadata)

    async def release(
        self,
        database: str,
        backup: str,
        *,
        validate_only: bool = False,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> backup_pb2.Backup:
        """End the hold of a backup; return it."""
        change = backup_pb2.Backup(name=backup_name(database, backup))
        return await self._update(change, "held_until", validate_only, timeout_s, metadata)

    async def label(
        self,
        database: str,
        backup: str,
        label: str,
        *,
        validate_only: bool = False,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> backup_pb2.Backup:
        """Change the label of a backup; return it."""
        change = backup_pb2.Backup(name=backup_name(database, backup), label=label)
        return await self._update(change, "label", validate_only, timeout_s, metadata)

    async def verify(
        self,
        database: str,
        backups: Sequence[str] = (),
        **options: Unpack[VerifyBackupsOptions],
    ) -> AsyncOperation[backup_pb2.VerifyBackupsResponse]:
        """Start to verify `backups`; none: all that are complete, and all WAL.

        Damage is no failure: `VerifyBackupsResponse.ok` tells whether there is any.
        """
        return await self._start(
            self._stub.VerifyBackups,
            backup_pb2.VerifyBackupsRequest,
            backup_pb2.VerifyBackupsResponse,
            options,
            name=database_name(database),
            backups=[backup_name(database, each) for each in backups],
        )

    async def delete(
        self, database: str, backup: str, **options: Unpack[DeleteBackupOptions]
    ) -> AsyncOperation[backup_pb2.DeleteBackupResponse]:
        """Start to delete a backup, whatever retention says."""
        return await self._start(
            self._stub.DeleteBackup,
            backup_pb2.DeleteBackupRequest,
            backup_pb2.DeleteBackupResponse,
            options,
            name=database_name(database),
            backup=backup_name(database, backup),
        )

    async def restore(
        self, database: str, **options: Unpack[RestoreBackupOptions]
    ) -> AsyncOperation[backup_pb2.RestoreReport]:
        """Start to restore a database into a directory."""
        if options.get("backup"):
            options["backup"] = backup_name(database, options["backup"])
        return await self._start(
            self._stub.RestoreBackup,
            backup_pb2.RestoreBackupRequest,
            backup_pb2.RestoreReport,
            options,
            name=database_name(database),
        )

    async def drill(
        self, database: str, **options: Unpack[DrillBackupOptions]
    ) -> AsyncOperation[backup_pb2.DrillReport]:
        """Start to restore into a scratch server and to check it.

        A check that fails is no failure: `DrillReport.ok` tells whether all passed.
        """
        if options.get("backup"):
            options["backup"] = backup_name(database, options["backup"])
        return await self._start(
            self._stub.DrillBackup,
            backup_pb2.DrillBackupRequest,
            backup_pb2.DrillReport,
            options,
            name=database_name(database),
        )

    async def windows(
        self, database: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> backup_pb2.ListRecoveryWindowsResponse:
        """Return the windows of all pages, the moments that can be restored to, and every gap.

        `timeout_s` is for each page of 1000.
        """
        extra = tuple(metadata)
        whole = backup_pb2.ListRecoveryWindowsResponse()
        token = ""
        while True:
            request = backup_pb2.ListRecoveryWindowsRequest(
                parent=database_name(database), page_size=_PAGE_SIZE, page_token=token
            )
            page = await self._transport.call(
                self._stub.ListRecoveryWindows, request, timeout_s, extra
            )
            whole.windows.extend(page.windows)
            if not token:
                whole.gaps.extend(page.gaps)
                whole.notes.extend(page.notes)
            token = page.next_page_token
            if not token:
                return whole

    async def apply_retention(
        self, database: str, **options: Unpack[ApplyRetentionOptions]
    ) -> AsyncOperation[backup_pb2.ApplyRetentionResponse]:
        """Start to expire and delete what retention no longer wants."""
        return await self._start(
            self._stub.ApplyRetention,
            backup_pb2.ApplyRetentionRequest,
            backup_pb2.ApplyRetentionResponse,
            options,
            name=database_name(database),
        )

    async def rotate_keys(
        self, database: str, to: str, **options: Unpack[StartOptions]
    ) -> AsyncOperation[backup_pb2.RotateKeysResponse]:
        """Start to wrap every data key by the key `to`."""
        return await self._start(
            self._stub.RotateKeys,
            backup_pb2.RotateKeysRequest,
            backup_pb2.RotateKeysResponse,
            options,
            name=database_name(database),
            to=to,
        )

    async def wal_status(
        self, database: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> backup_pb2.WalStatus:
        """Return how far the WAL archive of `database` is."""
        request = backup_pb2.GetWalStatusRequest(name=database_name(database))
        return await self._transport.call(self._stub.GetWalStatus, request, timeout_s, metadata)

    async def _update(
        self,
        change: backup_pb2.Backup,
        field: str,
        validate_only: bool,
        timeout_s: float | None,
        metadata: Metadata,
    ) -> backup_pb2.Backup:
        request = backup_pb2.UpdateBackupRequest(
            backup=change, update_mask=FieldMask(paths=[field]), validate_only=validate_only
        )
        return await self._transport.call(self._stub.UpdateBackup, request, timeout_s, metadata)
