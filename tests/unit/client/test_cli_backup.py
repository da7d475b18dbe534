"""`dbops backup`, against a real server."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from dbops.v1 import backup_pb2
from google.protobuf import json_format

from tests.unit.client.backups import (
    FULL,
    GAP,
    INCREMENTAL,
    RESTORED,
    RETENTION,
    START,
    backup,
    drill,
    time,
    verification,
    window,
)
from tests.unit.client.messages import operation

ID = FULL.rpartition("/")[2]
DELETED = backup_pb2.DeleteBackupResponse(deleted=[INCREMENTAL, FULL])
ROTATED = backup_pb2.RotateKeysResponse(rewrapped=4, key_id="k2")
RESULTS = {
    "CreateBackup": (("create",), backup()),
    "VerifyBackups": (("verify",), verification()),
    "RestoreBackup": (("restore", "--latest"), RESTORED),
    "DrillBackup": (("drill",), drill()),
    "ApplyRetention": (("retention",), RETENTION),
    "RotateKeys": (("rotate-keys", "--to", "k2"), ROTATED),
}


def sent(server, method):
    (request,) = server.named(method)
    if "request_id" in request.DESCRIPTOR.fields_by_name:
        request.ClearField("request_id")
    return request


@pytest.fixture
def ran(backups_server, dbops_backups):
    """`ran("create", …)`: the request that the command sent to start an operation."""

    def run(*args):
        assert dbops_backups("backup", *args, "--no-wait").exit_code == 0
        (method, *_) = [name for name, *_ in backups_server.calls if name != "GetBackup"]
        return sent(backups_server, method)

    return run


@pytest.mark.parametrize("method", RESULTS)
def test_json_is_the_result_and_nothing_else(backups_server, dbops_backups, method):
    args, result = RESULTS[method]
    backups_server.endings[method] = operation(response=result)
    found = dbops_backups("backup", *args, "--output", "json")
    assert found.exit_code == 0
    assert json_format.Parse(found.stdout, type(result)()) == result


def test_json_has_what_is_false_and_empty_too(backups_server, dbops_backups):
    result = verification(ok=False)
    result.wal.ClearField("gaps")
    backups_server.endings["VerifyBackups"] = operation(response=result)
    found = dbops_backups("backup", "verify", "--output", "json")
    assert found.exit_code == 1
    shown = json.loads(found.stdout)
    assert (shown["ok"], shown["wal"]["gaps"], shown["wal"]["segments"]) == (False, [], 12)
    assert shown["backups"][0]["problems"][0]["problem"] == "HASH"


class TestDatabase:
    def test_the_only_one_needs_no_name(self, ran):
        assert ran("create").name == "databases/main"

    def test_one_of_several_does(self, backups_server, dbops_backups):
        backups_server.databases = ["main", "orders"]
        found = dbops_backups("backup", "create")
        assert found.exit_code == 2
        assert "which database? Add --database: main, orders." in found.stderr
        assert backups_server.named("CreateBackup") == []

    def test_it_is_that_of_a_whole_name(self, backups_server, ran):
        backups_server.databases = ["main", "orders"]
        request = ran("verify", "databases/orders/backups/full-1")
        assert request.name == "databases/orders"
        assert request.backups == ["databases/orders/backups/full-1"]

    def test_it_is_not_two(self, backups_server, dbops_backups):
        found = dbops_backups("backup", "describe", FULL, "--database", "orders")
        assert found.exit_code == 2
        assert "there are several databases: main, orders" in found.stderr


class TestCreate:
    def test_every_option_is_sent(self, ran):
        request = ran(
            *("create", "--kind", "logical", "--checkpoint", "spread", "--from", "primary"),
            *("--label", "before", "--hold-until", "2026-12-24T00:00:00Z", "--dbname", "app"),
            *("--table", "a", "--table", "b.c"),
        )
        wanted = backup_pb2.CreateBackupRequest(
            name="databases/main",
            kind="LOGICAL",
            checkpoint="SPREAD",
            source="PRIMARY",
            label="before",
            hold_until=datetime(2026, 12, 24, tzinfo=UTC),
            dbname="app",
            tables=["a", "b.c"],
        )
        assert request == wanted

    def test_a_hold_may_be_so_long_from_now(self, ran):
        held = ran("create", "--hold-until", "90d").hold_until.ToDatetime(tzinfo=UTC)
        assert timedelta(days=89) < held - datetime.now(UTC) <= timedelta(days=90)

    def test_people_see_what_was_taken(self, backups_server, dbops_backups):
        taken = backup(fallback="there is no complete backup to rest on")
        backups_server.endings["CreateBackup"] = operation(response=taken)
        shown = dbops_backups("backup", "create").stdout
        for text in (FULL, "full", "COMPLETE", "2.0 MiB, 1/5 of its size", taken.fallback):
            assert text in shown


class TestRead:
    def test_the_list_is_a_response_with_all_pages(self, backups_server, dbops_backups):
        backups_server.backups = [backup(f"{FULL}{number}") for number in range(120)]
        found = dbops_backups("backup", "list", "--kind", "full", "--all", "--output", "json")
        assert len(json.loads(found.stdout)["backups"]) == 120
        first, _ = backups_server.named("ListBackups")
        assert (first.kind, first.show_expired) == (backup_pb2.Backup.FULL, True)

    def test_people_see_what_is_wrong_with_one(self, backups_server, dbops_backups):
        broken = backup(state="BROKEN", problem="its parent x is missing", last_drill=time())
        backups_server.backups = [broken, backup(label="weekly")]
        _, _, first, second = dbops_backups("backup", "list").stdout.splitlines()
        assert "BROKEN" in first
        assert "FAILED 2026-11-29" in first
        assert "its parent x is missing" in first
        assert ("COMPLETE" in second, "weekly" in second) == (True, True)

    def test_an_empty_list_says_so(self, dbops_backups):
        assert dbops_backups("backup", "list").stdout == "There are no such backups.\n"

    def test_one_is_described_with_its_objects(self, backups_server, dbops_backups):
        backups_server.backups = [backup(rows_counted=1000, tables_counted=3)]
        shown = dbops_backups("backup", "describe", ID).stdout
        assert "1,000 in 3 tables" in shown
        assert "main/7/backups/f/base.00000" in shown
        found = json.loads(dbops_backups("backup", "describe", ID, "--output", "json").stdout)
        assert (found["name"], found["timeline"], found["startLsn"]) == (FULL, 1, "0/3000028")
        assert found["startTime"] == "2026-11-29T02:00:00.123456Z"

    def test_the_wal_status(self, backups_server, dbops_backups):
        backups_server.wal = backup_pb2.WalStatus(
            state="SLOT_LOST", slot="dbopsd_main", lag_bytes=0, lag_seconds=2.5, problem="lost"
        )
        shown = dbops_backups("backup", "wal", "status").stdout
        assert ("SLOT_LOST" in shown, "0 B, 2.5 s" in shown, "lost" in shown) == (True,) * 3
        found = json.loads(dbops_backups("backup", "wal", "status", "--output", "json").stdout)
        assert (found["lagBytes"], found["lagSeconds"]) == ("0", 2.5)
        assert "spoolBytes" not in found


class TestKeep:
    def test_a_hold_has_an_end(self, backups_server, dbops_backups):
        found = dbops_backups("backup", "hold", ID, "--until", "2026-12-24T00:00:00Z")
        assert found.exit_code == 0
        request = sent(backups_server, "UpdateBackup")
        assert request.backup.name == FULL
        assert request.backup.held_until.ToDatetime() == datetime(2026, 12, 24)  # noqa: DTZ001
        assert list(request.update_mask.paths) == ["held_until"]
        assert dbops_backups("backup", "hold", ID).exit_code == 2

    def test_a_release_has_none(self, backups_server, dbops_backups):
        assert dbops_backups("backup", "release", ID, "--validate-only").exit_code == 0
        request = sent(backups_server, "UpdateBackup")
        assert (request.validate_only, request.backup.HasField("held_until")) == (True, False)
        assert list(request.update_mask.paths) == ["held_until"]

    def test_retention_only_says_what_it_would_do(self, ran):
        request = ran("retention", "--validate-only")
        assert (request.dry_run, request.validate_only) == (True, False)

    def test_people_see_why_each_goes_or_stays(self, backups_server, dbops_backups):
        backups_server.endings["ApplyRetention"] = operation(response=RETENTION)
        lines = dbops_backups("backup", "retention").stdout.splitlines()
        assert any("expired" in line and "older than 30d" in line for line in lines)
        assert any("kept" in line and "window of 30d; newest good" in line for line in lines)
        assert lines[-1] == "3 WAL segments and 0 orphaned objects were deleted"

    def test_a_deletion_prints_the_backup_as_it_was(self, backups_server, dbops_backups):
        backups_server.backups = [backup()]
        backups_server.endings["DeleteBackup"] = operation(response=DELETED)
        found = dbops_backups("backup", "delete", ID, "--with-children", "--output", "json")
        assert json_format.Parse(found.stdout, backup_pb2.Backup()) == backup()
        request = sent(backups_server, "DeleteBackup")
        assert (request.backup, request.with_children, request.dry_run) == (FULL, True, False)
        shown = dbops_backups("backup", "delete", ID).stdout.splitlines()
        assert shown == ["Deleted 2 backups:", f"  {INCREMENTAL.rpartition('/')[2]}", f"  {ID}"]

    def test_a_deletion_may_only_be_planned(self, backups_server, dbops_backups):
        backups_server.backups = [backup()]
        would = backup_pb2.DeleteBackupResponse(deleted=[FULL], dry_run=True)
        backups_server.endings["DeleteBackup"] = operation(response=would)
        found = dbops_backups("backup", "delete", ID, "--validate-only", "--output", "json")
        assert json_format.Parse(found.stdout, backup_pb2.DeleteBackupResponse()) == would
        assert sent(backups_server, "DeleteBackup").dry_run


class TestVerify:
    def test_damage_is_a_failure_of_the_command(self, backups_server, dbops_backups):
        backups_server.endings["VerifyBackups"] = operation(response=verification(ok=False))
        found = dbops_backups("backup", "verify", ID, "--depth", "contents")
        assert found.exit_code == 1
        assert found.stdout.startswith("NOT OK  1 backup, 12 WAL segments, 1 gap in the WAL")
        assert "HASH" in found.stdout
        assert "slot lost" in found.stdout
        assert "\x1b" not in found.stdout
        assert "found 1 damaged backup, and 1 gap in the WAL" in found.stderr
        request = sent(backups_server, "VerifyBackups")
        assert (request.backups, request.depth) == (
            [FULL],
            backup_pb2.VerifyBackupsRequest.CONTENTS,
        )


class TestRestore:
    @pytest.mark.parametrize(
        ("args", "target"),
        [
            (["--latest"], {"latest": True}),
            (["--immediate"], {"immediate": True}),
            (["--target-time", "2026-11-29 02:00:00.123456+00"], {"time": START}),
            (["--target-lsn", "0/16EF418", "--exclusive"], {"lsn": "0/16EF418", "exclusive": True}),
            (["--target-xid", "800", "--timeline", "2"], {"xid": "800", "timeline": "2"}),
            (["--target-name", "before"], {"name": "before"}),
        ],
    )
    def test_each_target(self, ran, args, target):
        assert ran("restore", *args).target == backup_pb2.RecoveryTarget(**target)

    def test_every_option_is_sent(self, ran):
        request = ran(
            *("restore", "--backup", ID, "--to", "/srv/restored", "--start"),
            *("--tablespace-mapping", "/a=/b", "--tablespace-mapping", "/c=/d"),
            *("--target-action", "pause", "--dbname", "app", "--table", "t", "--validate-only"),
        )
        wanted = backup_pb2.RestoreBackupRequest(
            name="databases/main",
            backup=FULL,
            directory="/srv/restored",
            start=True,
            tablespace_mappings={"/a": "/b", "/c": "/d"},
            target_action="PAUSE",
            dbname="app",
            tables=["t"],
            dry_run=True,
        )
        assert request == wanted

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (["--latest", "--target-xid", "7"], "--latest does not go with --target-xid"),
            (["--tablespace-mapping", "/a"], "is not OLD=NEW"),
            (["--target-time", "soon"], "is no moment"),
        ],
    )
    def test_what_cannot_be_is_refused_before_anything_is_sent(
        self, backups_server, dbops_backups, args, said
    ):
        found = dbops_backups("backup", "restore", *args)
        assert found.exit_code == 2
        assert said in found.stderr
        assert backups_server.calls == []

    @pytest.mark.parametrize(
        ("reason", "code"),
        [("TARGET_UNREACHABLE", 3), ("DIRECTORY_NOT_EMPTY", 3), ("RECOVERY_FAILED", 1)],
    )
    def test_a_refusal_is_none_of_its_failures(self, backups_server, dbops_backups, reason, code):
        error = ("FAILED_PRECONDITION", "it cannot be", reason)
        backups_server.endings["RestoreBackup"] = operation(error=error)
        found = dbops_backups("backup", "restore", "--latest", "--output", "json")
        assert (found.exit_code, found.stdout) == (code, "")
        assert f"it cannot be (FAILED_PRECONDITION, {reason})" in found.stderr

    def test_people_see_where_it_ended_and_what_to_do(self, backups_server, dbops_backups):
        backups_server.endings["RestoreBackup"] = operation(response=RESTORED)
        shown = dbops_backups("backup", "restore").stdout
        assert shown.startswith("RESTORED\n")
        assert "6, 000000010000000000000003 to 000000010000000000000008" in shown
        assert "0/8000140, last commit 2026-11-29" in shown
        assert shown.splitlines()[-1].startswith("Start it with pg_ctl")


class TestDrill:
    def test_sql_is_read_here(self, ran, tmp_path):
        checks = tmp_path / "checks.sql"
        checks.write_text("SELECT count(*) > 0 FROM t;\n")
        request = ran("drill", "--random", "--keep", "--check-sql", str(checks))
        assert (request.random, request.keep) == (True, True)
        assert request.check_sql == "SELECT count(*) > 0 FROM t;\n"
        assert not request.HasField("target")

    def test_a_check_that_fails_is_a_failure_of_the_command(self, backups_server, dbops_backups):
        backups_server.endings["DrillBackup"] = operation(response=drill(ok=False))
        found = dbops_backups("backup", "drill")
        assert found.exit_code == 1
        assert found.stdout.startswith("FAILED")
        assert "49,950 of 50,000 rows" in found.stdout
        assert "did not pass: rows" in found.stderr


class TestWindows:
    def test_every_page_is_one_answer_with_the_gaps_once(self, backups_server, dbops_backups):
        backups_server.windows = [window(0, 60), window(120, 180), window(190, 240, timeline=2)]
        backups_server.gaps = [GAP]
        found = json.loads(dbops_backups("backup", "windows", "--output", "json").stdout)
        assert [each["timeline"] for each in found["windows"]] == [1, 1, 2]
        assert found["windows"][0]["startTime"] == "2026-11-29T02:00:00.123456Z"
        assert (len(found["gaps"]), found["gaps"][0]["cause"]) == (1, "slot lost")

    def test_notes_are_shown_once_with_and_without_a_window(self, backups_server, dbops_backups):
        backups_server.notes = ["2 of 3 marks do not count."]
        for windows in ([], [window(0, 60), window(120, 180), window(190, 240)]):
            backups_server.windows = windows
            shown = dbops_backups("backup", "windows", env={"COLUMNS": "123"}).stdout
            assert shown.count("2 of 3 marks do not count.") == 1

    def test_they_are_drawn_as_long_as_they_are(self, backups_server, dbops_backups):
        backups_server.windows = [window(0, 60), window(120, 180), window(150, 240, timeline=2)]
        backups_server.gaps = [GAP]
        lines = dbops_backups("backup", "windows", env={"COLUMNS": "123"}).stdout.splitlines()
        assert "2026-11-29" in lines[0]
        assert lines[2] == f"1  ●{'━' * 30}{'╌' * 29}●{'━' * 29}"
        assert lines[3] == f"2  {' ' * 74}●{'━' * 45}"
        assert lines[4].endswith("02:04:00")
        assert any("slot lost" in line and "32.0 MiB" in line for line in lines)

    def test_the_table_has_them_to_the_microsecond(self, backups_server, dbops_backups):
        backups_server.windows = [window(0, 60)]
        lines = dbops_backups("backup", "windows", env={"COLUMNS": "160"}).stdout.splitlines()
        (row,) = [line for line in lines if line.split()[:1] == ["1"] and "2026" in line]
        assert row.count(".123456+00:00") == 2

    def test_a_backup_without_wal_is_a_point(self, backups_server, dbops_backups):
        backups_server.windows = [window(0, 0, end="0/3000120")]
        shown = dbops_backups("backup", "windows").stdout
        assert "1  ●\n" in shown
        assert "a point" in shown

    def test_none_is_said_aloud(self, dbops_backups):
        shown = dbops_backups("backup", "windows").stdout
        assert shown == "Nothing can be restored: there is no complete backup.\n"
