"""`dbops migrate`, against a real server."""

import json

import pytest
from dbops.v1 import migrations_pb2
from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration

from tests.unit.client.messages import operation
from tests.unit.client.migrations import (
    ADOPTED,
    BASELINED,
    BLOCKER,
    HOSTILE,
    PROBLEM,
    Migration,
    Report,
    check,
    listing,
    migration,
    report,
)
from tests.unit.client.terminal import TerminalSession

CHECK = ("check", "main")
APPLY = ("apply", "main")
ROLLBACK = ("rollback", "main")
BASELINE = ("baseline", "main", "--to", "004", "--reason", "it was restored")
ADOPT = ("adopt", "main", "--from", "golang-migrate")
RESULTS = {
    "CheckMigrations": (CHECK, check()),
    "ApplyMigrations": (APPLY, report()),
    "RollbackMigrations": (ROLLBACK, report()),
    "BaselineMigrations": (BASELINE, BASELINED),
    "AdoptMigrations": (ADOPT, ADOPTED),
}


@pytest.fixture
def migrate(operations_server, dbops_operations):
    """`migrate("apply", …, ending=…)`: what the command ended with."""

    def run(*args, ending=None):
        if ending is not None:
            for method in RESULTS:
                operations_server.endings[method] = ending
        return dbops_operations("migrate", *args)

    return run


@pytest.fixture
def sent(operations_server, migrate):
    """`sent("apply", …)`: the request that the command sent to start an operation."""

    def run(*args):
        assert migrate(*args, "--no-wait").exit_code == 0
        ((_, request, _),) = operations_server.calls
        assert request.request_id
        request.ClearField("request_id")
        return request

    return run


@pytest.mark.parametrize("method", RESULTS)
def test_json_is_the_result_and_nothing_else(migrate, method):
    args, result = RESULTS[method]
    ran = migrate(*args, "--output", "json", ending=operation(response=result))
    assert ran.exit_code == 0
    assert json_format.Parse(ran.stdout, type(result)()) == result


class TestRequests:
    def test_check(self, sent):
        limit = ("--roundtrip-limit", "1.5")
        request = sent(*CHECK, "--drift", "--roundtrip", *limit, "--strict", "--set", "a")
        assert request == migrations_pb2.CheckMigrationsRequest(
            name="databases/main",
            set="a",
            drift=True,
            roundtrip=True,
            strict=True,
            roundtrip_limit=Duration(seconds=1, nanos=500_000_000),
        )

    def test_apply(self, sent):
        request = sent(
            *(*APPLY, "--to", "004", "--phase", "expand", "--out-of-order", "--validate-only"),
            *("--override-findings", "it is empty", "--lock-wait", "1.5"),
            *("--operation-timeout", "60"),
        )
        assert request == migrations_pb2.ApplyMigrationsRequest(
            name="databases/main",
            to="004",
            phase="EXPAND",
            out_of_order=True,
            validate_only=True,
            override_findings="it is empty",
            lock_wait=Duration(seconds=1, nanos=500_000_000),
            timeout=Duration(seconds=60),
        )

    def test_rollback(self, sent):
        request = sent(*ROLLBACK, "--count", "3", "--lock-wait", "5")
        assert request == migrations_pb2.RollbackMigrationsRequest(
            name="databases/main", count=3, lock_wait=Duration(seconds=5)
        )

    def test_baseline(self, sent):
        assert sent(*BASELINE, "--validate-only") == migrations_pb2.BaselineMigrationsRequest(
            name="databases/main", to="004", reason="it was restored", validate_only=True
        )

    @pytest.mark.parametrize("tool", ["golang-migrate", "golang_migrate", "GOLANG_MIGRATE"])
    def test_adopt(self, sent, tool):
        request = sent("adopt", "main", "--from", tool, "--table", "a.b", "--validate-only")
        assert request == migrations_pb2.AdoptMigrationsRequest(
            name="databases/main", tool="GOLANG_MIGRATE", table="a.b", validate_only=True
        )

    def test_resolve(self, operations_server, migrate):
        ran = migrate("resolve", "main", "007", "--not-applied", "--reason", "undone", "--set", "a")
        assert ran.exit_code == 0
        (request,) = operations_server.named("ResolveMigration")
        assert request.request_id
        request.ClearField("request_id")
        assert request == migrations_pb2.ResolveMigrationRequest(
            name="databases/main", set="a", version="007", resolution=2, reason="undone"
        )

    @pytest.mark.parametrize(
        "args",
        [
            (*APPLY, "--to", "004", "--count", "1"),
            (*ROLLBACK, "--to", "004", "--count", "1"),
            (*APPLY, "--count", "0"),
            (*APPLY, "--lock-wait", "0"),
            ("baseline", "main", "--to", "004"),
            ("adopt", "main"),
            ("adopt", "main", "--from", "alembic"),
            ("resolve", "main", "007", "--reason", "x"),
            ("resolve", "main", "007", "--reason", "x", "--applied", "--not-applied"),
            ("resolve", "main", "007", "--applied"),
        ],
    )
    def test_wrong_usage_starts_nothing(self, operations_server, migrate, args):
        assert migrate(*args).exit_code == 2
        assert operations_server.calls == []


class TestList:
    def test_json_has_all_pages_and_what_is_empty(self, operations_server, migrate):
        versions = [f"{number:04}" for number in range(250)]
        operations_server.migrations = listing(*(migration(each) for each in versions))
        shown = json.loads(migrate("list", "main", "--output", "json").stdout)
        assert [each["version"] for each in shown["migrations"]] == versions
        assert (shown["pending"], shown["problems"], shown["drifted"]) == (0, [], False)
        assert (shown["currentVersion"], shown["nextPageToken"]) == ("001", "")

    @pytest.mark.parametrize("state", ["out-of-order", "OUT_OF_ORDER"])
    def test_only_those_in_a_state(self, operations_server, migrate, state):
        operations_server.migrations = listing(
            migration("001"), migration("002", Migration.OUT_OF_ORDER)
        )
        ran = migrate("list", "main", "--state", state, "--output", "json")
        assert [each["version"] for each in json.loads(ran.stdout)["migrations"]] == ["002"]

    @pytest.mark.parametrize(
        ("found", "code"),
        [
            (listing(migration()), 0),
            (listing(migration(state=Migration.BASELINED)), 0),
            (listing(migration(), pending=1), 1),
            (listing(migration(), drifted=True), 1),
            (listing(migration(), problems=[PROBLEM]), 1),
            (listing(migration(state=Migration.CHANGED)), 1),
            (listing(migration(state=Migration.RUNNING)), 1),
            (
                listing(
                    migration(), problems=[migrations_pb2.MigrationProblem(reason="LINE_ENDINGS")]
                ),
                0,
            ),
        ],
    )
    def test_the_exit_code_if_it_is_asked_for(self, operations_server, migrate, found, code):
        operations_server.migrations = found
        assert migrate("list", "main").exit_code == 0
        # It is about all of them, whichever are shown.
        assert migrate("list", "main", "--exit-code", "--state", "failed").exit_code == code

    def test_people_see_what_is_wrong(self, operations_server, migrate):
        operations_server.migrations = listing(
            migration("001", Migration.CHANGED, problem="the file has changed since"),
            migration("002", Migration.PENDING, phase="CONTRACT", transactional=False),
            migration("003", Migration.FAILED, problem="no, once"),
            migration("", Migration.PENDING, name="views", repeatable=True, has_rollback=False),
            pending=2,
            drifted=True,
            problems=[
                PROBLEM,
                migrations_pb2.MigrationProblem(reason="LINE_ENDINGS", path="a.sql", message="x"),
                migrations_pb2.MigrationProblem(
                    reason="MIGRATION_FAILED", set="default", version="003", message="no, once"
                ),
            ],
        )
        shown = migrate("list", "main").stdout
        for text in (
            "main  at version 001, 2 PENDING, 1 CHANGED, 1 FAILED, 1 error",
            "default: dbops in /srv/m, at version 001",
            "'dbops migrate check main --drift' shows how",
            "the file has changed since",
            "NOT_UTF8; phase contract; not in a transaction",
            "repeatable",
            "002_x.sql:3:7: error: byte 40 is not UTF-8 [NOT_UTF8]",
            "a.sql: warning: x [LINE_ENDINGS]",
        ):
            assert text in shown
        (row,) = [line for line in shown.splitlines() if line.startswith("003")]
        assert row.rstrip().endswith("MIGRATION_FAILED")
        assert shown.count("no, once") == 1

    def test_the_sets_are_apart(self, operations_server, migrate):
        operations_server.migrations = listing(
            migration("001", set="core"), migration("001", set="billing")
        )
        lines = migrate("list", "main").stdout.splitlines()
        assert lines.index("core") < lines.index("billing")

    def test_none(self, migrate):
        assert "There are no such migrations." in migrate("list", "main").stdout


class TestCheck:
    def test_findings_are_written_as_compilers_do(self, migrate):
        ran = migrate(*CHECK, ending=operation(response=check(ok=False)))
        assert ran.exit_code == 1
        lines = [line.rstrip() for line in ran.stdout.splitlines()]
        assert lines[:2] == [
            (
                "002_orders.sql:4:1: error: UPDATE without WHERE changes every row "
                "[whole-table-update]"
            ),
            "    advice: do it in batches",
        ]
        assert lines[2].startswith("002_orders.sql:9: warning: it may break")
        assert lines[3] == "    allowed: nobody reads it"
        assert "text NOT NULL" in ran.stdout
        assert "NOT_RESTORED" in ran.stdout
        assert "After the rollback of 002 orders:" in ran.stdout
        assert (
            "NOT OK  2 files checked, 2 findings, 1 difference of the schema, "
            "1 rollback that does not restore" in ran.stdout
        )
        assert "Note: the server could not be asked" in ran.stdout
        assert (
            "found 1 error, 1 difference of the schema, 1 rollback that does not restore"
            in ran.stderr
        )

    def test_what_was_asked_for_and_is_well_is_said(self, migrate):
        well = check(notes=[], files=0)
        well.roundtrip.add(result="RESTORED")
        well.roundtrip.add(result="NO_ROLLBACK")
        shown = migrate(*CHECK, "--drift", "--roundtrip", ending=operation(response=well)).stdout
        assert "OK  nothing is waiting to be applied, no finding" in shown
        assert "No drift: the schema is as the last migration left it." in shown
        assert "Round trip: 1 of 2 restored the schema." in shown
        unknown = check(notes=["drift is not known: nothing was applied"])
        assert (
            "No drift" not in migrate(*CHECK, "--drift", ending=operation(response=unknown)).stdout
        )

    def test_nothing_found(self, migrate):
        ran = migrate(*CHECK, ending=operation(response=check(notes=[])))
        assert (ran.exit_code, ran.stdout) == (0, "OK  2 files checked, no finding\n")

    def test_a_check_that_failed_is_not_ok(self, migrate):
        error = ("FAILED_PRECONDITION", "two layouts fit", "LAYOUT_AMBIGUOUS")
        ran = migrate(*CHECK, "--output", "json", ending=operation(error=error))
        assert ran.exit_code == 1
        shown = json.loads(ran.stdout)
        assert (shown["ok"], shown["notes"]) == (False, ["two layouts fit"])


class TestReport:
    def test_people_see_each_migration(self, migrate):
        ran = migrate(*APPLY, ending=operation(response=report()))
        assert ran.exit_code == 0
        assert "SUCCEEDED  1 migration in 2 s" in ran.stdout
        (row,) = [line.split() for line in ran.stdout.splitlines() if line.startswith("002")]
        assert " ".join(row) == "002 orders APPLIED 4 of 4 2 s 2 510 ms"
        assert "Note: 003_later.sql was not tried" in ran.stdout

    def test_a_problem_is_told_once(self, migrate):
        told = report(Report.FAILED, problem="4711 was in the way")
        told.migrations[0].problem = told.problem
        told.migrations[0].detail = "Key (v)=(1) is there twice."
        told.migrations.add(version="003", name="later", problem="it was not tried")
        ran = migrate(*APPLY, ending=self.failed(told))
        assert (ran.stdout + ran.stderr).count("4711 was in the way") == 1
        assert "4711 was in the way (ABORTED, LOCK_NOT_ACQUIRED)" in ran.stderr
        assert "it was not tried" in ran.stdout
        assert "Detail of 002: Key (v)=(1) is there twice." in ran.stdout

    def test_a_plan_that_was_refused_says_that_nothing_was_begun(self, migrate):
        told = report(Report.FAILED, problem="findings")
        told.migrations[0].ClearField("duration")
        shown = migrate(*APPLY, ending=operation(response=told)).stdout
        assert shown.startswith("FAILED  nothing was begun\n")
        told.migrations[0].problem = "as tried"
        shown = migrate(*APPLY, ending=operation(response=told)).stdout
        assert shown.startswith("FAILED  0 of 1 migration done\n")

    def test_nothing_to_do_is_no_failure(self, migrate):
        told = Report(outcome=Report.NOTHING_TO_DO)
        ran = migrate(*APPLY, ending=operation(response=told))
        assert (ran.exit_code, ran.stdout.split()[0]) == (0, "NOTHING_TO_DO")

    def failed(self, *details):
        error = ("ABORTED", "4711 was in the way", "LOCK_NOT_ACQUIRED")
        message = operation(error=error)
        for detail in details:
            message.error.details.add().Pack(detail)
        return message

    def test_who_is_in_the_way_is_named(self, migrate):
        told = report(Report.FAILED, problem="4711 was in the way", blockers=[BLOCKER])
        told.migrations[0].problem = told.problem
        ran = migrate(*APPLY, ending=self.failed(told))
        assert ran.exit_code == 1
        assert ran.stdout.startswith("FAILED  0 of 1 migration done in 2 s")
        (row,) = [line for line in ran.stdout.splitlines() if line.startswith("4711  ")]
        for text in ("billing", "idle in transaction", "90 s", "public.orders", "AccessShareLock"):
            assert text in row
        assert "4711 was in the way (ABORTED, LOCK_NOT_ACQUIRED)" in ran.stderr

    @pytest.mark.parametrize("args", [APPLY, ROLLBACK])
    def test_json_is_the_report_of_a_failure_too(self, operations_server, migrate, args):
        told = report(Report.FAILED, problem="4711 was in the way", blockers=[BLOCKER])
        ran = migrate(*args, "--output", "json", ending=self.failed(told))
        assert ran.exit_code == 1
        assert json_format.Parse(ran.stdout, Report()) == told
        ran = migrate(*args, "--output", "json", ending=self.failed())
        assert ran.exit_code == 1
        *_, name = operations_server.operations
        assert json_format.Parse(ran.stdout, Report()) == Report(
            operation=name, outcome=Report.FAILED, problem="4711 was in the way"
        )

    @pytest.mark.parametrize("reason", ["SET_REQUIRED", "MIGRATIONS_UNREADABLE", "FINDINGS"])
    @pytest.mark.parametrize("args", [APPLY, ROLLBACK, BASELINE, ADOPT])
    @pytest.mark.parametrize("output", ["table", "json"])
    def test_every_operation_that_failed_exits_alike(self, migrate, args, output, reason):
        ending = operation(error=("INVALID_ARGUMENT", "no", reason))
        assert migrate(*args, "--output", output, ending=ending).exit_code == 1


class TestHistory:
    def test_people_see_what_was_recorded(self, migrate):
        assert "BASELINED" in migrate(*BASELINE, ending=operation(response=BASELINED)).stdout
        shown = migrate(*ADOPT, ending=operation(response=ADOPTED)).stdout
        assert shown.startswith(
            "1 migration adopted from public.flyway_schema_history, 1 not in the folder, "
            "1 changed since\n"
        )
        tried = migrate(*ADOPT, "--validate-only", ending=operation(response=ADOPTED)).stdout
        assert tried == f"A trial, nothing was recorded. It would be:\n\n{shown}"
        for text in ("has no file", "the checksum differs", "does not record who rolled back"):
            assert text in shown

    def test_a_resolved_migration(self, migrate):
        args = ("resolve", "main", "007", "--applied", "--reason", "by hand")
        assert "APPLIED" in migrate(*args).stdout
        shown = json.loads(migrate(*args, "--output", "json").stdout)
        assert (shown["version"], shown["state"]) == ("007", "APPLIED")


@pytest.mark.parametrize("method", RESULTS)
def test_what_a_server_says_drives_no_terminal(operations_server, migrate, method):
    args, result = RESULTS[method]
    hostile = type(result)()
    hostile.CopyFrom(result)
    for each in (*getattr(hostile, "migrations", ()), *getattr(hostile, "adopted", ())):
        each.name = HOSTILE
    if hasattr(hostile, "notes"):
        hostile.notes.append(HOSTILE)
    shown = migrate(*args, ending=operation(response=hostile)).stdout
    assert "\x1b" not in shown
    assert "old [2J[bold]" in shown


class TestTerminal:
    @pytest.fixture
    def rollback(self, operations_server):
        operations_server.migrations = listing(migration("007"), current_version="007")
        operations_server.endings["RollbackMigrations"] = operation(response=report())
        sessions = []

        def start(*args):
            command = ("migrate", *ROLLBACK, "--server", operations_server.target, *args)
            sessions.append(TerminalSession(*command))
            return sessions[-1]

        yield start
        for session in sessions:
            session.close()

    def test_people_are_asked(self, operations_server, rollback):
        session = rollback("--count", "2")
        session.wait_for("Roll back the 2 newest migrations of main, which is at version 007?")
        session.type("n\n")
        code, stdout, _ = session.end()
        assert (code, stdout) == (1, "")
        assert operations_server.named("RollbackMigrations") == []

    def test_and_go_on_with_yes(self, operations_server, rollback):
        session = rollback("--to", "004")
        session.wait_for("Roll back every migration after 004 of main")
        session.type("y\n")
        code, stdout, _ = session.end()
        assert code == 0
        assert "SUCCEEDED" in stdout
        code, _, rest = rollback("--yes").end()
        assert (code, "Roll back" in rest) == (0, False)
        assert [each.to for each in operations_server.named("RollbackMigrations")] == ["004", ""]
