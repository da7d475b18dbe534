"""`dbops.v1.BackupService`: the methods that start no operation."""

import asyncio
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dbops.v1 import backup_pb2

from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.model.reports import BackupDescription, RecoveryWindow, WalGap, WalStatus
from dbopsd.backup.model.requests import check_label
from dbopsd.errors import DatabaseNotFound, InvalidField
from dbopsd.rpc.codec import Codec
from dbopsd.rpc.codec_values import enum_numbers
from dbopsd.rpc.encode import database_id
from dbopsd.rpc.operation_access import require
from dbopsd.rpc.paging import paginate
from dbopsd.rpc.times import instant
from dbopsd.rpc.validation import SEGMENT
from dbopsd.security.caller import Role

if TYPE_CHECKING:
    # It brings stores, codecs and keys, which a daemon without backups does without.
    from dbopsd.backup.reader import BackupReader

T = TypeVar("T")

_NAME: Final = re.compile(rf"databases/({SEGMENT})/backups/({SEGMENT})")
_CHANGEABLE: Final = ("held_until", "label")
_KINDS: Final = {
    number: kind
    for kind, number in enum_numbers(BackupKind, backup_pb2.Backup.Kind.DESCRIPTOR).items()
}
_BACKUPS: Final = Codec(backup_pb2.Backup.DESCRIPTOR, BackupDescription)
_WINDOWS: Final = Codec(backup_pb2.RecoveryWindow.DESCRIPTOR, RecoveryWindow)
_GAPS: Final = Codec(backup_pb2.WalGap.DESCRIPTOR, WalGap)
_WAL: Final = Codec(backup_pb2.WalStatus.DESCRIPTOR, WalStatus)


class BackupService:
    """Reads the store at each call. `load` makes the reader, in a thread: it is much to import."""

    def __init__(self, databases: Collection[str], load: "Callable[[], BackupReader]") -> None:
        self._databases = databases
        self._load = load
        self._reader: BackupReader | None = None

    async def GetBackup(  # noqa: N802 - gRPC's names
        self, request: backup_pb2.GetBackupRequest, context: Any
    ) -> Any:
        """A backup, with its objects."""
        database, id_ = self._backup(request.name)
        return _BACKUPS.encode(await (await self._read(database)).get(database, id_))

    async def ListBackups(  # noqa: N802
        self, request: backup_pb2.ListBackupsRequest, context: Any
    ) -> backup_pb2.ListBackupsResponse:
        """A page of the backups of a database, the oldest first."""
        database = database_id(request.parent)
        if request.kind and request.kind not in _KINDS:
            raise InvalidField("kind", f"has the value {request.kind}, which is not known here")
        kind = _KINDS.get(request.kind)
        reader = await self._read(database)
        found = await reader.list(database, kind, expired=request.show_expired)
        page = paginate(
            sorted(found, key=_key),
            key=_key,
            of=f"ListBackups {request.parent}",
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return backup_pb2.ListBackupsResponse(
            backups=_encoded(_BACKUPS, page.items),
            next_page_token=page.next_page_token,
        )

    async def UpdateBackup(  # noqa: N802
        self, request: backup_pb2.UpdateBackupRequest, context: Any
    ) -> Any:
        """Hold a backup, end its hold, or change its label."""
        wanted, paths = request.backup, set(request.update_mask.paths)
        if not _NAME.fullmatch(wanted.name):
            problem = "is not of the form databases/{database}/backups/{backup}"
            raise InvalidField("backup.name", problem)
        if not paths or paths - set(_CHANGEABLE):
            raise InvalidField("update_mask", f"may name {' and '.join(_CHANGEABLE)} only")
        try:
            check_label(wanted.label)
        except InvalidField as error:
            raise replace(error, field="backup.label") from None
        until = _until(wanted)
        database, id_ = self._backup(wanted.name)
        reader = await self._read(database)
        found = await reader.get(database, id_)
        if "held_until" in paths and _exposes(found.held_until, until):
            require(Role.ADMIN, database)
        if not request.validate_only:
            if "label" in paths:
                found = await reader.label(database, id_, wanted.label)
            if "held_until" in paths:
                found = await reader.hold(database, id_, until)
        return _BACKUPS.encode(found)

    async def ListRecoveryWindows(  # noqa: N802
        self, request: backup_pb2.ListRecoveryWindowsRequest, context: Any
    ) -> backup_pb2.ListRecoveryWindowsResponse:
        """A page of the moments that can be restored to, and every gap."""
        database = database_id(request.parent)
        found = await (await self._read(database)).windows(database)
        page = paginate(
            sorted(found.windows, key=_window_key),
            key=_window_key,
            of=f"ListRecoveryWindows {request.parent}",
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return backup_pb2.ListRecoveryWindowsResponse(
            windows=_encoded(_WINDOWS, page.items),
            gaps=_encoded(_GAPS, found.gaps),
            notes=found.notes,
            next_page_token=page.next_page_token,
        )

    async def GetWalStatus(  # noqa: N802
        self, request: backup_pb2.GetWalStatusRequest, context: Any
    ) -> Any:
        """How far the WAL archive is."""
        database = database_id(request.name)
        return _WAL.encode(await (await self._read(database)).wal_status(database))

    async def _read(self, database: str) -> "BackupReader":
        """The reader, for one of its databases. Raises `DatabaseNotFound`."""
        if database not in self._databases:
            raise DatabaseNotFound(database)
        if self._reader is None:
            self._reader = await asyncio.to_thread(self._load)
        return self._reader

    def _backup(self, name: str) -> tuple[str, str]:
        """The database and the backup of a checked `databases/{database}/backups/{backup}`."""
        _, database, _, id_ = name.split("/")
        return database, id_


def _encoded(codec: Codec[T], values: Iterable[T]) -> list[Any]:
    return [codec.encode(value) for value in values]


def _exposes(held: datetime | None, until: datetime | None) -> bool:
    """Whether a backup could be removed sooner than now."""
    return held is not None and held > datetime.now(UTC) and (until is None or until < held)


def _until(wanted: backup_pb2.Backup) -> datetime | None:
    if not wanted.HasField("held_until"):
        return None
    try:
        return datetime.fromtimestamp(instant(wanted.held_until), UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidField("backup.held_until", "is no time until the year 9999") from None


def _key(backup: BackupDescription) -> str:
    # Those whose commit record is damaged have no start, and come first.
    return f"{_instant(backup.start_time)} {backup.name}"


def _window_key(window: RecoveryWindow) -> str:
    return f"{_instant(window.start_time)} {window.timeline:010} {window.start_lsn}"


def _instant(time: datetime | None) -> str:
    return "" if time is None else time.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%f")
