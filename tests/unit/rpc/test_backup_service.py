"""BackupService's methods that start nothing, on a shelf of backups."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dbops.v1 import backup_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from dbopsd.backup.catalog.errors import BackupNotFound
from dbopsd.backup.catalog.kind import BackupKind, BackupState
from dbopsd.backup.model.reports import (
    BackupDescription,
    RecoveryWindow,
    RecoveryWindows,
    WalGap,
    WalState,
    WalStatus,
)
from dbopsd.errors import DatabaseNotFound, InvalidField
from dbopsd.rpc.audit_fields import compile_quoting
from dbopsd.rpc.backup_service import BackupService
from dbopsd.security.caller import Caller, Role, current_caller
from dbopsd.security.errors import RoleMissing

NAME = "databases/main/backups/full-1"
START = datetime(2026, 11, 30, 2, 0, 0, 123_456, UTC)
FULL = BackupDescription(NAME, BackupState.COMPLETE, kind=BackupKind.FULL, start_time=START)
LATER = datetime.now(UTC).replace(microsecond=123_456) + timedelta(days=30)


class Shelf:
    """Backups in memory, and what was asked of them."""

    def __init__(self, *backups: BackupDescription) -> None:
        self.backups = {each.name.rpartition("/")[2]: each for each in backups}
        self.asked: list[Any] = []
        self.found = RecoveryWindows()

    async def get(self, database: str, id_: str) -> BackupDescription:
        if id_ not in self.backups:
            raise BackupNotFound(database, id_)
        return self.backups[id_]

    async def list(self, database: str, kind: Any, *, expired: bool) -> list[BackupDescription]:
        self.asked.append((database, kind, expired))
        return list(self.backups.values())

    async def hold(self, database: str, id_: str, until: datetime | None) -> BackupDescription:
        self.backups[id_] = replace(self.backups[id_], held_until=until)
        return self.backups[id_]

    async def label(self, database: str, id_: str, label: str) -> BackupDescription:
        self.backups[id_] = replace(self.backups[id_], label=label)
        return self.backups[id_]

    async def windows(self, database: str) -> RecoveryWindows:
        return self.found

    async def wal_status(self, database: str) -> WalStatus:
        return WalStatus(WalState.STREAMING, lag_bytes=0, archived_time=START)


def service(shelf: Shelf) -> BackupService:
    return BackupService(["main"], lambda: shelf)  # type: ignore[arg-type, return-value]


@contextmanager
def calling(role: Role) -> Iterator[None]:
    token = current_caller.set(Caller("ann", role=role))
    try:
        yield
    finally:
        current_caller.reset(token)


def update(*paths: str, until: datetime | None = None, **fields: Any) -> Any:
    wanted = backup_pb2.Backup(name=NAME, **fields)
    if until is not None:
        wanted.held_until.FromDatetime(until)
    return backup_pb2.UpdateBackupRequest(backup=wanted, update_mask=FieldMask(paths=paths))


class TestRead:
    async def test_a_backup_is_sent_as_it_is(self) -> None:
        request = backup_pb2.GetBackupRequest(name=NAME)
        found = await service(Shelf(replace(FULL, last_verified=START))).GetBackup(request, None)
        assert (found.name, found.kind) == (NAME, backup_pb2.Backup.FULL)
        assert found.last_verified == found.start_time
        assert found.start_time.ToJsonString() == "2026-11-30T02:00:00.123456Z"

    async def test_a_database_that_there_is_not(self) -> None:
        request = backup_pb2.GetBackupRequest(name="databases/other/backups/full-1")
        with pytest.raises(DatabaseNotFound):
            await service(Shelf(FULL)).GetBackup(request, None)

    async def test_pages_hold_each_backup_once_the_oldest_first(self) -> None:
        names = [f"databases/main/backups/full-{number}" for number in (3, 1, 2)]
        starts = [START + timedelta(microseconds=each) for each in (3, 1, 2)]
        broken = BackupDescription(f"{NAME}-x", BackupState.BROKEN)
        shelf = Shelf(
            *(replace(FULL, name=n, start_time=s) for n, s in zip(names, starts, strict=True)),
            broken,
        )
        seen: list[str] = []
        token = ""
        while True:
            request = backup_pb2.ListBackupsRequest(
                parent="databases/main", page_size=2, page_token=token, kind="FULL"
            )
            page = await service(shelf).ListBackups(request, None)
            seen += [each.name for each in page.backups]
            token = page.next_page_token
            if not token:
                break
        assert seen == [broken.name, *sorted(names)]
        assert shelf.asked == [("main", BackupKind.FULL, False)] * 2

    async def test_a_kind_that_is_not_known(self) -> None:
        request = backup_pb2.ListBackupsRequest(parent="databases/main", kind=77)  # type: ignore[arg-type]
        with pytest.raises(InvalidField, match="not known"):
            await service(Shelf()).ListBackups(request, None)

    async def test_windows_are_paged_and_gaps_are_on_each_page(self) -> None:
        shelf = Shelf()
        window = RecoveryWindow(1, START, "0/1", START, "0/2", NAME)
        others = [replace(window, start_time=START + timedelta(hours=each)) for each in (2, 1)]
        shelf.found = RecoveryWindows((*others, window), (WalGap(1, "0/2", "0/3"),), ("a note",))
        request = backup_pb2.ListRecoveryWindowsRequest(parent="databases/main", page_size=2)
        first = await service(shelf).ListRecoveryWindows(request, None)
        request.page_token = first.next_page_token
        second = await service(shelf).ListRecoveryWindows(request, None)
        hours = [each.start_time.ToDatetime().hour for each in (*first.windows, *second.windows)]
        assert hours == [2, 3, 4]
        assert list(first.gaps) == list(second.gaps) != []
        assert list(first.notes) == list(second.notes) == ["a note"]

    async def test_the_wal_status_tells_nothing_from_not_known(self) -> None:
        request = backup_pb2.GetWalStatusRequest(name="databases/main")
        found = await service(Shelf()).GetWalStatus(request, None)
        assert (found.HasField("lag_bytes"), found.lag_bytes) == (True, 0)
        assert not found.HasField("spool_bytes")


class TestUpdate:
    async def test_an_operator_holds_and_labels(self) -> None:
        shelf = Shelf(FULL)
        with calling(Role.OPERATOR):
            found = await service(shelf).UpdateBackup(
                update("held_until", "label", until=LATER, label="weekly"), None
            )
        assert found.held_until.ToDatetime(tzinfo=UTC) == LATER
        assert (found.label, shelf.backups["full-1"].label) == ("weekly", "weekly")

    @pytest.mark.parametrize("until", [None, LATER - timedelta(days=1)])
    async def test_an_operator_does_not_end_a_hold(self, until: datetime | None) -> None:
        shelf = Shelf(replace(FULL, held_until=LATER))
        with calling(Role.OPERATOR), pytest.raises(RoleMissing):
            await service(shelf).UpdateBackup(update("held_until", until=until), None)
        assert shelf.backups["full-1"].held_until == LATER
        with calling(Role.ADMIN):
            await service(shelf).UpdateBackup(update("held_until", until=until), None)
        assert shelf.backups["full-1"].held_until == until

    async def test_an_operator_may_make_a_hold_longer_and_release_what_is_not_held(self) -> None:
        past = datetime.now(UTC) - timedelta(days=1)
        for held, until in ((LATER, LATER + timedelta(days=1)), (None, None), (past, None)):
            shelf = Shelf(replace(FULL, held_until=held))
            with calling(Role.OPERATOR):
                await service(shelf).UpdateBackup(update("held_until", until=until), None)

    async def test_only_what_the_mask_names_is_changed(self) -> None:
        shelf = Shelf(replace(FULL, held_until=LATER))
        with calling(Role.OPERATOR):
            await service(shelf).UpdateBackup(update("label", label="x"), None)
        assert shelf.backups["full-1"] == replace(FULL, held_until=LATER, label="x")

    async def test_validating_changes_nothing(self) -> None:
        shelf = Shelf(FULL)
        request = update("held_until", until=LATER)
        request.validate_only = True
        with calling(Role.OPERATOR):
            await service(shelf).UpdateBackup(request, None)
        assert shelf.backups["full-1"] == FULL
        request.backup.name = f"{NAME}-x"
        with calling(Role.OPERATOR), pytest.raises(BackupNotFound):
            await service(shelf).UpdateBackup(request, None)

    @pytest.mark.parametrize(
        ("request_", "field"),
        [
            (update(), "update_mask"),
            (update("state"), "update_mask"),
            (update("label", label="x" * 201), "backup.label"),
            (update("label", label="a\nb"), "backup.label"),
            (update("held_until", held_until=Timestamp(seconds=2**60)), "backup.held_until"),
            (
                backup_pb2.UpdateBackupRequest(backup=backup_pb2.Backup(name="databases/main")),
                "backup.name",
            ),
        ],
    )
    async def test_what_cannot_be_is_refused(self, request_: Any, field: str) -> None:
        with pytest.raises(InvalidField) as caught:
            await service(Shelf(FULL)).UpdateBackup(request_, None)
        assert caught.value.field == field


def test_the_audit_log_says_which_backup_is_held_until_when() -> None:
    request = update("held_until", until=START, label="a secret")
    quoted = compile_quoting(request.DESCRIPTOR)(request)
    assert quoted.resource == (
        ("backup.name", NAME),
        ("backup.held_until", "2026-11-30T02:00:00.123456Z"),
    )
