"""`dbops backup` from end to end: a daemon, its embedded server, its store, real restores."""

import base64
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbopsd.db.server.leftovers import server_processes
from tests.e2e.conftest import Answer, run, wait_until_ready
from tests.support.daemon import Daemon, end_servers
from tests.support.patience import eventually_blocking
from tests.support.scratch import new_directory

CONFIG = """
[databases.main]
health.thresholds.storage = {{ warning = 1, critical = 1 }}

[databases.main.backup]
store = "file://{store}"
wal_flush_s = 0.5

[databases.main.backup.keys]
current = "k1"
k1 = "file:{keys}/k1"
k2 = "file:{keys}/k2"
"""


@dataclass
class Site:
    """A daemon with backups, and where things are."""

    daemon: Daemon
    directory: Path

    def dbops(self, *arguments: str, timeout: float = 120) -> Answer:
        return run(
            "dbops", "backup", *arguments, timeout=timeout, DBOPS_SERVER=self.daemon.grpc_address
        )

    def json(self, *arguments: str, code: int = 0) -> Any:
        answer = self.dbops(*arguments, "--output", "json")
        assert answer.code == code, answer.err
        return answer.json()

    def refused(self, *arguments: str) -> str:
        """What standard error says of a command that was refused; nothing is printed then."""
        answer = self.dbops(*arguments, "--output", "json")
        assert (answer.code, answer.out) == (3, ""), answer.err
        return answer.err

    def sql(self, statement: str) -> Any:
        with psycopg.connect(self.daemon.embedded_dsn(), autocommit=True) as connection:
            found = connection.execute(statement)  # type: ignore[call-overload]
            return found.fetchall() if found.description else None

    def add(self, *numbers: int) -> str:
        """Commit a row of each number by itself; the xid of the last."""
        for number in numbers:
            ((xid,),) = self.sql(
                f"INSERT INTO numbers VALUES ({number}) RETURNING pg_current_xact_id()::text"
            )
        return str(xid)

    def wait_until_archived(self) -> None:
        """Return once all WAL up to now is in the store."""
        ((lsn,),) = self.sql("SELECT pg_current_wal_flush_lsn() - '0/0'")

        def archived() -> bool:
            status = self.json("wal", "status")
            high, _, low = str(status["archivedLsn"]).partition("/")
            return bool(low) and (int(high, 16) << 32) + int(low, 16) >= int(lsn)

        eventually_blocking(archived, 30, "the WAL is archived")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    directory = new_directory("dbopsd-backup-")
    # The account that a restored server runs by has to reach it.
    directory.chmod(0o755)
    (directory / "keys").mkdir()
    for name in ("k1", "k2"):
        (directory / "keys" / name).write_bytes(base64.b64encode(os.urandom(32)))
    config = CONFIG.format(store=directory / "store", keys=directory / "keys")
    try:
        with Daemon(config, server={"workers": 1}) as daemon:
            found = Site(daemon.wait_until_serving(120), directory)
            wait_until_ready(daemon)
            found.sql("CREATE TABLE numbers (number int PRIMARY KEY)")
            yield found
    finally:
        for restored in directory.glob("restored-*"):
            end_servers(restored)
        shutil.rmtree(directory)


@pytest.fixture(scope="module")
def chain(site: Site) -> dict[str, Any]:
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


def numbers_of(report: Any) -> list[int]:
    with psycopg.connect(host=report["address"], user="postgres", dbname="postgres") as restored:
        return [number for (number,) in restored.execute("SELECT number FROM numbers ORDER BY 1")]


def test_backups_are_listed_described_and_labelled(site: Site, chain: dict[str, Any]) -> None:
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
    site: Site, chain: dict[str, Any], target: list[str], expected: list[int]
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


def test_a_plan_writes_nothing(site: Site, chain: dict[str, Any]) -> None:
    directory = site.directory / "planned"
    planned = site.json("restore", "--latest", "--to", str(directory), "--validate-only")
    assert planned["dryRun"] is True
    assert planned["chain"] == [chain["full"]["name"], chain["incremental"]["name"]]
    assert planned["plan"]["segments"] >= 1
    assert not directory.exists()


def test_what_cannot_be_restored_is_refused_before_a_byte_is_written(
    site: Site, chain: dict[str, Any], tmp_path: Path
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


def test_windows_reach_from_the_first_backup_to_now(site: Site, chain: dict[str, Any]) -> None:
    found = site.json("windows")
    assert found["gaps"] == []
    (window,) = found["windows"]
    assert (window["timeline"], window["backup"]) == (1, chain["full"]["name"])
    start, end = (datetime.fromisoformat(window[each]) for each in ("startTime", "endTime"))
    assert start < chain["time"].astimezone(UTC) < end
    drawn = site.dbops("windows").out
    assert "1  ●━" in drawn


def test_the_wal_status_tells_how_far_it_is(site: Site, chain: dict[str, Any]) -> None:
    status = site.json("wal", "status")
    assert (status["state"], status["slot"], status["problem"]) == ("STREAMING", "dbopsd_main", "")
    assert {"receivedLsn", "archivedLsn", "lagBytes", "lagSeconds", "spoolBytes"} <= status.keys()


def test_what_is_held_is_not_deleted_and_what_others_rest_on_neither(
    site: Site, chain: dict[str, Any]
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
    site: Site, chain: dict[str, Any]
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


def test_a_table_of_a_dump_is_restored_into_another_database(site: Site) -> None:
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
    site: Site, chain: dict[str, Any], tmp_path: Path
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
    site: Site, chain: dict[str, Any]
) -> None:
    rotated = site.json("rotate-keys", "--to", "k2")
    assert (rotated["keyId"], rotated["rewrapped"] > 0) == ("k2", True)
    assert site.json("rotate-keys", "--to", "k2")["rewrapped"] == 0
    assert site.json("verify", chain["full"]["name"])["ok"] is True


def test_the_schedules_are_there_and_run(site: Site) -> None:
    answer = run(
        "dbops", "schedules", "list", "--output=json", DBOPS_SERVER=site.daemon.grpc_address
    )
    names = [each["name"].rpartition("/")[2] for each in json.loads(answer.out)["schedules"]]
    assert names == ["backup-drill", "backup-full", "backup-incremental", "backup-retention"]
    answer = run(
        *("dbops", "schedules", "run", "main/backup-retention"),
        timeout=60,
        DBOPS_SERVER=site.daemon.grpc_address,
    )
    assert answer.code == 0, answer.err
