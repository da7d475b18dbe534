"""The requests of BackupService as the work gets them."""

from datetime import UTC, datetime

import pytest
from dbops.v1 import backup_pb2
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from dbopsd.backup.catalog.kind import BackupKind, BackupState
from dbopsd.backup.kinds import (
    APPLY_RETENTION,
    CREATE_BACKUP,
    DELETE_BACKUP,
    DRILL_BACKUP,
    RESTORE_BACKUP,
    ROTATE_KEYS,
    VERIFY_BACKUPS,
)
from dbopsd.backup.model.reports import BackupDescription
from dbopsd.backup.model.requests import RecoveryTarget
from dbopsd.errors import InvalidField
from dbopsd.operations.service import Operations, StartRequest, canonical_json
from dbopsd.rpc.operation_methods import OperationMethod
from dbopsd.rpc.operation_start import OperationStarter
from dbopsd.rpc.validation import compile_validator
from dbopsd.security.caller import Role

BACKUP = "databases/main/backups/full-1"
KINDS = {
    "CreateBackup": CREATE_BACKUP,
    "VerifyBackups": VERIFY_BACKUPS,
    "DeleteBackup": DELETE_BACKUP,
    "RestoreBackup": RESTORE_BACKUP,
    "DrillBackup": DRILL_BACKUP,
    "ApplyRetention": APPLY_RETENTION,
    "RotateKeys": ROTATE_KEYS,
}


def method(name: str) -> OperationMethod:
    return OperationMethod(KINDS[name], f"dbops.v1.BackupService/{name}")


@pytest.mark.parametrize("name", KINDS)
def test_requests_and_results_are_those_of_the_messages(name: str) -> None:
    method(name).compile()


def test_a_backups_name_becomes_its_id() -> None:
    verify = backup_pb2.VerifyBackupsRequest(name="databases/main", backups=[BACKUP])
    assert method("VerifyBackups").read(verify).backup_ids == ("full-1",)
    delete = backup_pb2.DeleteBackupRequest(name="databases/main", backup=BACKUP)
    assert method("DeleteBackup").read(delete).backup_id == "full-1"


def test_a_target_arrives_whole_and_its_time_to_the_microsecond() -> None:
    time = datetime(2026, 11, 30, 12, 0, 0, 123_456, UTC)
    sent = backup_pb2.RestoreBackupRequest(name="databases/main", tablespace_mappings={"/a": "/b"})
    sent.target.time.FromDatetime(time)
    sent.target.exclusive = True
    request = method("RestoreBackup").read(sent)
    assert request.target == RecoveryTarget(time=time, exclusive=True)
    assert request.tablespace_mappings == {"/a": "/b"}
    assert method("RestoreBackup").read_stored(canonical_json(type(request), request)) == request


@pytest.mark.parametrize(
    ("request_type", "fields", "field"),
    [
        (backup_pb2.DeleteBackupRequest, {"backup": "databases/b/backups/x"}, "backup"),
        (backup_pb2.RestoreBackupRequest, {"backup": "databases/main1/backups/x"}, "backup"),
        (
            backup_pb2.VerifyBackupsRequest,
            {"backups": [BACKUP, "databases/b/backups/x"]},
            "backups[1]",
        ),
    ],
)
def test_another_databases_backup_is_refused(request_type, fields, field) -> None:
    validate = compile_validator(request_type.DESCRIPTOR)
    with pytest.raises(InvalidField, match="is not one of databases/main") as caught:
        validate(request_type(name="databases/main", **fields))
    assert caught.value.field == field


def test_the_databases_own_backup_is_not() -> None:
    validate = compile_validator(backup_pb2.DeleteBackupRequest.DESCRIPTOR)
    validate(backup_pb2.DeleteBackupRequest(name="databases/main", backup=BACKUP))


@pytest.mark.parametrize("seconds", [2**62, -(2**62)])
def test_a_time_that_is_none_names_its_field(seconds: int) -> None:
    target = backup_pb2.RecoveryTarget(time=Timestamp(seconds=seconds))
    sent = backup_pb2.RestoreBackupRequest(name="databases/main", target=target)
    with pytest.raises(InvalidField, match="is no time") as caught:
        method("RestoreBackup").read(sent)
    assert caught.value.field == "target.time"


def test_a_rule_of_the_target_names_the_field_of_the_request() -> None:
    target = backup_pb2.RecoveryTarget(latest=True, xid="800")
    sent = backup_pb2.DrillBackupRequest(name="databases/main", target=target)
    with pytest.raises(InvalidField, match="no other target") as caught:
        method("DrillBackup").read(sent)
    assert caught.value.field == "target.xid"


async def test_sql_of_the_callers_own_needs_more_than_a_drill_and_so_does_ending_it() -> None:
    asked: list[StartRequest] = []

    class Kept(Operations):
        def __init__(self) -> None:
            """It keeps nothing but what is asked for."""

        async def check(self, wanted: StartRequest) -> None:
            asked.append(wanted)

    drill = method("DrillBackup")
    begin = OperationStarter(Kept(), {}).servicer_method(drill)
    for sql in ("", " ", "SELECT true"):
        await begin(
            backup_pb2.DrillBackupRequest(
                name="databases/main", check_sql=sql, random=True, validate_only=True
            ),
            None,
        )
    assert [each.role for each in asked] == [Role.OPERATOR, Role.ADMIN, Role.ADMIN]


def test_whether_a_drill_passed_is_said_where_there_was_one() -> None:
    sent = {}
    for passed in (None, False, True):
        found = BackupDescription(BACKUP, BackupState.COMPLETE, last_drill_ok=passed)
        message = method("CreateBackup").encode(canonical_json(BackupDescription, found))
        sent[passed] = MessageToDict(message, always_print_fields_with_no_presence=True)
    assert "lastDrillOk" not in sent[None]
    assert (sent[False]["lastDrillOk"], sent[True]["lastDrillOk"]) == (False, True)


def test_a_damaged_backup_is_sent_without_a_kind() -> None:
    broken = BackupDescription(BACKUP, BackupState.BROKEN, problem="it is no commit record")
    stored = canonical_json(BackupDescription, broken)
    sent = method("CreateBackup").encode(stored)
    assert sent.state == backup_pb2.Backup.BROKEN
    assert sent.kind == backup_pb2.Backup.KIND_UNSPECIFIED
    whole = BackupDescription(BACKUP, BackupState.COMPLETE, kind=BackupKind.INCREMENTAL)
    sent = method("CreateBackup").encode(canonical_json(BackupDescription, whole))
    assert sent.kind == backup_pb2.Backup.INCREMENTAL
