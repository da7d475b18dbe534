"""Long-running operations, with both clients, against a real server."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
from dbops.v1 import operations_pb2, resources_pb2
from dbops_client import (
    AsyncDbopsClient,
    CallCancelledError,
    ConfigurationError,
    DbopsClient,
    FailedPreconditionError,
    NotFoundError,
    Operation,
    OutOfRangeError,
    UnavailableError,
    UnknownError,
)

from tests.support.patience import eventually_blocking
from tests.unit.client.messages import State, operation

RESULT = resources_pb2.Database(name="databases/copy")
NOT_NOW = ("UNAVAILABLE", "not now")


@pytest.fixture(params=["sync", "asyncio"])
def call(request, operations_server):
    """`call(method, …)`: the result of a client's method; of an iterator or watch, its items."""
    target = operations_server.target

    def call_sync(method, *args, **kwargs):
        with DbopsClient(target, token="t0ken") as client:
            found = getattr(client, method)(*args, **kwargs)
            return list(found) if isinstance(found, Iterator) else found

    async def call_async(method, *args, **kwargs):
        async with AsyncDbopsClient(target, token="t0ken") as client:
            found = getattr(client, method)(*args, **kwargs)
            if isinstance(found, AsyncIterator):
                return [each async for each in found]
            return await found

    if request.param == "sync":
        return call_sync
    return lambda *args, **kwargs: asyncio.run(call_async(*args, **kwargs))


@pytest.fixture
def beside():
    """`beside(function, …)`: run it in a thread; join() has its result."""
    threads = []

    class Beside(threading.Thread):
        def run(self):
            try:
                self.result, self.error = self._target(*self._args), None
            except Exception as error:
                self.result, self.error = None, error

        def join(self, timeout=20):
            super().join(timeout)
            assert not self.is_alive()
            if self.error is not None:
                raise self.error
            return self.result

    def start(function, *args):
        threads.append(Beside(target=function, args=args, daemon=True))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        threading.Thread.join(thread, 20)


@pytest.mark.parametrize("name", ["7f3a", "operations/7f3a"])
def test_an_operation_is_asked_for_by_either_name(operations_server, call, name):
    operations_server.put(operation(state=State.RUNNING, stage="copying", attempt=2))
    found = call("get_operation", name)
    assert (found.name, found.done, found.error) == ("operations/7f3a", False, None)
    assert (found.metadata.stage, found.metadata.attempt) == ("copying", 2)
    ((_, _, sent),) = operations_server.calls
    assert sent["authorization"] == "Bearer t0ken"


def test_operations_come_over_all_pages_with_their_filter(operations_server, call):
    for number in range(5):
        operations_server.put(operation(f"op{number}"))
    found = call("list_operations", "done = false", page_size=2)
    assert [each.name for each in found] == [f"operations/op{number}" for number in range(5)]
    asked = operations_server.named("ListOperations")
    assert [request.page_token for request in asked] == ["", "2", "4"]
    assert {(each.name, each.filter, each.page_size) for each in asked} == {
        ("operations", "done = false", 2)
    }


def test_waiting_ends_with_the_operation(operations_server, call, beside):
    operations_server.put(operation())
    waiting = beside(call, "wait_operation", "7f3a")
    eventually_blocking(lambda: operations_server.named("WaitOperation"))
    operations_server.put(operation(response=RESULT))
    assert waiting.join().result(resources_pb2.Database) == RESULT


def test_waiting_ends_when_the_time_is_up(operations_server, call):
    operations_server.put(operation())
    assert not call("wait_operation", "7f3a", within_s=0.3).done
    (request,) = operations_server.named("WaitOperation")
    assert 0.2 < request.timeout.ToNanoseconds() / 1e9 <= 0.3


@pytest.mark.parametrize("within_s", [0, -1, float("nan")])
def test_a_time_to_wait_is_a_time(operations_server, within_s):
    with (
        DbopsClient(operations_server.target) as client,
        pytest.raises(ConfigurationError, match="within_s"),
    ):
        client.wait_operation("7f3a", within_s=within_s)
    assert operations_server.calls == []


def test_waiting_outlives_a_restart(operations_server, call, beside):
    operations_server.put(operation())
    waiting = beside(call, "wait_operation", "7f3a")
    eventually_blocking(lambda: operations_server.named("WaitOperation"))
    operations_server.stop()
    operations_server.start()
    eventually_blocking(lambda: len(operations_server.named("WaitOperation")) > 1)
    operations_server.put(operation(response=RESULT))
    assert waiting.join().done


def test_waiting_is_given_up_when_told_so(operations_server, call):
    operations_server.stop()
    with pytest.raises(UnavailableError):
        call("wait_operation", "7f3a", reconnect_for_s=0)
    operations_server.start()


def call_of_watch(call):
    return call("watch_operation", "7f3a")


def test_a_watch_ends_with_the_operation(operations_server, call, beside):
    operations_server.put(operation())
    watching = beside(call_of_watch, call)
    eventually_blocking(lambda: operations_server.named("WatchOperation"))
    operations_server.put(operation(response=RESULT))
    seen = watching.join()
    assert seen[-1].result(resources_pb2.Database) == RESULT
    assert [each.done for each in seen][:-1] == [False] * (len(seen) - 1)
    assert len(operations_server.named("WatchOperation")) == 1


def test_a_watch_outlives_a_restart_and_starts_with_the_present_state(
    operations_server, call, beside
):
    operations_server.put(operation())
    watching = beside(call_of_watch, call)
    eventually_blocking(lambda: operations_server.named("WatchOperation"))
    operations_server.stop()
    operations_server.put(operation(error=("OUT_OF_RANGE", "the disk is full", "DISK_FULL")))
    operations_server.start()
    seen = watching.join()
    assert [each.metadata.state for each in seen] == [State.QUEUED, State.FAILED]


def test_a_watch_tells_for_how_long_it_has_been_cut_off(operations_server):
    operations_server.put(operation())
    with (
        DbopsClient(operations_server.target) as client,
        client.watch_operation("7f3a") as watch,
    ):
        next(watch)
        assert watch.outage_s == 0
        operations_server.stop()
        reader = threading.Thread(target=next, args=(watch,), daemon=True)
        reader.start()
        eventually_blocking(lambda: watch.outage_s > 0.1)
        operations_server.start()
        reader.join(10)
        assert watch.outage_s == 0


def test_cancelling_and_deleting(operations_server, call):
    operations_server.put(operation())
    assert call("cancel_operation", "7f3a") is None
    assert call("get_operation", "7f3a").metadata.state == State.CANCELLED
    assert call("delete_operation", "7f3a") is None
    with pytest.raises(NotFoundError) as caught:
        call("delete_operation", "7f3a")
    assert caught.value.reason == "OPERATION_NOT_FOUND"


def test_schedules_come_over_all_pages(operations_server, call):
    operations_server.schedules = [
        operations_pb2.Schedule(name=f"databases/main/schedules/s{n}") for n in range(3)
    ]
    assert call("list_schedules", page_size=2) == operations_server.schedules
    assert call("list_schedules", "main") == operations_server.schedules
    asked = operations_server.named("ListSchedules")
    assert [request.parent for request in asked] == [
        "databases/-",
        "databases/-",
        "databases/main",
    ]


@pytest.mark.parametrize("name", ["main/nightly", "databases/main/schedules/nightly"])
def test_schedules_are_run_paused_and_resumed_by_either_name(operations_server, call, name):
    full_name = "databases/main/schedules/nightly"
    assert call("pause_schedule", name) == operations_pb2.Schedule(name=full_name, paused=True)
    assert call("resume_schedule", name) == operations_pb2.Schedule(name=full_name)
    assert call("run_schedule", name, request_id="mine").name in operations_server.operations
    (request,) = operations_server.named("RunSchedule")
    assert (request.name, request.request_id) == (full_name, "mine")
    assert not request.validate_only


def test_validating_a_run_starts_nothing(operations_server, call):
    answer = call("run_schedule", "main/nightly", request_id="mine", validate_only=True)
    assert (answer.name, answer.done, operations_server.operations) == ("", True, {})
    (request,) = operations_server.named("RunSchedule")
    assert (request.request_id, request.validate_only) == ("mine", True)


def test_a_schedule_without_its_database_is_refused_before_anything_is_sent(
    operations_server, call
):
    with pytest.raises(ConfigurationError, match="DATABASE/SCHEDULE"):
        call("run_schedule", "nightly")
    assert operations_server.calls == []


def test_each_try_of_a_start_has_the_same_request_id_and_each_start_another(
    operations_server, call
):
    operations_server.fail("RunSchedule", NOT_NOW, NOT_NOW)
    first = call("run_schedule", "main/nightly")
    tries = {request.request_id for request in operations_server.named("RunSchedule")}
    assert (len(tries), len(operations_server.named("RunSchedule"))) == (1, 3)
    assert list(operations_server.operations) == [first.name]
    assert call("run_schedule", "main/nightly").name != first.name


def test_deleting_is_not_tried_again_and_cancelling_is(operations_server, call):
    operations_server.put(operation())
    operations_server.fail("DeleteOperation", NOT_NOW)
    with pytest.raises(UnavailableError, match="not now"):
        call("delete_operation", "7f3a")
    operations_server.fail("CancelOperation", NOT_NOW)
    call("cancel_operation", "7f3a")
    assert len(operations_server.named("DeleteOperation")) == 1
    assert len(operations_server.named("CancelOperation")) == 2


def test_workers_come_over_all_pages(operations_server, call):
    operations_server.workers = [operations_pb2.Worker(name=f"workers/w{n}") for n in range(3)]
    assert call("list_workers", page_size=2) == operations_server.workers


def test_a_callable_is_asked_for_the_token_before_each_call_and_each_connection(
    operations_server, beside
):
    numbers = iter(range(100))
    operations_server.put(operation())
    with DbopsClient(operations_server.target, token=lambda: f"t{next(numbers)}") as client:
        client.get_operation("7f3a")
        client.get_operation("7f3a")
        watching = beside(list, client.watch_operation("7f3a"))
        eventually_blocking(lambda: operations_server.named("WatchOperation"))
        operations_server.stop()
        operations_server.start()
        operations_server.put(operation(response=RESULT))
        watching.join()
    tokens = [sent["authorization"] for _, _, sent in operations_server.calls]
    assert tokens[:3] == ["Bearer t0", "Bearer t1", "Bearer t2"]
    assert len(set(tokens)) == len(tokens) >= 4


def test_a_callables_bad_token_is_not_repeated(operations_server):
    client = DbopsClient(operations_server.target, token=lambda: "se cret")
    with pytest.raises(ConfigurationError) as caught:
        client.get_operation("7f3a")
    assert "cret" not in f"{caught.value}{client!r}"
    client.close()
    with pytest.raises(ConfigurationError, match="without TLS"):
        DbopsClient("db.example", token=lambda: "t0ken")


def test_a_failed_operation_raises_what_its_call_would_have_raised():
    failed = Operation(operation(error=("OUT_OF_RANGE", "the disk is full", "DISK_FULL")))
    with pytest.raises(OutOfRangeError) as caught:
        failed.result(resources_pb2.Database)
    error = caught.value
    assert (error.reason, error.metadata) == ("DISK_FULL", {"path": "/backup"})
    assert str(error) == "the disk is full (OUT_OF_RANGE, DISK_FULL)"
    cancelled = Operation(operation(error=("CANCELLED", "by ann", "")))
    assert isinstance(cancelled.error, CallCancelledError)


def test_what_a_failed_operation_tells_besides_is_asked_for_by_its_type():
    message = operation(error=("FAILED_PRECONDITION", "rows were rejected", "ROWS_REJECTED"))
    assert Operation(message).failure_details(resources_pb2.Database) is None
    message.error.details.add().Pack(RESULT)
    failed = Operation(message)
    assert failed.failure_details(resources_pb2.Database) == RESULT
    assert failed.failure_details(operations_pb2.Schedule) is None
    assert failed.error.reason == "ROWS_REJECTED"
    message.error.details[1].value = b"\xff\xff"
    assert Operation(message).failure_details(resources_pb2.Database) is None
    for other in (operation(), operation(response=RESULT)):
        assert Operation(other).failure_details(resources_pb2.Database) is None


def test_an_error_of_a_code_that_is_not_known_is_unknown():
    message = operation(error=("INTERNAL", "odd", "ODD"))
    message.error.code = 99
    error = Operation(message).error
    assert isinstance(error, UnknownError)
    assert (error.message, error.reason) == ("odd", "ODD")


def test_a_broken_detail_does_not_hide_the_error():
    message = operation(error=("INTERNAL", "odd", "ODD"))
    message.error.details[0].value = b"\xff\xff"
    error = Operation(message).error
    assert (error.message, error.reason) == ("odd", "")


def test_a_result_is_there_only_at_the_end_and_only_of_its_type():
    with pytest.raises(FailedPreconditionError) as caught:
        Operation(operation()).result(resources_pb2.Database)
    assert caught.value.reason == "OPERATION_NOT_DONE"
    ended = Operation(operation(response=RESULT))
    assert ended.result(resources_pb2.Database) == RESULT
    with pytest.raises(TypeError, match=r"ended with a dbops\.v1\.Database"):
        ended.result(operations_pb2.Schedule)
    without = operation(response=RESULT)
    without.ClearField("response")
    with pytest.raises(TypeError, match="result of no type"):
        Operation(without).result(resources_pb2.Database)


def test_metadata_of_another_server_is_empty_not_an_error():
    message = operation()
    message.metadata.Pack(RESULT)
    assert Operation(message).metadata == operations_pb2.OperationMetadata()
    assert json.dumps(Operation(message).name) == '"operations/7f3a"'
