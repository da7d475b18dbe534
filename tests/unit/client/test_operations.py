"""Long-running operations, with both clients, against a real server."""

import threading

import pytest
from dbops.v1 import operations_pb2, resources_pb2
from dbops_client import (
    CallCancelledError,
    ConfigurationError,
    DbopsClient,
    FailedPreconditionError,
    InternalError,
    NotFoundError,
    OutOfRangeError,
    UnavailableError,
    UnknownError,
)

from tests.support.patience import eventually_blocking
from tests.unit.client.messages import State, operation

Database = resources_pb2.Database
RESULT = Database(name="databases/copy")
NOT_NOW = ("UNAVAILABLE", "not now")


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
    found = call("operations.get", name)
    assert (found.name, found.done, found.error) == ("operations/7f3a", False, None)
    assert (found.metadata.stage, found.metadata.attempt) == ("copying", 2)
    ((_, _, sent),) = operations_server.calls
    assert sent["authorization"] == "Bearer t0ken"


def test_operations_come_over_all_pages_with_their_filter(operations_server, call):
    for number in range(5):
        operations_server.put(operation(f"op{number}"))
    found = call("operations.list", "done = false", page_size=2)
    assert [each.name for each in found] == [f"operations/op{number}" for number in range(5)]
    asked = operations_server.named("ListOperations")
    assert [request.page_token for request in asked] == ["", "2", "4"]
    assert {(each.name, each.filter, each.page_size) for each in asked} == {
        ("operations", "done = false", 2)
    }


def test_waiting_ends_with_the_operation(operations_server, call, beside):
    operations_server.put(operation())
    waiting = beside(call, "operations.wait", "7f3a")
    eventually_blocking(lambda: operations_server.named("WaitOperation"))
    operations_server.put(operation(response=RESULT))
    ended = waiting.join()
    assert (ended.done, ended.metadata.state) == (True, State.SUCCEEDED)


def test_waiting_ends_when_the_time_is_up(operations_server, call):
    operations_server.put(operation())
    assert not call("operations.wait", "7f3a", within_s=0.3).done
    (request,) = operations_server.named("WaitOperation")
    assert 0.2 < request.timeout.ToNanoseconds() / 1e9 <= 0.3


def test_a_wait_gives_the_server_the_time_to_wait_and_the_time_to_answer(
    operations_server, call, beside
):
    operations_server.put(operation())
    waiting = beside(call, "operations.wait", "7f3a")
    (request,) = eventually_blocking(lambda: operations_server.named("WaitOperation"))
    asked_s = request.timeout.ToNanoseconds() / 1e9
    assert 29 < asked_s <= 30
    assert asked_s < operations_server.remaining_s["WaitOperation"] < 42
    operations_server.put(operation(response=RESULT))
    waiting.join()


@pytest.mark.parametrize("within_s", [0, -1, float("nan")])
def test_a_time_to_wait_is_a_time(operations_server, within_s):
    with (
        DbopsClient(operations_server.target) as client,
        pytest.raises(ConfigurationError, match="within_s"),
    ):
        client.operations.wait("7f3a", within_s=within_s)
    assert operations_server.calls == []


def test_waiting_outlives_a_restart(operations_server, call, beside):
    operations_server.put(operation())
    waiting = beside(call, "operations.wait", "7f3a")
    eventually_blocking(lambda: operations_server.named("WaitOperation"))
    operations_server.stop()
    operations_server.start()
    eventually_blocking(lambda: len(operations_server.named("WaitOperation")) > 1)
    operations_server.put(operation(response=RESULT))
    assert waiting.join().done


def test_waiting_is_given_up_when_told_so(operations_server, call):
    operations_server.stop()
    with pytest.raises(UnavailableError):
        call("operations.wait", "7f3a", reconnect_for_s=0)
    operations_server.start()


def call_of_watch(call):
    return call("operations.watch", "7f3a")


def test_a_watch_ends_with_the_operation(operations_server, call, beside):
    operations_server.put(operation())
    watching = beside(call_of_watch, call)
    eventually_blocking(lambda: operations_server.named("WatchOperation"))
    operations_server.put(operation(response=RESULT))
    seen = watching.join()
    assert seen[-1].metadata.state == State.SUCCEEDED
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
        client.operations.watch("7f3a") as watch,
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
    assert call("operations.cancel", "7f3a") is None
    assert call("operations.get", "7f3a").metadata.state == State.CANCELLED
    assert call("operations.delete", "7f3a") is None
    with pytest.raises(NotFoundError) as caught:
        call("operations.delete", "7f3a")
    assert caught.value.reason == "OPERATION_NOT_FOUND"


def test_schedules_come_over_all_pages(operations_server, call):
    operations_server.schedules = [
        operations_pb2.Schedule(name=f"databases/main/schedules/s{n}") for n in range(3)
    ]
    assert call("schedules.list", page_size=2) == operations_server.schedules
    assert call("schedules.list", "main") == operations_server.schedules
    asked = operations_server.named("ListSchedules")
    assert [request.parent for request in asked] == [
        "databases/-",
        "databases/-",
        "databases/main",
    ]


@pytest.mark.parametrize("name", ["main/nightly", "databases/main/schedules/nightly"])
def test_schedules_are_run_paused_and_resumed_by_either_name(operations_server, call, name):
    full_name = "databases/main/schedules/nightly"
    assert call("schedules.pause", name) == operations_pb2.Schedule(name=full_name, paused=True)
    assert call("schedules.resume", name) == operations_pb2.Schedule(name=full_name)
    assert call("schedules.run", name, request_id="mine").name in operations_server.operations
    (request,) = operations_server.named("RunSchedule")
    assert (request.name, request.request_id) == (full_name, "mine")
    assert not request.validate_only


def test_validating_a_run_starts_nothing(operations_server, call):
    answer = call("schedules.run", "main/nightly", request_id="mine", validate_only=True)
    assert (answer.name, answer.done, operations_server.operations) == ("", True, {})
    (request,) = operations_server.named("RunSchedule")
    assert (request.request_id, request.validate_only) == ("mine", True)


def test_a_schedule_without_its_database_is_refused_before_anything_is_sent(
    operations_server, call
):
    with pytest.raises(ConfigurationError, match="DATABASE/SCHEDULE"):
        call("schedules.run", "nightly")
    assert operations_server.calls == []


def test_each_try_of_a_start_has_the_same_request_id_and_each_start_another(
    operations_server, call
):
    operations_server.fail("RunSchedule", NOT_NOW, NOT_NOW)
    first = call("schedules.run", "main/nightly")
    tries = {request.request_id for request in operations_server.named("RunSchedule")}
    assert (len(tries), len(operations_server.named("RunSchedule"))) == (1, 3)
    assert list(operations_server.operations) == [first.name]
    assert call("schedules.run", "main/nightly").name != first.name


def test_deleting_is_not_tried_again_and_cancelling_is(operations_server, call):
    operations_server.put(operation())
    operations_server.fail("DeleteOperation", NOT_NOW)
    with pytest.raises(UnavailableError, match="not now"):
        call("operations.delete", "7f3a")
    operations_server.fail("CancelOperation", NOT_NOW)
    call("operations.cancel", "7f3a")
    assert len(operations_server.named("DeleteOperation")) == 1
    assert len(operations_server.named("CancelOperation")) == 2


def test_duties_come_over_all_pages(operations_server, call):
    operations_server.duties = [operations_pb2.Duty(name=f"duties/d{n}") for n in range(3)]
    assert call("duties.list", page_size=2) == operations_server.duties


def test_workers_come_over_all_pages(operations_server, call):
    operations_server.workers = [operations_pb2.Worker(name=f"workers/w{n}") for n in range(3)]
    assert call("workers.list", page_size=2) == operations_server.workers


def test_a_callable_is_asked_for_the_token_before_each_call_and_each_connection(
    operations_server, beside
):
    numbers = iter(range(100))
    operations_server.put(operation())
    with DbopsClient(operations_server.target, token=lambda: f"t{next(numbers)}") as client:
        client.operations.get("7f3a")
        client.operations.get("7f3a")
        watching = beside(list, client.operations.watch("7f3a"))
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
        client.operations.get("7f3a")
    assert "cret" not in f"{caught.value}{client!r}"
    client.close()
    with pytest.raises(ConfigurationError, match="without TLS"):
        DbopsClient("db.example", token=lambda: "t0ken")


def test_a_failed_operation_raises_what_its_call_would_have_raised(operations_server, call):
    operations_server.put(operation(error=("OUT_OF_RANGE", "the disk is full", "DISK_FULL")))
    with pytest.raises(OutOfRangeError) as caught:
        call("operations.get", "7f3a", then="result")
    error = caught.value
    assert (error.reason, error.metadata) == ("DISK_FULL", {"path": "/backup"})
    assert str(error) == "the disk is full (OUT_OF_RANGE, DISK_FULL)"
    operations_server.put(operation(error=("CANCELLED", "by ann", "")))
    assert isinstance(call("operations.get", "7f3a").error, CallCancelledError)


def test_a_failed_operation_may_have_a_partial_result(operations_server, call):
    def partial(message):
        operations_server.put(message)
        return [
            call("operations.get", "7f3a", *types).partial_result
            for types in ([Database], [], [operations_pb2.Schedule])
        ]

    message = operation(error=("FAILED_PRECONDITION", "rows were rejected", "ROWS_REJECTED"))
    assert partial(message) == [None, None, None]
    message.error.details.add().Pack(RESULT)
    assert partial(message) == [RESULT, RESULT, None]
    assert call("operations.get", "7f3a").error.reason == "ROWS_REJECTED"
    message.error.details[1].value = b"\xff\xff"
    for other in (message, operation(), operation(response=RESULT)):
        assert partial(other) == [None, None, None]


def test_an_error_of_a_code_that_is_not_known_is_unknown(operations_server, call):
    message = operation(error=("INTERNAL", "odd", "ODD"))
    message.error.code = 99
    operations_server.put(message)
    error = call("operations.get", "7f3a").error
    assert isinstance(error, UnknownError)
    assert (error.message, error.reason) == ("odd", "ODD")


def test_a_broken_detail_does_not_hide_the_error(operations_server, call):
    message = operation(error=("INTERNAL", "odd", "ODD"))
    message.error.details[0].value = b"\xff\xff"
    operations_server.put(message)
    error = call("operations.get", "7f3a").error
    assert (error.message, error.reason) == ("odd", "")


def test_a_result_is_of_the_type_that_was_asked_for_or_of_the_one_that_is_sent(
    operations_server, call
):
    ended = operation(response=RESULT)
    operations_server.put(ended)
    assert call("operations.get", "7f3a", Database, then="result") == RESULT
    assert call("operations.get", "7f3a", then="result") == RESULT
    with pytest.raises(TypeError, match=r"a dbops\.v1\.Database, .* dbops\.v1\.Schedule"):
        call("operations.get", "7f3a", operations_pb2.Schedule, then="result")
    ended.response.type_url = "type.googleapis.com/dbops.v9.Unheard"
    operations_server.put(ended)
    with pytest.raises(TypeError, match=r"a dbops\.v9\.Unheard"):
        call("operations.get", "7f3a", then="result")
    ended.ClearField("response")
    operations_server.put(ended)
    for expected in ([Database], []):
        with pytest.raises(TypeError, match="no result"):
            call("operations.get", "7f3a", *expected, then="result")


def test_metadata_of_another_server_is_empty_not_an_error(operations_server, call):
    message = operation()
    message.metadata.Pack(RESULT)
    operations_server.put(message)
    assert call("operations.get", "7f3a").metadata == operations_pb2.OperationMetadata()


class TestStarted:
    """An operation that a method of the client started."""

    @pytest.fixture
    def client(self, operations_server):
        with DbopsClient(operations_server.target) as client:
            yield client

    @pytest.fixture
    def started(self, client):
        return client.schedules.run("main/nightly")

    def test_its_result_is_waited_for(self, operations_server, started, beside):
        waiting = beside(started.result)
        eventually_blocking(lambda: operations_server.named("WaitOperation"))
        operations_server.put(operation(started.name, response=RESULT))
        assert waiting.join() == RESULT
        assert started.done
        assert started.result() == RESULT
        assert len(operations_server.named("WaitOperation")) == 1

    def test_waiting_does_not_raise_its_failure(self, operations_server, started):
        operations_server.put(operation(started.name, error=("INTERNAL", "odd", "ODD")))
        assert started.error is None  # it is as it was when it was accepted
        assert started.wait() is started
        assert started.error.reason == "ODD"
        with pytest.raises(InternalError):
            started.result()

    def test_a_result_that_is_not_there_in_time_is_an_error(self, started):
        with pytest.raises(FailedPreconditionError) as caught:
            started.result(within_s=0.2)
        assert caught.value.reason == "OPERATION_NOT_DONE"
        assert not started.wait(within_s=0.2).done

    def test_it_follows_its_watch_and_each_state_stays_as_it_was(self, operations_server, started):
        with started.watch() as watch:
            queued = next(watch)
            operations_server.put(operation(started.name, state=State.RUNNING, stage="copying"))
            assert next(watch).metadata.stage == started.metadata.stage == "copying"
            operations_server.put(operation(started.name, response=RESULT))
            assert [each.result() for each in watch] == [RESULT]
        assert queued.metadata.state == State.QUEUED
        assert started.result() == RESULT
        assert operations_server.named("WaitOperation") == []

    def test_it_is_refreshed_and_cancelled(self, operations_server, started):
        started.cancel()
        assert not started.done
        assert started.refresh() is started
        assert isinstance(started.error, CallCancelledError)
        # What was sent before the end and comes late does not undo it.
        operations_server.put(operation(started.name, state=State.RUNNING))
        assert started.refresh().done

    def test_it_says_which_it_is(self, started):
        assert repr(started) == f"<Operation '{started.name}' not done>"
