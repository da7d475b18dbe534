"""`dbops backup` from end to end: a daemon, its embedded server, its store, real restores."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbopsd.db.server.leftovers import server_processes
from tests.e2e.conftest import wait_until_ready
from tests.support.backup_site import BackupSite, backup_site, numbers_of
from tests.support.daemon import end_servers


@pytest.fixture(scope="module")
def site() -> Iterator[BackupSite]:
    with backup_site() as found:
        wait_until_ready(found.daemon)
        found.sql("CREATE TABLE numbers (number int PRIMARY KEY)")
        yield found


@pytest.fixture(scope="module")
def chain(site: BackupSite) -> dict[str, Any]:
    """A full backup, an incremental one, and moments around them."""
    site.add(1, 2)
    full = site.json("create", "--label", "before")
    moments = {"xid": site.add(3), "full": full}
    ((moments["lsn"],),) = site.sql("SELECT pg_current_wal_insert_lsn()::text")
    site.add(4)
    site.sql("SELECT pg_create_restore_point('four')")
    ((moments["time"],),) = site.sql("SELECT clock_timestamp()")
    site.add(5)
    moments["incremental"] = site.json("create", "--kind", "incremental")
    site.add(6)
    site.wait_until_archived()
    return moments


def test_backups_are_listed_described_and_labelled(site: BackupSite, chain: dict[str, Any]) -> None:
    full, incremental = chain["full"], chain["incremental"]
    assert (full["kind"], full["state"], full["label"]) == ("FULL", "COMPLETE", "before")
    assert (incremental["kind"], incremental["parent"]) == ("INCREMENTAL", full["name"])
    assert full["keyId"] == "k1"
    assert int(full["storedBytes"]) < int(full["sizeBytes"])
    listed = site.json("list")["backups"]
    assert [each["name"] for each in listed] == [full["name"], incremental["name"]]
    assert [each["name"] for each in site.json("list", "--kind", "incremental")["backups"]] == [
        incremental["name"]
    ]
    described = site.json("describe", full["name"].rpartition("/")[2])
    assert described == full
    for each in described["objects"]:
        path = site.directory / "store" / each["path"]
        assert path.stat().st_size == int(each["storedBytes"])
    assert "BACKUP_NOT_FOUND" in site.refused("describe", "full-x")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (["--latest"], [1, 2, 3, 4, 5, 6]),
        pytest.param(["--immediate", "--backup", "FULL"], [1, 2], marks=pytest.mark.thorough),
        pytest.param(["--target-xid", "XID"], [1, 2, 3], marks=pytest.mark.thorough),
        (["--target-xid", "XID", "--exclusive"], [1, 2]),
        pytest.param(["--target-lsn", "LSN"], [1, 2, 3], marks=pytest.mark.thorough),
        pytest.param(["--target-name", "four"], [1, 2, 3, 4], marks=pytest.mark.thorough),
        (["--target-time", "TIME"], [1, 2, 3, 4]),
    ],
    ids=lambda value: "-".join(value).strip("-") if isinstance(value[0], str) else "",
)
def test_a_restore_has_exactly_the_rows_of_its_moment(
    site: BackupSite, chain: dict[str, Any], target: list[str], expected: list[int]
) -> None:
    words = {
        "FULL": chain["full"]["name"],
        "XID": chain["xid"],
        "LSN": chain["lsn"],
        "TIME": chain["time"].isoformat(),
    }
    target = [words.get(word, word) for word in target]
    directory = site.directory / f"restored-{len(list(site.directory.iterdir()))}"
    report = site.json("restore", *target, "--to", str(directory), "--start")
    try:
        assert numbers_of(report) == expected
        assert report["directory"] == str(directory)
        assert report["chain"][0] == chain["full"]["name"]
        assert report["plan"]["backup"] == report["chain"][-1]
        assert report["reached"]["lsn"]
    finally:
        end_servers(directory)
    assert not server_processes(directory)


def test_a_plan_writes_nothing(site: BackupSite, chain: dict[str, Any]) -> None:
    directory = site.directory / "planned"
    planned = site.json("restore", "--latest", "--to", str(directory), "--validate-only")
    assert planned["dryRun"] is True
    assert planned["chain"] == [chain["full"]["name"], chain["incremental"]["name"]]
    assert planned["plan"]["segments"] >= 1
    assert not directory.exists()


def test_what_cannot_be_restored_is_refused_before_a_byte_is_written(
    site: BackupSite, chain: dict[str, Any], tmp_path: Path
) -> None:
    directory = site.directory / "refused"
    to = ("--to", str(directory))
    for target, reason in (
        (("--target-time", "2020-01-01T00:00:00Z"), "TARGET_UNREACHABLE"),
        (("--target-xid", "99999999"), "TARGET_UNREACHABLE"),
        (("--target-name", "nowhere"), "TARGET_UNREACHABLE"),
        (("--target-lsn", "F/0"), "TARGET_UNREACHABLE"),
        (("--latest", "--backup", "full-x"), "BACKUP_NOT_FOUND"),
    ):
        assert reason in site.refused("restore", *target, *to)
    assert not directory.exists()
    directory.mkdir()
    (directory / "mine").write_text("x")
    assert "DIRECTORY_NOT_EMPTY" in site.refused("restore", "--latest", *to)
    assert [each.name for each in directory.iterdir()] == ["mine"]


def test_windows_reach_from_the_first_backup_to_now(
    site: BackupSite, chain: dict[str, Any]
) -> None:
    found = site.json("windows")
    assert found["gaps"] == []
    (window,) = found["windows"]
    assert (window["timeline"], window["backup"]) == (1, chain["full"]["name"])
    start, end = (datetime.fromisoformat(window[each]) for each in ("startTime", "endTime"))
    assert start < chain["time"].astimezone(UTC) < end
    drawn = site.dbops("windows").out
    assert "1  ●━" in drawn


def test_the_wal_status_tells_how_far_it_is(site: BackupSite, chain: dict[str, Any]) -> None:
    status = site.json("wal", "status")
    assert (status["state"], status["slot"], status["problem"]) == ("STREAMING", "dbopsd_main", "")
    assert {"receivedLsn", "archivedLsn", "lagBytes", "lagSeconds", "spoolBytes"} <= status.keys()


def test_what_is_held_is_not_deleted_and_what_others_rest_on_neither(
    site: BackupSite, chain: dict[str, Any]
) -> None:
    full, incremental = (chain[each]["name"] for each in ("full", "incremental"))
    held = site.json("hold", incremental, "--until", "30d")
    assert held["heldUntil"] > held["stopTime"]
    assert "BACKUP_HELD" in site.refused("delete", incremental)
    assert "heldUntil" not in site.json("release", incremental)
    assert "BACKUP_HAS_CHILDREN" in site.refused("delete", full)
    planned = site.json("retention", "--validate-only")
    assert planned["dryRun"] is True
    assert {each["name"] for each in planned["kept"]} == {full, incremental}
    assert all(each["reasons"] for each in planned["kept"])


def test_verification_says_what_is_damaged_and_a_restore_of_it_is_refused(
    site: BackupSite, chain: dict[str, Any]
) -> None:
    assert site.json("verify", "--depth", "contents")["ok"] is True
    copy = site.json("create", "--label", "to be damaged")
    damaged = copy["objects"][0]["path"]
    path = site.directory / "store" / damaged
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)
    found = site.json("verify", copy["name"], code=1)
    assert found["ok"] is False
    ((problem,),) = [each["problems"] for each in found["backups"] if not each["ok"]]
    assert (problem["object"], problem["problem"]) == (damaged, "HASH")
    assert site.json("describe", copy["name"])["state"] == "BROKEN"
    to = ("--to", str(site.directory / "damaged"))
    assert "BACKUP_DAMAGED" in site.refused("restore", "--immediate", "--backup", copy["name"], *to)
    assert not (site.directory / "damaged").exists()
    deleted = site.json("delete", copy["name"])
    assert deleted["name"] == copy["name"]
    assert copy["name"] not in {each["name"] for each in site.json("list", "--all")["backups"]}


def test_a_table_of_a_dump_is_restored_into_another_database(site: BackupSite) -> None:
    dump = site.json("create", "--kind", "logical", "--dbname", "postgres")
    assert (dump["kind"], dump["dbname"], dump["tablesCounted"]) == ("LOGICAL", "postgres", 1)
    site.sql("CREATE DATABASE copy")
    into = ("--dbname", "copy", "--table", "public.numbers")
    report = site.json("restore", "--backup", dump["name"], *into)
    ((rows,),) = site.sql("SELECT count(*) FROM numbers")
    with psycopg.connect(site.daemon.embedded_dsn(), dbname="copy") as restored:
        ((copied,),) = restored.execute("SELECT count(*) FROM numbers")
    assert copied == rows
    assert report["chain"] == [dump["name"]]
    assert f"{rows} rows" in report["tables"][0]


def test_a_drill_passes_and_is_kept_with_the_backup(
    site: BackupSite, chain: dict[str, Any], tmp_path: Path
) -> None:
    checks = tmp_path / "checks.sql"
    checks.write_text("SELECT count(*) >= 2 FROM numbers;\n")
    report = site.json("drill", "--latest", "--check-sql", str(checks))
    assert report["ok"] is True, report
    found = {each["name"]: each["ok"] for each in report["checks"]}
    assert {"start", "reached", "checksums", "amcheck", "rows"} <= found.keys()
    assert len(found) >= 6
    assert report["recoverySeconds"] > 0
    assert report["recoveryPointSeconds"] >= 0
    drilled = site.json("describe", report["backup"])
    assert (drilled["lastDrillOk"], "lastDrill" in drilled) == (True, True)
    checks.write_text("SELECT count(*) > 1000000 FROM numbers;\n")
    failed = site.json("drill", "--latest", "--check-sql", str(checks), code=1)
    assert failed["ok"] is False


def test_keys_are_rotated_and_old_backups_are_restored_with_the_new_one(
    site: BackupSite, chain: dict[str, Any]
) -> None:
    rotated = site.json("rotate-keys", "--to", "k2")
    assert (rotated["keyId"], rotated["rewrapped"] > 0) == ("k2", True)
    assert site.json("rotate-keys", "--to", "k2")["rewrapped"] == 0
    assert site.json("verify", chain["full"]["name"])["ok"] is True


def test_the_schedules_are_there_and_run(site: BackupSite) -> None:
    listed = json.loads(site.run("schedules", "list", "--output=json").out)["schedules"]
    names = [each["name"].rpartition("/")[2] for each in listed]
    assert names == ["backup-drill", "backup-full", "backup-incremental", "backup-retention"]
    answer = site.run("schedules", "run", "main/backup-retention")
    assert answer.code == 0, answer.err
