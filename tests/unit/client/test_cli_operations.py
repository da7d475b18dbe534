"""`dbops operations`, `dbops schedules` and `dbops workers`, against a real server."""

import base64
import json
import threading
from datetime import UTC, datetime

import pytest
from dbops.v1 import operations_pb2, resources_pb2
from dbops.v1.migrate_pb2 import ImportReport
from dbops_client.cli.operation_views import progress
from google.longrunning import operations_pb2 as longrunning_pb2
from google.protobuf import json_format

from tests.support.patience import eventually_blocking
from tests.unit.client.imports import failed, report, verification
from tests.unit.client.messages import State, operation, progressing

RESULT = resources_pb2.Database(name="databases/copy")
SCHEDULE = operations_pb2.Schedule(
    name="databases/main/schedules/nightly",
    kind="create-backup",
    cron="0 3 * * *",
    time_zone="Europe/Berlin",
    last_operation="operations/7f3a",
)


def at(second):
    return datetime(2026, 1, 31, 12, 0, second, tzinfo=UTC)


def row(output, first_word):
    """The cells of the line that starts with `first_word`."""
    (line,) = (line for line in output.splitlines() if line.split()[:1] == [first_word])
    return [cell.strip() for cell in line.strip().split("  ") if cell.strip()]


@pytest.fixture
def run_beside(dbops_operations):
    """Run the command in a thread; join() has the result."""

    class Running(threading.Thread):
        def run(self):
            self.result = dbops_operations(*self._args, **self._kwargs)

        def join(self, timeout=20):
            super().join(timeout)
            return self.result

    def start(*args, **kwargs):
        running = Running(args=args, kwargs=kwargs, daemon=True)
        running.start()
        return running

    return start


def test_operations_are_listed(operations_server, dbops_operations):
    operations_server.put(
        operation(
            state=State.RUNNING,
            stage="copying [1]",
            progress=progressing(1024, 2048),
            attempt=2,
            create_time=at(1),
            start_time=at(2),
            update_time=at(32),
        )
    )
    operations_server.put(operation("b1", error=("OUT_OF_RANGE", "the\ndisk", "DISK_FULL")))
    result = dbops_operations("operations", "list")
    assert (result.exit_code, result.stderr) == (0, "")
    cells = row(result.stdout, "7f3a")
    created = at(1).astimezone().isoformat(timespec="seconds")
    assert cells == [
        *("7f3a", "create-backup", "main", "RUNNING", created, "30 s"),
        "copying [1], 1.0 KiB of 2.0 KiB, attempt 2, the worker was lost",
    ]
    assert row(result.stdout, "b1")[-1] == "DISK_FULL: the disk"


def test_nothing_is_said_to_people_and_is_valid_json(dbops_operations):
    for group in ("operations", "schedules", "workers"):
        assert "no" in dbops_operations(group, "list").stdout
        assert dbops_operations(group, "list", "--output", "json").stdout == "{}\n"


@pytest.mark.parametrize(
    ("args", "sent"),
    [
        ([], ""),
        (["--database", "main"], 'metadata.database = "databases/main"'),
        (["--kind", 'a"\\*'], r'metadata.kind = "a\"\\\*"'),
        (["--state", "running"], "metadata.state = RUNNING"),
        (["--filter", "done = true"], "done = true"),
        (
            ["--running", "--kind", "demo", "--filter", "metadata.requester = ann"],
            'metadata.kind = "demo" AND done = false AND metadata.requester = ann',
        ),
    ],
)
def test_options_become_a_filter(operations_server, dbops_operations, args, sent):
    assert dbops_operations("operations", "list", *args).exit_code == 0
    (request,) = operations_server.named("ListOperations")
    assert request.filter == sent


def test_a_list_is_limited_and_says_so(operations_server, dbops_operations):
    for number in range(3):
        operations_server.put(operation(f"op{number}"))
    result = dbops_operations("operations", "list", "--limit", "2", "--output", "json")
    parsed = json_format.Parse(result.stdout, longrunning_pb2.ListOperationsResponse())
    assert [each.name for each in parsed.operations] == ["operations/op0", "operations/op1"]
    assert result.stderr == "dbops: only the newest 2 are shown. For more, give --limit\n"
    assert len(operations_server.named("ListOperations")) == 1
    assert dbops_operations("operations", "list", "--limit", "3").stderr == ""


def test_an_operation_is_shown_with_its_error(operations_server, dbops_operations):
    operations_server.put(operation(error=("OUT_OF_RANGE", "the\x1b[2J disk", "DISK_FULL")))
    result = dbops_operations("operations", "get", "7f3a")
    assert result.exit_code == 0
    lines = [line.split(maxsplit=1) for line in result.stdout.splitlines()]
    shown = {name: rest.strip() for name, rest in lines}
    assert shown["State"] == "FAILED"
    assert shown["Error"] == "the [2J disk"
    assert (shown["Code"], shown["Reason"]) == ("OUT_OF_RANGE", "DISK_FULL")
    assert shown["path"] == "/backup"


def test_an_operation_is_shown_with_its_result(operations_server, dbops_operations):
    operations_server.put(operation(response=RESULT))
    result = dbops_operations("operations", "get", "7f3a")
    assert '"name": "databases/copy"' in result.stdout


def test_a_result_is_shown_as_the_command_shows_it_that_started_the_operation(
    operations_server, dbops_operations
):
    operations_server.endings["RunImport"] = operation(response=report())
    started = dbops_operations("import", "run", "/srv/app.db", "--database", "main").stdout
    assert started.startswith("SUCCEEDED  1,999 of 2,000 rows copied")
    (name,) = operations_server.operations
    for command in ("get", "wait", "watch"):
        shown = dbops_operations("operations", command, name).stdout
        assert shown.endswith(f"\n\n{started}")
        assert shown.startswith("Operation")
        assert '"copiedRows"' not in shown


def test_a_failed_operation_is_shown_with_its_error_and_what_it_reports(
    operations_server, dbops_operations
):
    operations_server.put(failed(report(outcome=ImportReport.FAILED)))
    shown = dbops_operations("operations", "get", "7f3a").stdout
    assert "VALUES_REJECTED" in shown
    assert "\n\nFAILED  1,999 of 2,000 rows copied" in shown
    waited = dbops_operations("operations", "wait", "7f3a")
    assert waited.exit_code == 1
    assert waited.stdout.startswith("FAILED  1,999 of 2,000 rows copied")


def test_a_result_that_is_no_success_for_its_command_is_one_for_a_wait(
    operations_server, dbops_operations
):
    operations_server.put(operation(response=verification(equal=False)))
    shown = dbops_operations("operations", "wait", "7f3a")
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert "DIFFERENT  2,000 rows compared, 2 differ" in shown.stdout


def test_json_of_an_operation_is_the_message(operations_server, dbops_operations):
    for sent in (
        operation(state=State.RUNNING, progress=progressing(1)),
        operation(response=RESULT),
        operation(error=("OUT_OF_RANGE", "full", "DISK_FULL")),
    ):
        operations_server.put(sent)
        result = dbops_operations("operations", "get", "7f3a", "--output", "json")
        assert json_format.Parse(result.stdout, longrunning_pb2.Operation()) == sent


def test_json_of_types_that_are_not_known_is_their_bytes(operations_server, dbops_operations):
    url = "type.googleapis.com/dbops.v9.Unheard"
    sent = operation(response=RESULT)
    sent.response.type_url, sent.response.value = url, b"\x00\xff"
    operations_server.put(sent)
    shown = json.loads(dbops_operations("operations", "get", "7f3a", "--output", "json").stdout)
    unheard = {"@type": url, "value": base64.b64encode(b"\x00\xff").decode()}
    assert shown["response"] == unheard
    assert shown["metadata"]["kind"] == "create-backup"
    assert (shown["name"], shown["done"]) == ("operations/7f3a", True)
    listed = json.loads(dbops_operations("operations", "list", "--output", "json").stdout)
    assert listed["operations"] == [shown]
    assert url in dbops_operations("operations", "get", "7f3a").stdout

    failed = operation(error=("INTERNAL", "odd", "ODD"))
    failed.error.details.add(type_url=url, value=b"\x00\xff")
    operations_server.put(failed)
    shown = json.loads(dbops_operations("operations", "get", "7f3a", "--output", "json").stdout)
    assert shown["error"]["details"][1] == unheard
    assert shown["error"]["details"][0]["reason"] == "ODD"
    assert shown["error"]["code"] == 13


def test_cancelling_and_deleting_say_so(operations_server, dbops_operations):
    operations_server.put(operation())
    result = dbops_operations("operations", "cancel", "7f3a")
    assert result.stdout.startswith("operations/7f3a is being cancelled")
    result = dbops_operations("operations", "delete", "7f3a", "--output", "json")
    assert (result.exit_code, result.stdout) == (0, "{}\n")
    result = dbops_operations("operations", "delete", "7f3a")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == "dbops: there is no operations/7f3a\n"


@pytest.mark.parametrize("command", ["watch", "wait"])
def test_awaiting_shows_stages_on_standard_error_and_the_end_on_standard_output(
    operations_server, run_beside, command
):
    operations_server.put(operation())
    running = run_beside("operations", command, "7f3a")
    eventually_blocking(lambda: operations_server.named("WatchOperation"))
    copying = {"state": State.RUNNING, "stage": "copying"}
    for changed in (
        operation(**copying),
        operation(**copying, progress=progressing(1)),
        operation(**copying, attempt=2),
        operation(response=RESULT),
    ):
        operations_server.put(changed)
    result = running.join()
    assert result.exit_code == 0
    lines = [line.split(" ", 1)[1] for line in result.stderr.splitlines()]
    # A slow reader misses states in between, and never the first or the last one.
    assert lines[0] == "create-backup main: queued"
    assert lines[-1] == "create-backup main: succeeded"
    assert lines == list(dict.fromkeys(lines))
    assert set(lines[1:-1]) <= {
        "create-backup main: copying",
        "create-backup main: copying, attempt 2, the worker was lost",
    }
    assert '"name": "databases/copy"' in result.stdout


def test_json_of_a_watch_is_a_line_a_change(operations_server, run_beside):
    operations_server.put(operation())
    running = run_beside("operations", "watch", "7f3a", "--output", "json")
    eventually_blocking(lambda: operations_server.named("WatchOperation"))
    operations_server.put(operation(response=RESULT))
    objects = [json.loads(line) for line in running.join().stdout.splitlines()]
    assert [each.get("done", False) for each in objects] == [False, True]


def test_json_of_a_wait_is_the_operation_as_it_ended(operations_server, run_beside):
    operations_server.put(operation())
    running = run_beside("operations", "wait", "7f3a", "--output", "json")
    eventually_blocking(lambda: operations_server.named("WatchOperation"))
    ended = operation(error=("OUT_OF_RANGE", "the disk is full", "DISK_FULL"))
    operations_server.put(ended)
    result = running.join()
    assert result.exit_code == 1
    assert json_format.Parse(result.stdout, longrunning_pb2.Operation()) == ended
    assert result.stderr.splitlines()[-1] == (
        "dbops: operations/7f3a failed: the disk is full (OUT_OF_RANGE, DISK_FULL). "
        "For details run 'dbops operations get operations/7f3a'"
    )


@pytest.mark.parametrize("command", ["watch", "wait"])
@pytest.mark.parametrize(
    ("ended", "exit_code"),
    [
        (operation(response=RESULT), 0),
        (operation(error=("INTERNAL", "odd", "ODD")), 1),
        (operation(error=("CANCELLED", "by ann", "")), 1),
    ],
    ids=["succeeded", "failed", "cancelled"],
)
@pytest.mark.parametrize("output", ["table", "json"])
def test_what_has_ended_already_is_told_at_once(
    operations_server, dbops_operations, command, ended, exit_code, output
):
    operations_server.put(ended)
    result = dbops_operations("operations", command, "7f3a", "--output", output)
    assert result.exit_code == exit_code
    assert operations_server.named("WatchOperation") == []
    if output == "json":
        assert json_format.Parse(result.stdout, longrunning_pb2.Operation()) == ended
    elif exit_code:
        assert result.stdout == ""


def test_a_connection_that_is_lost_and_refused_afterwards_is_3_and_says_what_may_go_on(
    operations_server, run_beside
):
    operations_server.put(operation())
    running = run_beside("operations", "wait", "7f3a")
    eventually_blocking(lambda: operations_server.named("WatchOperation"))
    operations_server.fail("WatchOperation", ("UNAUTHENTICATED", "expired", "TOKEN_EXPIRED"))
    operations_server.stop()
    operations_server.start()
    result = running.join()
    assert (result.exit_code, result.stdout) == (3, "")
    assert "operations/7f3a may still be running. To watch it run" in result.stderr
    assert "DBOPS_TOKEN" in result.stderr.splitlines()[-1]


def test_a_schedule_is_run_and_awaited(operations_server, run_beside):
    running = run_beside("schedules", "run", "main/nightly", "--request-id", "mine")
    eventually_blocking(lambda: operations_server.named("WatchOperation"))
    (name,) = operations_server.operations
    operations_server.put(operation(name, response=RESULT))
    assert running.join().exit_code == 0
    (request,) = operations_server.named("RunSchedule")
    assert request.request_id == "mine"


def test_a_schedule_shows_the_result_by_its_view(operations_server, dbops_operations):
    operations_server.endings["RunSchedule"] = operation(response=report())
    result = dbops_operations("schedules", "run", "main/nightly")
    assert (result.exit_code, "SUCCEEDED  1,999 of 2,000" in result.stdout) == (0, True)
    result = dbops_operations("schedules", "run", "main/nightly", "--output", "json")
    sent = json_format.Parse(result.stdout, longrunning_pb2.Operation())
    assert sent.response.Is(ImportReport.DESCRIPTOR)


def test_a_run_is_validated_without_starting_it(operations_server, dbops_operations):
    result = dbops_operations("schedules", "run", "main/nightly", "--validate-only")
    assert (result.exit_code, result.stdout) == (0, "The request is valid. Nothing was started.\n")
    assert operations_server.operations == {}


def test_without_waiting_the_name_is_printed(operations_server, dbops_operations):
    result = dbops_operations("schedules", "run", "main/nightly", "--no-wait")
    (name,) = operations_server.operations
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{name}\n", "")
    result = dbops_operations("schedules", "run", "main/nightly", "--no-wait", "--output", "json")
    sent = json_format.Parse(result.stdout, longrunning_pb2.Operation())
    assert sent == operations_server.operations[sent.name]
    assert operations_server.named("WatchOperation") == []


def test_an_operation_in_the_way_is_named(operations_server, dbops_operations):
    way = {"operation": "operations/b1"}
    failure = ("ABORTED", "operations/b1 is not done", "OPERATION_IN_THE_WAY", way)
    operations_server.fail("RunSchedule", failure)
    result = dbops_operations("schedules", "run", "main/nightly")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "'dbops operations watch operations/b1'" in result.stderr


def test_a_schedule_without_its_database_is_2(dbops_operations):
    result = dbops_operations("schedules", "run", "nightly")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "DATABASE/SCHEDULE" in result.stderr


def test_schedules_are_listed_paused_and_resumed(operations_server, dbops_operations):
    failed = operations_pb2.Schedule(
        name="databases/main/schedules/weekly", paused=True, last_problem="no worker"
    )
    operations_server.schedules = [SCHEDULE, failed]
    result = dbops_operations("schedules", "list", "main")
    assert row(result.stdout, "main/nightly") == [
        *("main/nightly", "create-backup", "0 3 * * *", "Europe/Berlin", "-", "-", "7f3a")
    ]
    assert row(result.stdout, "main/weekly")[-3:] == ["paused", "-", "no worker"]
    parsed = json_format.Parse(
        dbops_operations("schedules", "list", "--output", "json").stdout,
        operations_pb2.ListSchedulesResponse(),
    )
    assert list(parsed.schedules) == operations_server.schedules
    assert "paused" in dbops_operations("schedules", "pause", "main/nightly").stdout
    assert "paused" not in dbops_operations("schedules", "resume", "main/nightly").stdout
    shown = dbops_operations("schedules", "pause", "main/nightly", "--output", "json").stdout
    assert json.loads(shown) == {"name": SCHEDULE.name, "paused": True}


def test_workers_are_listed(operations_server, dbops_operations):
    operations_server.workers = [
        operations_pb2.Worker(
            name="workers/w1",
            state=operations_pb2.Worker.LOST,
            host="db1",
            pid=42,
            version="0.1.0",
            heartbeat_time=at(1),
            operations=["operations/7f3a"],
        ),
        operations_pb2.Worker(name="workers/w2", state=99, host="db2"),
    ]
    result = dbops_operations("workers", "list")
    heartbeat = at(1).astimezone().isoformat(timespec="seconds")
    assert row(result.stdout, "w1") == ["w1", "LOST", "db1", "42", "0.1.0", "-", heartbeat, "7f3a"]
    assert "STATE_99" in result.stdout
    parsed = json_format.Parse(
        dbops_operations("workers", "list", "--output", "json").stdout,
        operations_pb2.ListWorkersResponse(),
    )
    assert list(parsed.workers) == operations_server.workers


def test_duties_are_listed_with_the_workers_and_alone(operations_server, dbops_operations):
    operations_server.duties = [
        operations_pb2.Duty(
            name="databases/main/duties/receive-wal",
            holder="workers/w1",
            token=3,
            acquire_time=at(0),
            heartbeat_time=at(1),
        ),
        operations_pb2.Duty(name="duties/send-alerts", last_problem="it broke"),
    ]
    times = [at(n).astimezone().isoformat(timespec="seconds") for n in (0, 1)]
    for command in ("list", "duties"):
        shown = dbops_operations("workers", command).stdout
        assert row(shown, "receive-wal") == ["receive-wal", "main", "w1", *times, "-"]
        assert row(shown, "send-alerts")[:4] == ["send-alerts", "-", "nobody", "-"]
        assert "it broke" in shown
    parsed = json_format.Parse(
        dbops_operations("workers", "duties", "--output", "json").stdout,
        operations_pb2.ListDutiesResponse(),
    )
    assert list(parsed.duties) == operations_server.duties
    operations_server.duties = []
    assert "no duty" in dbops_operations("workers", "duties").stdout
    assert "DUTY" not in dbops_operations("workers", "list").stdout


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (progressing(0, unit="By"), "0 B"),
        (
            progressing(3 * 2**20, 12 * 2**20, rate=2.5 * 2**20, remaining_s=3.6),
            "3.0 MiB of 12.0 MiB, 2.5 MiB/s, 3.6 s left",
        ),
        (progressing(7, unit="{row}"), "7 row"),
        (
            progressing(1200, 50000, "{row}", rate=1234.5678, remaining_s=200),
            "1,200 of 50,000 row, 1,235 row/s, 3 min 20 s left",
        ),
        (progressing(1, 4, "{file}", rate=0.25), "1 of 4 file, 0.2 file/s"),
    ],
)
def test_progress_is_told_in_its_unit(message, text):
    assert progress(operations_pb2.OperationMetadata(progress=message)) == text


def test_help_tells_the_exit_codes_of_awaiting(dbops_operations):
    for command in (["operations", "watch"], ["operations", "wait"], ["schedules", "run"]):
        shown = dbops_operations(*command, "--help").stdout
        assert "3  the server refused the call" in shown
        assert "1  it failed or was cancelled" in shown
