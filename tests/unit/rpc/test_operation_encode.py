"""Operations, schedules and workers as messages."""

import json
from dataclasses import replace

import grpc
import pytest
from dbops.v1 import migrations_pb2, operations_pb2
from google.rpc import error_details_pb2

from dbopsd.errors import InvalidField
from dbopsd.migrate.versions.kinds import APPLY_MIGRATIONS
from dbopsd.operations.record import (
    Failure,
    Operation,
    Progress,
    Schedule,
    State,
    WorkerInfo,
    WorkerState,
)
from dbopsd.rpc.operation_encode import (
    encode_metadata,
    encode_operation,
    encode_schedule,
    encode_worker,
    operation_id,
)
from dbopsd.rpc.operation_methods import OperationMethod, by_kind
from dbopsd.security.caller import ANONYMOUS, Caller, Role, current_caller
from tests.support.demo.feature import METHODS
from tests.support.demo.generated import demo_pb2

M = operations_pb2.OperationMetadata
BY_KIND = by_kind(METHODS)
QUEUED = Operation(
    id="demo-1",
    kind="demo",
    database="main",
    state=State.QUEUED,
    requester="zoe",
    request_id="r-1",
    role=2,
    request="{}",
    create_time=1_700_000_000.125,
    update_time=1_700_000_001.0,
)
RESULT = json.dumps({"steps_done": 3, "attempts": 2, "step_attempts": [1, 1, 2]})


def metadata(encoded) -> operations_pb2.OperationMetadata:
    found = M()
    assert encoded.metadata.Unpack(found)
    return found


def test_one_that_waits():
    encoded = encode_operation(QUEUED, BY_KIND)
    assert (encoded.name, encoded.done) == ("operations/demo-1", False)
    assert encoded.WhichOneof("result") is None
    found = metadata(encoded)
    assert (found.database, found.kind, found.state) == ("databases/main", "demo", M.QUEUED)
    assert (found.requester, found.request_id) == ("zoe", "r-1")
    assert found.create_time.ToMilliseconds() == 1_700_000_000_125
    assert found.update_time.ToMilliseconds() == 1_700_000_001_000
    assert (found.worker, found.trace_id, found.attempt) == ("", "", 0)
    for name in ("progress", "start_time", "end_time", "deadline_time", "cancel_time"):
        assert not found.HasField(name), name


def test_everything_that_may_be_known():
    found = encode_metadata(
        replace(
            QUEUED,
            state=State.CANCELLING,
            start_time=1.0,
            end_time=2.0,
            cancel_time=3.0,
            deadline=4.0,
            stage="copying",
            progress=Progress(25, 100, "{row}", rate=50.0),
            attempt=3,
            worker="host-7",
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
    )
    times = (found.start_time, found.end_time, found.cancel_time, found.deadline_time)
    assert [time.ToMilliseconds() for time in times] == [1000, 2000, 3000, 4000]
    assert (found.state, found.stage, found.attempt) == (M.CANCELLING, "copying", 3)
    assert (found.worker, found.trace_id) == ("workers/host-7", "0af7651916cd43dd8448eb211c80319c")
    progress = found.progress
    assert (progress.done, progress.total, progress.unit) == (25, 100, "{row}")
    assert (progress.rate, progress.remaining.ToMilliseconds()) == (50.0, 1500)


@pytest.mark.parametrize("state", State)
def test_every_state_has_its_number(state):
    encoded = encode_operation(replace(QUEUED, state=state), {})
    assert M.State.Name(metadata(encoded).state) == state.value
    assert encoded.done is state.done


@pytest.mark.parametrize(
    ("state", "progress"),
    [
        (State.RUNNING, Progress(1)),
        (State.RUNNING, Progress(1, 10, rate=0.0)),
        (State.RUNNING, Progress(1, 2**62, rate=1e-300)),
        (State.SUCCEEDED, Progress(10, 10, rate=1.0)),
    ],
)
def test_a_time_that_is_not_known_is_not_set(state, progress):
    found = encode_metadata(replace(QUEUED, state=state, progress=progress))
    assert found.HasField("progress")
    assert not found.progress.HasField("remaining")


class TestResponses:
    def test_the_kinds_own_message(self):
        encoded = encode_operation(replace(QUEUED, state=State.SUCCEEDED, result=RESULT), BY_KIND)
        response = demo_pb2.DemoResponse()
        assert encoded.response.Unpack(response)
        assert (response.steps_done, response.attempts) == (3, 2)
        assert list(response.step_attempts) == [1, 1, 2]

    def test_a_kind_that_is_not_known_here(self):
        done = replace(QUEUED, kind="newer", state=State.SUCCEEDED, result=RESULT)
        encoded = encode_operation(done, BY_KIND)
        assert encoded.done
        assert encoded.WhichOneof("result") is None
        assert metadata(encoded).kind == "newer"

    @pytest.mark.parametrize("result", ['{"secret": "squirrel"}', "not JSON squirrel", ""])
    def test_a_result_of_another_version(self, result, caplog):
        done = replace(QUEUED, state=State.SUCCEEDED, result=result)
        assert encode_operation(done, BY_KIND).WhichOneof("result") is None
        assert "operations/demo-1" in caplog.text
        assert "squirrel" not in caplog.text


class TestErrors:
    def test_as_every_other_error(self):
        failure = Failure("ABORTED", "LOCK_TIMEOUT", "too long", {"relation": "orders"})
        encoded = encode_operation(replace(QUEUED, state=State.FAILED, failure=failure), {})
        assert encoded.WhichOneof("result") == "error"
        assert (encoded.error.code, encoded.error.message) == (10, "too long")
        info = error_details_pb2.ErrorInfo()
        assert encoded.error.details[0].Unpack(info)
        assert (info.reason, info.domain) == ("LOCK_TIMEOUT", "dbops.v1")
        assert dict(info.metadata) == {"relation": "orders"}

    @pytest.mark.parametrize("failure", [None, Failure("NEW_CODE", "X", "y")])
    def test_no_cause_and_unknown_codes_are_unknown(self, failure):
        encoded = encode_operation(replace(QUEUED, state=State.FAILED, failure=failure), {})
        assert encoded.error.code == grpc.StatusCode.UNKNOWN.value[0]

    def test_what_its_kind_tells_of_it_is_among_its_details(self):
        failure = Failure("ABORTED", "LOCK_TIMEOUT", "too long", {"relation": "orders"}, RESULT)
        encoded = encode_operation(replace(QUEUED, state=State.FAILED, failure=failure), BY_KIND)
        first, *others = encoded.error.details
        assert first.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)
        response = demo_pb2.DemoResponse()
        (found,) = [each for each in others if each.Unpack(response)]
        assert found.type_url == "type.googleapis.com/dbops.demo.v1.DemoResponse"
        assert (response.steps_done, response.attempts) == (3, 2)

    @pytest.mark.parametrize(
        ("kind", "result"), [("demo", "squirrel"), ("newer", RESULT), ("demo", None)]
    )
    def test_it_is_told_without_what_is_not_known_here(self, kind, result):
        failure = Failure("ABORTED", "LOCK_TIMEOUT", "too long", {}, result)
        failed = replace(QUEUED, kind=kind, state=State.FAILED, failure=failure)
        encoded = encode_operation(failed, BY_KIND)
        (only,) = encoded.error.details
        assert only.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)
        assert encoded.error.message == "too long"


@pytest.mark.parametrize(
    ("caller", "query"),
    [
        (Caller("vic", Role.VIEWER), ""),
        (Caller("vic", Role.VIEWER, (("other", Role.ADMIN),)), ""),
        (Caller("olga", None, (("main", Role.OPERATOR),)), "UPDATE users SET password = 'x'"),
        (ANONYMOUS, "UPDATE users SET password = 'x'"),
    ],
)
@pytest.mark.parametrize("state", [State.FAILED, State.SUCCEEDED])
def test_what_a_caller_may_not_see_of_a_result_is_left_out(state, caller, query):
    blocker = {"pid": 7, "query": "UPDATE users SET password = 'x'", "relation": "public.users"}
    result = json.dumps({"operation": "o", "outcome": "FAILED", "blockers": [blocker]})
    failure = Failure("ABORTED", "LOCK_NOT_ACQUIRED", "in the way: pid 7", {}, result)
    ended = replace(QUEUED, kind="apply", state=state, failure=failure, result=result)
    methods = {
        "apply": OperationMethod(APPLY_MIGRATIONS, "dbops.v1.MigrateService/ApplyMigrations")
    }
    token = current_caller.set(caller)
    try:
        encoded = encode_operation(ended, methods)
    finally:
        current_caller.reset(token)
    report = migrations_pb2.MigrationReport()
    packed = encoded.response if state is State.SUCCEEDED else encoded.error.details[-1]
    assert packed.Unpack(report)
    (found,) = report.blockers
    assert (found.pid, found.relation, found.query) == (7, "public.users", query)


def test_a_schedule():
    schedule = Schedule(
        "nightly", "main", "demo", "{}", "0 3 * * *", "Europe/Berlin", next_time=5.0
    )
    found = encode_schedule(schedule)
    assert (found.name, found.kind) == ("databases/main/schedules/nightly", "demo")
    assert (found.cron, found.time_zone, found.paused) == ("0 3 * * *", "Europe/Berlin", False)
    assert found.next_time.seconds == 5
    assert not found.HasField("last_time")
    assert (found.last_operation, found.last_problem) == ("", "")


def test_a_paused_schedule_that_ran():
    found = encode_schedule(
        Schedule(
            *("nightly", "main", "demo", "{}", "0 3 * * *", "UTC"),
            paused=True,
            next_time=5.0,
            last_time=4.0,
            last_operation="demo-1",
            last_problem="was late",
        )
    )
    assert found.paused
    assert not found.HasField("next_time")
    assert found.last_time.seconds == 4
    assert (found.last_operation, found.last_problem) == ("operations/demo-1", "was late")


@pytest.mark.parametrize("state", WorkerState)
def test_a_worker(state):
    worker = WorkerInfo("w-1", state, "host", 42, "1.2.3", 10.0, 20.5, ("demo-1", "demo-2"))
    found = encode_worker(worker, None)
    assert (found.name, found.host, found.pid, found.version) == (
        "workers/w-1",
        "host",
        42,
        "1.2.3",
    )
    assert operations_pb2.Worker.State.Name(found.state) == state.value
    assert (found.start_time.seconds, found.heartbeat_time.ToMilliseconds()) == (10, 20_500)
    assert list(found.operations) == ["operations/demo-1", "operations/demo-2"]
    assert list(encode_worker(worker, {"demo-2"}).operations) == ["operations/demo-2"]


def test_a_name_is_read():
    assert operation_id("operations/demo-0af7") == "demo-0af7"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "is required"),
        (" ", "is required"),
        ("demo-1", "is not of the form operations/{operation}"),
        ("operations/", "is not of the form"),
        ("operations/A", "is not of the form"),
        ("operations/a/b", "is not of the form"),
        ("operations/a\n", "is not of the form"),
    ],
)
def test_another_form_is_refused(name, problem):
    with pytest.raises(InvalidField, match=problem) as caught:
        operation_id(name)
    assert caught.value.field == "name"
