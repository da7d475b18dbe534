"""`dbops import`, against a real server."""

import contextlib
import json

import pytest
from dbops.v1 import migrate_pb2, resources_pb2
from google.longrunning import operations_pb2 as longrunning_pb2
from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration

from tests.unit.client.imports import (
    DIFFERENCES,
    REJECT,
    REVERSION,
    Object,
    Report,
    failed,
    plan,
    report,
    verification,
)
from tests.unit.client.messages import State, operation
from tests.unit.client.real_server import end_of, run_dbops

Run = migrate_pb2.RunImportRequest
RUN = ("import", "run", "/srv/app.db", "--database", "main")
PLAN = ("import", "plan", "/srv/app.db", "--database", "main")
VERIFY = ("import", "verify", "run-import-1", "--database", "main")
REVERT = ("import", "revert", "run-import-1", "--database", "main")
RESULTS = {
    "RunImport": (RUN, report()),
    "PlanImport": (PLAN, plan()),
    "VerifyImport": (VERIFY, verification()),
    "RevertImport": (REVERT, REVERSION),
}


def sent(operations_server, method):
    (request,) = operations_server.named(method)
    request.ClearField("request_id")
    return request


@pytest.fixture
def here(tmp_path):
    """The directory that the command is started in."""
    with contextlib.chdir(tmp_path):
        yield tmp_path


@pytest.mark.parametrize("method", RESULTS)
def test_json_is_the_result_and_nothing_else(operations_server, dbops_operations, method):
    args, result = RESULTS[method]
    operations_server.endings[method] = operation(response=result)
    ran = dbops_operations(*args, "--output", "json")
    assert ran.exit_code == 0
    assert json_format.Parse(ran.stdout, type(result)()) == result


def test_json_has_what_is_zero_too(operations_server, dbops_operations):
    operations_server.endings["RunImport"] = operation(
        response=Report(outcome=Report.SUCCEEDED, tables=[migrate_pb2.ImportedTable(source="t")])
    )
    shown = json.loads(dbops_operations(*RUN, "--output", "json").stdout)
    assert (shown["rejectedRows"], shown["rejects"], shown["problem"]) == ("0", [], "")
    assert shown["tables"][0]["verifiedRows"] == "0"


class TestFailed:
    def test_the_report_of_the_details_is_the_output(self, operations_server, dbops_operations):
        told = report(Report.FAILED, problem="1 value does not fit")
        operations_server.endings["RunImport"] = failed(told)
        ran = dbops_operations(*RUN, "--output", "json")
        assert ran.exit_code == 1
        assert json_format.Parse(ran.stdout, Report()) == told
        (name,) = operations_server.operations
        assert ran.stderr.splitlines()[-1] == (
            f"dbops: {name} failed: 1 value does not fit (FAILED_PRECONDITION, VALUES_REJECTED). "
            f"For details run 'dbops operations get {name}'"
        )

    def test_people_see_the_report_too(self, operations_server, dbops_operations):
        told = report(Report.FAILED, problem="1 value does not fit")
        operations_server.endings["RunImport"] = failed(told)
        ran = dbops_operations(*RUN)
        assert ran.exit_code == 1
        assert ran.stdout.startswith("FAILED  1,999 of 2,000 rows copied")
        assert "1 value does not fit" in ran.stdout
        assert "NOT_AN_INTEGER" in ran.stdout

    @pytest.mark.parametrize("error", [("CANCELLED", "by ann", ""), ("ABORTED", "lost", "LOST")])
    def test_an_import_without_a_report_has_one_all_the_same(
        self, operations_server, dbops_operations, error
    ):
        operations_server.endings["RunImport"] = operation(error=error)
        ran = dbops_operations(*RUN, "--schema", "app", "--output", "json")
        assert ran.exit_code == 1
        (name,) = operations_server.operations
        assert json_format.Parse(ran.stdout, Report()) == Report(
            operation=name,
            outcome=Report.FAILED,
            problem=error[1],
            source="/srv/app.db",
            schema="app",
        )

    def test_people_see_no_report_where_there_is_none(self, operations_server, dbops_operations):
        operations_server.endings["RunImport"] = operation(error=("ABORTED", "lost", "LOST"))
        ran = dbops_operations(*RUN)
        assert (ran.exit_code, ran.stdout) == (1, "")

    @pytest.mark.parametrize("args", [PLAN, VERIFY, REVERT])
    def test_another_prints_nothing_then(self, operations_server, dbops_operations, args):
        error = ("FAILED_PRECONDITION", "it is encrypted", "FILE_ENCRYPTED")
        for method in RESULTS:
            operations_server.endings[method] = operation(error=error)
        ran = dbops_operations(*args, "--output", "json")
        assert (ran.exit_code, ran.stdout) == (1, "")
        assert "it is encrypted (FAILED_PRECONDITION, FILE_ENCRYPTED)" in ran.stderr

    @pytest.mark.parametrize("outcome", [Report.FAILED, Report.OUTCOME_UNSPECIFIED])
    def test_no_outcome_but_success_is_success(self, operations_server, dbops_operations, outcome):
        told = report(outcome, problem="odd")
        operations_server.endings["RunImport"] = operation(response=told)
        ran = dbops_operations(*RUN, "--output", "json")
        assert ran.exit_code == 1
        assert json_format.Parse(ran.stdout, Report()) == told
        assert "did not succeed: odd" in ran.stderr

    def test_a_result_that_is_not_known_is_no_success(self, operations_server, dbops_operations):
        operations_server.endings["VerifyImport"] = operation(response=resources_pb2.Database())
        ran = dbops_operations(*VERIFY, "--output", "json")
        assert (ran.exit_code, ran.stdout) == (1, "")
        assert "ended with a result that this command does not know" in ran.stderr

    def test_what_is_refused_at_once(self, operations_server, dbops_operations):
        refusal = ("INVALID_ARGUMENT", "path '/x' is not inside", "PATH_OUTSIDE_ROOTS")
        operations_server.fail("RunImport", refusal)
        ran = dbops_operations(*RUN, "--output", "json")
        assert (ran.exit_code, ran.stdout) == (3, "")
        assert "PATH_OUTSIDE_ROOTS" in ran.stderr


def test_rejects_that_were_asked_for_are_no_failure(operations_server, dbops_operations):
    told = report(
        Report.SUCCEEDED_WITH_REJECTS, rejects_table="app.rejects", rejects_file="/srv/r.jsonl"
    )
    operations_server.endings["RunImport"] = operation(response=told)
    ran = dbops_operations(*RUN, "--on-bad-rows", "quarantine")
    assert ran.exit_code == 0
    assert ran.stdout.startswith("SUCCEEDED_WITH_REJECTS")
    assert "Rejected values, in table app.rejects" in ran.stdout
    assert "Rejected values, in a file on the worker's machine: /srv/r.jsonl" in ran.stdout


def test_differences_are_exit_code_1(operations_server, dbops_operations):
    told = verification(equal=False)
    operations_server.endings["VerifyImport"] = operation(response=told)
    ran = dbops_operations(*VERIFY, "--output", "json")
    assert ran.exit_code == 1
    assert json_format.Parse(ran.stdout, type(told)()) == told
    assert "found 2 rows that differ" in ran.stderr


class TestWhatIsAsked:
    def test_nothing_is_said_that_the_server_decides(self, operations_server, dbops_operations):
        for method, (args, result) in RESULTS.items():
            operations_server.endings[method] = operation(response=result)
            dbops_operations(*args)
        main = {"name": "databases/main"}
        assert sent(operations_server, "RunImport") == Run(source="/srv/app.db", **main)
        assert sent(operations_server, "PlanImport") == migrate_pb2.PlanImportRequest(
            source="/srv/app.db", **main
        )
        named = {"operation": "operations/run-import-1", **main}
        assert sent(operations_server, "VerifyImport") == migrate_pb2.VerifyImportRequest(**named)
        assert sent(operations_server, "RevertImport") == migrate_pb2.RevertImportRequest(**named)

    def test_each_option(self, operations_server, dbops_operations, here):
        here.joinpath("plan.toml").write_text('[tables."größe"]\n', encoding="utf-8")
        operations_server.endings["RunImport"] = operation(response=report())
        ran = dbops_operations(
            *RUN,
            *("--schema", "app", "--mode", "Upsert", "--delete-missing", "--target", "existing"),
            *("--table", "a", "--table", "b", "--exclude-table", "c"),
            *("--on-bad-rows", "fail", "--integrity", "off", "--names", "lower"),
            *("--mapping", "plan.toml", "--processes", "3", "--no-verify", "--max-examples", "0"),
            *("--request-id", "mine", "--operation-timeout", "1.5"),
        )
        assert ran.exit_code == 0
        (request,) = operations_server.named("RunImport")
        assert request == Run(
            name="databases/main",
            source="/srv/app.db",
            schema="app",
            mode=Run.UPSERT,
            delete_missing=True,
            target=Run.EXISTING,
            tables=["a", "b"],
            exclude_tables=["c"],
            bad_rows=Run.FAIL,
            integrity=Run.OFF,
            identifier_case=Run.LOWER,
            mapping='[tables."größe"]\n',
            processes=3,
            skip_verification=True,
            max_examples=0,
            request_id="mine",
            timeout=Duration(seconds=1, nanos=500_000_000),
        )

    @pytest.mark.parametrize("command", ["run", "plan"])
    def test_a_file_is_named_by_its_whole_path(
        self, operations_server, dbops_operations, here, command
    ):
        for file in ("app.db", "/elsewhere/app.db"):
            dbops_operations("import", command, file, "--database", "main", "--no-wait")
        asked = operations_server.named(f"{command.capitalize()}Import")
        assert [each.source for each in asked] == [str(here / "app.db"), "/elsewhere/app.db"]

    def test_another_file_to_compare_with(self, operations_server, dbops_operations, here):
        here.joinpath("other.db").touch()
        dbops_operations(*VERIFY, "--source", "other.db", "--max-examples", "7", "--no-wait")
        request = sent(operations_server, "VerifyImport")
        assert (request.source, request.max_examples) == (str(here / "other.db"), 7)

    @pytest.mark.parametrize(("command", "method"), [("verify", "Verify"), ("revert", "Revert")])
    def test_the_database_is_that_of_the_import(
        self, operations_server, dbops_operations, command, method
    ):
        operations_server.put(operation("run-import-1", database="databases/orders"))
        dbops_operations("import", command, "run-import-1", "--no-wait")
        assert sent(operations_server, f"{method}Import").name == "databases/orders"
        missing = dbops_operations("import", command, "run-import-2", "--no-wait")
        assert (missing.exit_code, missing.stdout) == (3, "")
        assert missing.stderr == "dbops: there is no operations/run-import-2\n"

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (("import", "run", "app.db"), "Missing option '--database'"),
            ((*RUN, "--mode", "merge"), "'merge' is not one of"),
            ((*RUN, "--delete-missing"), "--delete-missing needs --mode upsert"),
            ((*RUN, "--delete-missing", "--mode", "append"), "needs --mode upsert"),
            (
                (*RUN, "--delete-missing", "--mode", "upsert", "--on-bad-rows", "quarantine"),
                "does not go with --on-bad-rows quarantine",
            ),
            ((*RUN, "--mapping", "nowhere.toml"), "does not exist"),
            ((*RUN, "--mapping", "latin.toml"), "cannot be read as text"),
            ((*RUN, "--processes", "65"), "65 is not in the range"),
            ((*RUN, "--max-examples", "-1"), "-1 is not in the range"),
            ((*RUN, "--operation-timeout", "0"), "0.0 is not in the range"),
            (("import", "run", "\udcff", "--database", "main"), "source cannot be sent"),
        ],
    )
    def test_wrong_usage(self, operations_server, dbops_operations, here, args, said):
        here.joinpath("latin.toml").write_bytes(b"\xff")
        ran = dbops_operations(*args)
        assert (ran.exit_code, ran.stdout) == (2, "")
        assert said in ran.stderr
        assert operations_server.calls == []


class TestNotAwaited:
    @pytest.mark.parametrize("args", [args for args, _ in RESULTS.values()])
    def test_its_name_is_printed(self, operations_server, dbops_operations, args):
        ran = dbops_operations(*args, "--no-wait")
        (name,) = operations_server.operations
        assert (ran.exit_code, ran.stdout, ran.stderr) == (0, f"{name}\n", "")
        ran = dbops_operations(*args, "--no-wait", "--output", "json")
        parsed = json_format.Parse(ran.stdout, longrunning_pb2.Operation())
        assert parsed == operations_server.operations[parsed.name]

    @pytest.mark.parametrize("args", [args for args, _ in RESULTS.values()])
    def test_validating(self, operations_server, dbops_operations, args):
        ran = dbops_operations(*args, "--validate-only")
        assert (ran.exit_code, ran.stderr) == (0, "")
        assert ran.stdout == "The request is valid. Nothing was started.\n"
        ran = dbops_operations(*args, "--validate-only", "--output", "json")
        parsed = json_format.Parse(ran.stdout, longrunning_pb2.Operation())
        assert parsed == longrunning_pb2.Operation(done=True)
        assert operations_server.operations == {}


class TestSave:
    @pytest.fixture(autouse=True)
    def planned(self, operations_server):
        operations_server.endings["PlanImport"] = operation(response=plan())

    def test_a_plan_is_saved_and_given_back(self, operations_server, dbops_operations, here):
        ran = dbops_operations(*PLAN, "--save", "plan.toml")
        assert ran.exit_code == 0
        assert here.joinpath("plan.toml").read_text() == plan().mapping
        assert ran.stderr.splitlines()[-1] == "dbops: the plan is saved in plan.toml"
        assert "bigint" in ran.stdout
        dbops_operations(*RUN, "--mapping", "plan.toml", "--no-wait")
        assert sent(operations_server, "RunImport").mapping == plan().mapping

    def test_json_goes_to_standard_output_all_the_same(self, dbops_operations, here):
        ran = dbops_operations(*PLAN, "--save", "plan.toml", "--output", "json")
        assert json_format.Parse(ran.stdout, migrate_pb2.ImportPlan()) == plan()
        assert here.joinpath("plan.toml").read_text() == plan().mapping

    def test_nothing_is_replaced_unless_forced(self, operations_server, dbops_operations, here):
        here.joinpath("plan.toml").write_text("mine")
        ran = dbops_operations(*PLAN, "--save", "plan.toml")
        assert (ran.exit_code, ran.stdout) == (2, "")
        assert "'plan.toml' exists. To replace it, add --force." in ran.stderr
        assert here.joinpath("plan.toml").read_text() == "mine"
        assert operations_server.calls == []
        assert dbops_operations(*PLAN, "--save", "plan.toml", "--force").exit_code == 0
        assert here.joinpath("plan.toml").read_text() == plan().mapping

    def test_standard_output_gets_nothing_else(self, dbops_operations):
        ran = dbops_operations(*PLAN, "--save", "-")
        assert (ran.exit_code, ran.stdout) == (0, plan().mapping)

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (("--save", "-", "--output", "json"), "both write to standard output"),
            (("--save", "plan.toml", "--no-wait"), "does not go with --no-wait"),
            (("--save", "plan.toml", "--validate-only"), "does not go with --no-wait"),
            (("--save", "nowhere/plan.toml"), "there is no directory 'nowhere'"),
        ],
    )
    def test_what_cannot_be_saved_is_said_before(
        self, operations_server, dbops_operations, here, args, said
    ):
        ran = dbops_operations(*PLAN, *args)
        assert (ran.exit_code, ran.stdout) == (2, "")
        assert said in ran.stderr
        assert operations_server.calls == []

    def test_a_plan_that_failed_saves_nothing(self, operations_server, dbops_operations, here):
        operations_server.endings["PlanImport"] = failed()
        assert dbops_operations(*PLAN, "--save", "plan.toml").exit_code == 1
        assert list(here.iterdir()) == []


class TestDescribe:
    @pytest.mark.parametrize("method", RESULTS)
    def test_what_it_ended_with(self, operations_server, dbops_operations, method):
        args, result = RESULTS[method]
        operations_server.endings[method] = operation(response=result)
        shown = dbops_operations(*args).stdout
        (name,) = operations_server.operations
        for given in (name, name.removeprefix("operations/")):
            ran = dbops_operations("import", "describe", given)
            assert (ran.exit_code, ran.stdout, ran.stderr) == (0, shown, "")
        ran = dbops_operations("import", "describe", name, "--output", "json")
        assert json_format.Parse(ran.stdout, type(result)()) == result

    def test_what_a_failed_one_told(self, operations_server, dbops_operations):
        message = failed(report(Report.FAILED))
        operations_server.put(message)
        ran = dbops_operations("import", "describe", message.name, "--output", "json")
        assert (ran.exit_code, ran.stderr) == (0, "")
        assert json_format.Parse(ran.stdout, Report()) == report(Report.FAILED)

    def test_one_that_told_nothing(self, operations_server, dbops_operations):
        operations_server.put(failed())
        ran = dbops_operations("import", "describe", "7f3a")
        assert (ran.exit_code, ran.stdout) == (1, "")
        assert "operations/7f3a failed: 1 value does not fit" in ran.stderr

    def test_one_that_has_not_ended(self, operations_server, dbops_operations):
        operations_server.put(operation(state=State.RUNNING))
        ran = dbops_operations("import", "describe", "7f3a")
        assert (ran.exit_code, ran.stdout) == (3, "")
        assert ran.stderr == (
            "dbops: operations/7f3a has not ended. Run 'dbops operations watch operations/7f3a'\n"
        )

    def test_one_of_another_kind(self, operations_server, dbops_operations):
        operations_server.put(operation(response=resources_pb2.Database()))
        ran = dbops_operations("import", "describe", "7f3a")
        assert (ran.exit_code, ran.stdout) == (2, "")
        assert "operations/7f3a is not an import" in ran.stderr


def has(output, *lines):
    """Whether the output has these lines, whatever the room between their words."""
    shown = [line.split() for line in output.splitlines()]
    missing = [line for line in lines if line.split() not in shown]
    assert not missing, output
    return True


class TestForPeople:
    def shown(self, operations_server, dbops_operations, method, result, **kwargs):
        operations_server.endings[method] = operation(response=result)
        return dbops_operations(*RESULTS[method][0], **kwargs).stdout

    def test_a_report(self, operations_server, dbops_operations):
        told = report(previous_schema="app_before")
        output = self.shown(operations_server, dbops_operations, "RunImport", told)
        assert output.startswith(
            "SUCCEEDED  1,999 of 2,000 rows copied, 1,999 verified, 1 rejected, "
            "in 1.5 s (1,333 rows/s)\n/srv/app.db to schema app\n"
        )
        assert has(output, "Stages: snapshot 500 ms, copy 1 s")
        assert has(output, "Replaced tables, kept for a revert in schema app_before")
        assert has(output, "user 2,000 1,999 20.0 KiB 2 s 1 1,999")
        assert has(output, "Carried unchanged: 1 check, 2 index")
        assert has(
            output,
            "CHANGED collation user: email NOCASE: it compares case-sensitively in PostgreSQL",
        )
        assert has(output, "NOT_CARRIED trigger touch triggers are not")
        assert has(output, "user age 1 NOT_AN_INTEGER")
        assert has(output, "Note: the file is in WAL mode")

    def test_no_value_drives_the_terminal(self, operations_server, dbops_operations):
        hostile = "\x1b[2J\u009b1m\r\n[bold]"
        told = report(
            problem=hostile,
            source=hostile,
            operation=hostile,
            rejects_table=hostile,
            rejects_file=hostile,
            previous_schema=hostile,
            notes=[hostile],
            objects=[
                Object(kind=hostile, name=hostile, table="t", fate=Object.CARRIED),
                Object(kind=hostile, name=hostile, table=hostile, reason=hostile, fate=9),
            ],
            rejects=[REJECT],
            stages=[migrate_pb2.ImportStage(stage=hostile)],
        )
        tables = [
            migrate_pb2.PlannedImportTable(
                source=hostile,
                target="t",
                columns=[migrate_pb2.PlannedImportColumn(source=hostile, evidence=hostile)],
            )
        ]
        difference = migrate_pb2.ImportDifference(table=hostile, source=hostile, target=hostile)
        for method, result in (
            ("RunImport", told),
            ("PlanImport", plan(source=hostile, schema=hostile, tables=tables)),
            ("VerifyImport", verification(source=hostile, differences=[difference])),
            (
                "RevertImport",
                migrate_pb2.RevertImportResponse(operation=hostile, restored_tables=[hostile]),
            ),
        ):
            output = self.shown(operations_server, dbops_operations, method, result)
            assert "[bold]" in output
            assert all(line.isprintable() for line in output.split("\n"))

    def test_what_is_rare_has_a_column_where_there_is_some(
        self, operations_server, dbops_operations
    ):
        table = migrate_pb2.ImportedTable(
            source="user", target="users", merged_rows=5, deleted_rows=6
        )
        told = report(tables=[table])
        output = self.shown(operations_server, dbops_operations, "RunImport", told)
        assert has(output, "TABLE ROWS COPIED SIZE COPYING REJECTED VERIFIED MERGED DELETED")
        assert has(output, "user → users 0 0 0 B 0 ms 0 0 5 6")

    def test_there_is_an_end_to_what_is_shown(self, operations_server, dbops_operations):
        told = report(
            rejects=[REJECT] * 25,
            reject_counts=[
                migrate_pb2.RejectCount(table="user", column="age", reason="X", count=1000)
            ],
        )
        output = self.shown(operations_server, dbops_operations, "RunImport", told)
        assert output.count("id=7") == 20
        assert "… and 5 more, which --output json names\n" in output
        assert "… and 975 more, which are only counted (--max-examples)\n" in output

    def test_on_a_narrow_terminal_nothing_is_cut_off(self, operations_server, dbops_operations):
        name = "a_table_whose_name_is_longer_than_a_line_has_room_for"
        told = report(
            tables=[migrate_pb2.ImportedTable(source=name, target=name)],
            rejects=[
                migrate_pb2.RejectedValue(
                    table=name, column="c", key="k" * 60, reason="NOT_AN_INTEGER", value="v" * 60
                )
            ],
        )
        output = self.shown(
            operations_server, dbops_operations, "RunImport", told, env={"COLUMNS": "80"}
        )
        assert "…" not in output
        assert (output.count("k"), output.count("v")) >= (60, 60)

    def test_a_plan(self, operations_server, dbops_operations):
        output = self.shown(operations_server, dbops_operations, "PlanImport", plan())
        assert output.startswith(
            "/srv/app.db (40.0 KiB) to schema app: 1 table, 2,000 rows; "
            "about 3 s, and 80.0 KiB in PostgreSQL\n"
        )
        assert has(output, "user → users 2,000 rows")
        assert has(output, "id bigint integer INTEGER PRIMARY KEY")
        assert has(output, "NOT_CARRIED trigger touch triggers are not")

    def test_a_verification(self, operations_server, dbops_operations):
        output = self.shown(operations_server, dbops_operations, "VerifyImport", verification())
        assert output.startswith("EQUAL  2,000 rows compared, 0 differ\n")
        told = verification(equal=False)
        output = self.shown(operations_server, dbops_operations, "VerifyImport", told)
        assert output.startswith("DIFFERENT  2,000 rows compared, 2 differ\n")
        assert has(output, "user id=1 name 'a' 'b'")
        assert has(output, "user id=2 - (2) no such row")

    def test_differences_of_an_import(self, operations_server, dbops_operations):
        table = migrate_pb2.ImportedTable(source="user", differing_rows=1)
        told = report(Report.FAILED, tables=[table], differences=DIFFERENCES[:1])
        operations_server.endings["RunImport"] = failed(told)
        output = dbops_operations(*RUN).stdout
        assert "1 row differs:\n" in output
        assert has(output, "user id=1 name 'a' 'b'")

    def test_a_revert(self, operations_server, dbops_operations):
        output = self.shown(
            operations_server, dbops_operations, "RevertImport", RESULTS["RevertImport"][1]
        )
        assert output == (
            "operations/run-import-1 is reverted in schema app\n\n"
            "Restored: user\nRemoved: user, order\n"
        )

    def test_a_revert_of_rows(self, operations_server, dbops_operations):
        result = migrate_pb2.RevertImportResponse(
            operation="operations/run-import-1",
            schema="app",
            restored_tables=["user"],
            tables=[
                migrate_pb2.RevertedTable(target="user", removed_rows=1234, restored_rows=5),
            ],
        )
        output = self.shown(operations_server, dbops_operations, "RevertImport", result)
        assert has(output, "TABLE REMOVED RESTORED")
        assert has(output, "user 1,234 5")


def test_help_has_examples_and_exit_codes(dbops_operations):
    for command in ("plan", "run", "verify", "revert"):
        shown = dbops_operations("import", command, "--help").stdout
        assert "Exit codes:" in shown
        assert (f"  dbops import {command} " in shown) == (command != "revert")
    assert "or differences were found" in dbops_operations("import", "verify", "--help").stdout


async def test_the_command_as_a_process_prints_the_report_alone(operations_server, here):
    here.joinpath("app.db").touch()
    told = report(Report.FAILED)
    operations_server.endings["RunImport"] = failed(told)
    process = await run_dbops(
        *("--server", operations_server.target, "import", "run", "app.db", "--database", "main"),
        *("--output", "json"),
    )
    stdout, stderr = await end_of(process)
    assert process.returncode == 1
    assert json_format.Parse(stdout, Report()) == told
    assert b"failed: 1 value does not fit" in stderr
    assert sent(operations_server, "RunImport").source == str(here / "app.db")
