"""`dbops migrate` on a daemon with a worker: what the commands print, and how they exit."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.daemon import Daemon
from tests.support.dbops_command import Ended, run_dbops
from tests.support.scratch import new_directory
from tests.support.servers import PostgresServer

DATABASES = ("main", "failing", "restored", "adopted", "doubtful")
GOLANG_MIGRATE = """
CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);
INSERT INTO schema_migrations VALUES (2, false);
"""
MIGRATION = {
    *("set", "version", "name", "state", "checksum", "appliedChecksum", "transactional", "phase"),
    *("repeatable", "hasRollback", "path", "appliedBy", "operation", "statementsDone"),
    *("statements", "problem"),
}
APPLIED = MIGRATION | {"applyTime", "duration"}
REPORT = {
    *("operation", "outcome", "problem", "migrations", "fingerprintBefore", "fingerprintAfter"),
    *("backup", "blockers", "notes"),
}
RUN = {
    *("set", "version", "name", "state", "statementsDone", "statements", "duration"),
    *("lockAttempts", "lockWait", "problem", "detail"),
}


@dataclass(frozen=True)
class Site:
    """A daemon whose databases have a folder each."""

    daemon: Daemon
    dsns: dict[str, str]
    folders: Path

    def write(self, database: str, **files: str) -> None:
        """Migrations by their names without `.sql`; `v001_x` is `001_x`, as names begin so here."""
        for name, text in files.items():
            (self.folders / database / f"{name.removeprefix('v')}.sql").write_text(text)

    def run(self, verb: str, database: str, *options: str) -> Ended:
        address = self.daemon.grpc_address
        return run_dbops(address, "migrate", verb, database, "--timeout", "60", *options)

    def json(self, verb: str, database: str, *options: str, code: int = 0) -> Any:
        """What the command prints as JSON."""
        ended = self.run(verb, database, *options, "--output", "json")
        assert ended.code == code, ended.out + ended.err
        return json.loads(ended.out)

    def sql(self, database: str, query: str) -> list[Any]:
        with psycopg.connect(self.dsns[database], autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def site(server: PostgresServer) -> Iterator[Site]:
    folders = new_directory("dbopsd-migrations-")
    names = {name: server.create_database() for name in DATABASES}
    dsns = {name: server.dsn(dbname=made) for name, made in names.items()}
    config = "".join(
        f"[databases.{name}]\ndsn = {json.dumps(dsn)}\n"
        f"migrations_dir = {json.dumps(str(folders / name))}\n"
        for name, dsn in dsns.items()
    )
    for name in DATABASES:
        (folders / name).mkdir()
    with Daemon(config, server={"workers": 1}) as running:
        yield Site(running.wait_until_serving(), dsns, folders)
    for made in names.values():
        server.drop_database(made)
    shutil.rmtree(folders)


def states(listed: Any) -> dict[str, str]:
    return {each["version"]: each["state"] for each in listed["migrations"]}


def test_a_schema_goes_forward_and_back(site: Site) -> None:
    site.write(
        "main",
        v001_users="CREATE TABLE users (id bigint PRIMARY KEY);",
        v001_users_rollback="DROP TABLE users;",
        v002_email="ALTER TABLE users ADD COLUMN email text;",
        v002_email_rollback="ALTER TABLE users DROP COLUMN email;",
    )
    listed = site.json("list", "main", "--exit-code", code=1)
    assert listed.keys() == {
        *("migrations", "currentVersion", "pending", "problems", "fingerprint", "drifted"),
        *("sets", "nextPageToken"),
    }
    assert all(each.keys() == MIGRATION for each in listed["migrations"])
    assert (states(listed), listed["pending"]) == ({"001": "PENDING", "002": "PENDING"}, 2)

    tried = site.json("apply", "main", "--validate-only")
    assert (tried["outcome"], site.sql("main", "SELECT to_regclass('users')")) == (
        "VALIDATED",
        [(None,)],
    )
    done = site.json("apply", "main")
    assert (done.keys(), done["outcome"]) == (REPORT, "SUCCEEDED")
    assert all(each.keys() == RUN for each in done["migrations"])
    assert [(each["version"], each["state"]) for each in done["migrations"]] == [
        ("001", "APPLIED"),
        ("002", "APPLIED"),
    ]
    assert done["fingerprintAfter"] not in ("", done["fingerprintBefore"])
    again = site.json("apply", "main")
    assert (again["outcome"], again["migrations"]) == ("NOTHING_TO_DO", [])

    listed = site.json("list", "main", "--exit-code")
    assert all(each.keys() == APPLIED for each in listed["migrations"])
    assert (listed["currentVersion"], listed["pending"], listed["drifted"]) == ("002", 0, False)
    assert listed["fingerprint"] == done["fingerprintAfter"]

    back = site.json("rollback", "main", "--to", "001")
    assert [(each["version"], each["state"]) for each in back["migrations"]] == [("002", "PENDING")]
    listed = site.json("list", "main", "--state", "PENDING")
    assert states(listed) == {"002": "PENDING"}


def test_a_check_exits_with_1_for_an_error_or_drift(site: Site) -> None:
    """After the test above: 001 is applied, 002 is pending."""
    fine = site.json("check", "main", "--drift")
    assert fine.keys() == {
        *("ok", "findings", "drift", "driftLeftOut", "roundtrip", "files", "notes"),
    }
    assert (fine["ok"], fine["drift"]) == (True, [])
    site.sql("main", "ALTER TABLE users ADD COLUMN by_hand text")
    drifted = site.json("check", "main", "--drift", code=1)
    (difference,) = drifted["drift"]
    assert difference.keys() == {"kind", "identity", "change", "aspect", "expected", "actual"}
    assert (difference["identity"], difference["change"]) == ("public.users.by_hand", "ADDED")
    assert site.json("list", "main")["drifted"] is True
    site.sql("main", "ALTER TABLE users DROP COLUMN by_hand")

    site.write("main", v003_wrong="SELECT 1;\nUPDATE users SET email = 'x';")
    wrong = site.json("check", "main", code=1)
    (finding,) = [each for each in wrong["findings"] if each["severity"] == "ERROR"]
    assert finding.keys() == {
        *("rule", "severity", "set", "version", "path", "line", "column", "message", "advice"),
        "allowed",
    }
    assert (finding["path"], finding["line"], finding["column"]) == ("003_wrong.sql", 2, 1)
    refused = site.json("apply", "main", code=1)
    assert (refused["outcome"], refused["operation"][:11]) == ("FAILED", "operations/")
    assert "003_wrong.sql:2:1" in refused["problem"]
    forced = site.json("apply", "main", "--override-findings", "the table is empty")
    assert [each["version"] for each in forced["migrations"]] == ["002", "003"]


@pytest.mark.thorough
def test_a_round_trip_tries_every_rollback(site: Site) -> None:
    """After the tests above: 003 has no rollback."""
    found = site.json("check", "main", "--roundtrip")
    assert [(each["version"], each["result"]) for each in found["roundtrip"]] == [
        ("001", "RESTORED"),
        ("002", "RESTORED"),
        ("003", "NO_ROLLBACK"),
    ]
    site.write("main", v002_email_rollback="SELECT 1;")
    found = site.json("check", "main", "--roundtrip", code=1)
    (bad,) = [each for each in found["roundtrip"] if each["result"] == "NOT_RESTORED"]
    assert (bad["version"], bad["differences"][0]["identity"]) == ("002", "public.users.email")


def test_a_failure_is_a_report_with_its_place(site: Site) -> None:
    site.write(
        "failing",
        v001_good="CREATE TABLE a (id bigint);",
        v002_bad="CREATE TABLE b (id bigint);\nINSERT INTO b VALUES (1), (1 / 0);",
        v003_later="CREATE TABLE c (id bigint);",
    )
    failed = site.json("apply", "failing", code=1)
    assert (failed.keys(), failed["outcome"]) == (REPORT, "FAILED")
    assert "002_bad.sql" in failed["problem"]
    assert "division by zero" in failed["problem"]
    assert [each["state"] for each in failed["migrations"]] == ["APPLIED", "FAILED", "PENDING"]
    shown = site.run("apply", "failing")
    assert (shown.code, shown.out[:6]) == (1, "FAILED")
    assert "MIGRATION_FAILED" in shown.err
    site.write("failing", v002_bad="CREATE TABLE b (id bigint);")
    assert site.json("apply", "failing")["outcome"] == "SUCCEEDED"
    site.write("failing", v001_good="CREATE TABLE other (id bigint);")
    changed = site.json("list", "failing", "--exit-code", code=1)
    assert states(changed)["001"] == "CHANGED"


def test_a_database_with_the_schema_is_baselined(site: Site) -> None:
    site.write("restored", v001_a="CREATE TABLE a ();", v002_b="CREATE TABLE b ();")
    site.sql("restored", "CREATE TABLE a ()")
    baseline = ("baseline", "restored", "--to", "001", "--reason", "from a dump")
    said = site.json(*baseline, "--validate-only")
    assert [each["state"] for each in said["migrations"]] == ["BASELINED"]
    assert site.json("list", "restored")["pending"] == 2
    (row,) = site.json(*baseline)["migrations"]
    assert (row["version"], row["state"]) == ("001", "BASELINED")
    assert site.json("list", "restored")["pending"] == 1
    assert site.run("baseline", "restored", "--to", "009", "--reason", "x").code == 1


def test_the_history_of_another_tool_is_adopted(site: Site) -> None:
    folder = site.folders / "adopted"
    for name in ("1_a", "2_b", "3_c"):
        (folder / f"{name}.up.sql").write_text(f"CREATE TABLE {name[2:]} ();")
        (folder / f"{name}.down.sql").write_text(f"DROP TABLE {name[2:]};")
    site.sql("adopted", GOLANG_MIGRATE)
    adopt = ("adopt", "adopted", "--from", "golang-migrate")
    said = site.json(*adopt, "--validate-only")
    assert said.keys() == {
        *("adopted", "unknown", "mismatched", "failed", "sourceTable", "notes"),
    }
    found = site.json(*adopt)
    assert [each["version"] for each in found["adopted"]] == ["1", "2"]
    assert found["sourceTable"] == "public.schema_migrations"
    assert states(site.json("list", "adopted")) == {"1": "ADOPTED", "2": "ADOPTED", "3": "PENDING"}
    assert site.sql("adopted", "SELECT * FROM schema_migrations") == [(2, False)]
    nothing = site.run("adopt", "adopted", "--from", "flyway")
    assert nothing.code == 1
    assert "HISTORY_NOT_FOUND" in nothing.err


def test_what_was_interrupted_is_resolved(site: Site) -> None:
    site.write(
        "doubtful",
        v001_a="-- dbops: transaction=off\nCREATE TABLE a ();\nSELECT 1 / 0;\nCREATE TABLE c ();",
    )
    failed = site.json("apply", "doubtful", code=1)
    assert [each["state"] for each in failed["migrations"]] == ["INTERRUPTED"]
    assert failed["migrations"][0]["statementsDone"] == 1
    assert site.run("resolve", "doubtful", "001", "--applied").code == 2
    resolved = site.json("resolve", "doubtful", "001", "--applied", "--reason", "done by hand")
    assert resolved.keys() >= APPLIED - {"duration"}
    assert (resolved["version"], resolved["state"]) == ("001", "APPLIED")
    assert site.json("list", "doubtful")["pending"] == 0


def test_what_waits_for_its_phase_is_named(site: Site) -> None:
    """After the test of baselines: 001 is baselined, 002 is pending."""
    site.write("restored", v003_drop="-- dbops: phase=contract\nDROP TABLE b;")
    (site.folders / "restored" / "004_later.SQL").write_text("SELECT 1;")
    done = site.json("apply", "restored")
    assert [each["version"] for each in done["migrations"]] == ["002"]
    left_out = "004_later.SQL: its suffix is not '.sql' in small letters: it is left out"
    said = [left_out, "003_drop.sql waits until contract is the phase that is asked for"]
    assert done["notes"][-2:] == said
    nothing = site.json("apply", "restored")
    assert (nothing["outcome"], nothing["notes"]) == ("NOTHING_TO_DO", said)
    contracted = site.json("apply", "restored", "--phase", "contract")
    assert ([each["version"] for each in contracted["migrations"]], contracted["notes"]) == (
        ["003"],
        [left_out],
    )


def test_what_is_not_there(site: Site) -> None:
    assert site.run("list", "nosuch").code == 3
    unknown = site.run("apply", "main", "--set", "nosuch")
    assert unknown.code == 1
    assert "SET_UNKNOWN" in unknown.err
    assert site.run("rollback", "main", "--to", "999").code == 1
