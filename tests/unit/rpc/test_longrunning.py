"""google.longrunning.Operations over a real channel, on a real control store."""

import asyncio
import json

import grpc
import pytest
from dbops.v1 import operations_pb2
from google.protobuf.duration_pb2 import Duration

from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.record import Failure, Progress
from dbopsd.rpc import longrunning
from dbopsd.rpc.paging import write_token
from tests.support.demo.generated import demo_pb2
from tests.support.patience import eventually
from tests.unit.rpc.answers import refused
from tests.unit.rpc.api import Api, metadata_of
from tests.unit.rpc.desk import Desk

M = operations_pb2.OperationMetadata
RESULT = '{"steps_done": 2, "attempts": 1, "step_attempts": [1, 1]}'
NOWHERE = "operations/demo-0"


def name_of(operation) -> str:
    return f"operations/{operation.id}"


class TestGet:
    async def test_from_its_start_to_its_end(self, api, desk):
        started = await desk.start(request_id="r-1")
        waiting = await api.get(name_of(started))
        assert (waiting.done, metadata_of(waiting).state) == (False, M.QUEUED)
        begun = await desk.begin(started)
        await desk.report(begun, "copying", Progress(1, 2, "{file}"))
        running = metadata_of(await api.get(name_of(started)))
        assert (running.state, running.stage, running.progress.done) == (M.RUNNING, "copying", 1)
        assert (running.attempt, running.worker) == (1, "workers/worker-1")
        await desk.succeed(begun, RESULT)
        ended = await api.get(name_of(started))
        response = demo_pb2.DemoResponse()
        assert ended.done
        assert ended.response.Unpack(response)
        assert response.steps_done == 2
        assert metadata_of(ended).HasField("end_time")

    async def test_one_that_failed(self, api, desk):
        started = await desk.start()
        await desk.fail(await desk.begin(started), Failure("ABORTED", "X", "why", {"a": "b"}))
        ended = await api.get(name_of(started))
        assert (ended.done, ended.error.code, ended.error.message) == (True, 10, "why")

    async def test_one_that_is_not_there(self, api):
        answer = await refused(api.get(NOWHERE))
        assert (answer.code, answer.reason) == (grpc.StatusCode.NOT_FOUND, "OPERATION_NOT_FOUND")


@pytest.mark.parametrize("method", ["get", "wait", "cancel", "delete"])
@pytest.mark.parametrize("name", ["", "demo-1", "operations/", "operations/../x", "databases/main"])
async def test_a_malformed_name_is_named(api, method, name):
    answer = await refused(getattr(api, method)(name))
    assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert answer.metadata["field"] == "name"


@pytest.mark.parametrize("method", ["wait", "cancel", "delete"])
async def test_one_that_is_not_there_is_not_found(api, method):
    assert (await refused(getattr(api, method)(NOWHERE))).code is grpc.StatusCode.NOT_FOUND


class TestWait:
    async def test_until_it_has_ended(self, api, desk):
        started = await desk.start()
        waiting = asyncio.ensure_future(api.wait(name_of(started)))
        begun = await desk.begin(started)
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await desk.succeed(begun, RESULT)
        assert (await waiting).done

    async def test_as_it_is_when_the_time_is_up(self, api, desk):
        started = await desk.start()
        timeout = Duration(nanos=100_000_000)
        waited = await api.wait(name_of(started), timeout=timeout)
        assert (waited.done, metadata_of(waited).state) == (False, M.QUEUED)

    async def test_an_answer_comes_before_the_calls_own_time_is_up(self, api, desk):
        started = await desk.start()
        waited = await api.wait(name_of(started), call_timeout_s=0.5, timeout=Duration(seconds=60))
        assert not waited.done

    async def test_one_that_has_ended_is_not_waited_for(self, api, desk):
        started = await desk.start()
        await desk.operations.cancel(started.id)
        waited = await api.wait(name_of(started), call_timeout_s=None)
        assert (waited.done, waited.error.code) == (True, 1)

    async def test_it_ends_when_the_daemon_stops(self, api, desk):
        started = await desk.start()
        waiting = asyncio.ensure_future(api.wait(name_of(started), call_timeout_s=None))
        await eventually(lambda: started.id in desk.operations._watches._watched)
        desk.operations.drain()
        assert not (await asyncio.wait_for(waiting, 5)).done

    @pytest.mark.parametrize(
        "timeout", [Duration(seconds=-1), Duration(nanos=-1), Duration(seconds=-(2**63))]
    )
    async def test_a_negative_time_is_named(self, api, desk, timeout):
        started = await desk.start()
        answer = await refused(api.wait(name_of(started), timeout=timeout))
        assert answer.metadata["field"] == "timeout"

    async def test_a_time_longer_than_every_clock(self, api, desk):
        started = await desk.start()
        waiting = asyncio.ensure_future(
            api.wait(name_of(started), call_timeout_s=None, timeout=Duration(seconds=2**63 - 1))
        )
        await asyncio.sleep(0.05)
        await desk.operations.cancel(started.id)
        assert (await waiting).done


class TestCancel:
    async def test_one_that_waits_ends_at_once(self, api, desk):
        started = await desk.start()
        await api.cancel(name_of(started))
        ended = await api.get(name_of(started))
        assert (ended.done, ended.error.code) == (True, grpc.StatusCode.CANCELLED.value[0])
        assert metadata_of(ended).state == M.CANCELLED

    async def test_twice_is_as_once_while_it_ends(self, api, desk):
        started = await desk.start()
        await desk.begin(started)
        await api.cancel(name_of(started))
        await api.cancel(name_of(started))
        found = await api.get(name_of(started))
        assert (found.done, metadata_of(found).state) == (False, M.CANCELLING)

    async def test_one_that_has_ended_is_refused(self, api, desk):
        started = await desk.start()
        await desk.succeed(await desk.begin(started), RESULT)
        answer = await refused(api.cancel(name_of(started)))
        assert (answer.code, answer.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "OPERATION_DONE",
        )
        assert (await api.get(name_of(started))).HasField("response")


class TestDelete:
    async def test_one_that_has_ended_is_gone(self, api, desk):
        started = await desk.start()
        await desk.succeed(await desk.begin(started), RESULT)
        await api.delete(name_of(started))
        assert (await refused(api.get(name_of(started)))).code is grpc.StatusCode.NOT_FOUND
        assert (await refused(api.delete(name_of(started)))).code is grpc.StatusCode.NOT_FOUND

    async def test_one_that_has_not_is_refused(self, api, desk):
        started = await desk.start()
        answer = await refused(api.delete(name_of(started)))
        assert (answer.code, answer.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "OPERATION_NOT_DONE",
        )


class TestList:
    async def names(self, api: Api, **fields) -> list[str]:
        return [each.name for each in (await api.list(**fields)).operations]

    async def test_the_newest_come_first_and_each_once(self, api, desk):
        started = [await desk.start() for _ in range(11)]
        got, token, sizes = [], "", []
        while True:
            page = await api.list(name="operations", page_size=4, page_token=token)
            got += [each.name for each in page.operations]
            sizes.append(len(page.operations))
            token = page.next_page_token
            if not token:
                break
            await desk.start()  # newer than the pages that are still to come
        newest_first = sorted(started, key=lambda each: (each.create_time, each.id), reverse=True)
        assert got == [name_of(each) for each in newest_first]
        assert sizes == [4, 4, 3]

    async def test_no_page_after_one_that_ends_exactly(self, api, desk):
        for _ in range(4):
            await desk.start()
        assert not (await api.list(page_size=4)).next_page_token
        assert not (await api.list()).next_page_token

    async def test_a_page_ends_before_it_is_too_large(self, api, desk):
        for _ in range(3):
            begun = await desk.begin(await desk.start())
            await desk.report(begun, "x" * (longrunning.MAX_PAGE_BYTES // 2), None)
        first = await api.list()
        second = await api.list(page_token=first.next_page_token)
        third = await api.list(page_token=second.next_page_token)
        sizes = [len(page.operations) for page in (first, second, third)]
        assert (sizes, third.next_page_token) == ([1, 1, 1], "")

    async def test_a_result_that_is_too_large_for_a_page_is_left_out_of_it(self, api, desk):
        # A negative number takes ten bytes.
        attempts = [-1] * (longrunning.MAX_PAGE_BYTES // 10)
        large = json.dumps({"steps_done": 2, "attempts": 1, "step_attempts": attempts})
        await desk.succeed(await desk.begin(await desk.start()), large)
        failure = Failure("ABORTED", "GONE", "it is gone", result=large)
        await desk.fail(await desk.begin(await desk.start()), failure)
        await desk.succeed(await desk.begin(await desk.start()), RESULT)
        small, failed, succeeded = (await api.list()).operations
        assert small.HasField("response")
        assert (failed.error.message, len(failed.error.details)) == ("it is gone", 1)
        assert (succeeded.done, succeeded.HasField("response")) == (True, False)
        whole = await api.get(succeeded.name)
        assert whole.response.ByteSize() > longrunning.MAX_PAGE_BYTES - 100

    async def test_what_is_asked_for(self, api, desk):
        ended = await desk.start()
        await desk.operations.cancel(ended.id)
        other = await desk.start("other", kind="demo-exclusive", requester="zoe")
        running = await desk.start()
        await desk.begin(running)
        for text, wanted in (
            ("done = true", [ended]),
            ("done = false", [running, other]),
            ("metadata.state = RUNNING", [running]),
            ("state != RUNNING AND state != QUEUED", [ended]),
            ('metadata.database = "databases/other"', [other]),
            ("metadata.database != databases/other AND done = false", [running]),
            ('metadata.kind = "demo-exclusive"', [other]),
            ('requester != "zoe"', [running, ended]),
            ('create_time >= "2001-01-01T00:00:00Z"', [running, other, ended]),
            ('create_time < "2001-01-01T00:00:00Z"', []),
        ):
            assert await self.names(api, filter=text) == [name_of(each) for each in wanted], text

    async def test_a_time_that_was_shown_can_be_asked_for(self, api, desk):
        started = await desk.start()
        shown = metadata_of(await api.get(name_of(started))).create_time.ToJsonString()
        assert await self.names(api, filter=f'create_time = "{shown}"') == [name_of(started)]
        assert await self.names(api, filter=f'create_time > "{shown}"') == []

    async def test_a_filter_that_is_wrong_is_named(self, api):
        answer = await refused(api.list(filter="nope = 1"))
        assert (answer.code, answer.metadata["field"]) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "filter",
        )

    async def test_a_negative_size_is_named(self, api):
        assert (await refused(api.list(page_size=-1))).metadata["field"] == "page_size"

    @pytest.mark.parametrize("name", ["operations/", "databases/main", "*"])
    async def test_another_collection_is_named(self, api, name):
        assert (await refused(api.list(name=name))).metadata["field"] == "name"

    async def test_what_is_not_supported_says_so(self, api):
        answer = await refused(api.list(return_partial_success=True))
        assert (answer.code, answer.reason) == (
            grpc.StatusCode.UNIMPLEMENTED,
            "FIELD_NOT_SUPPORTED",
        )
        assert answer.metadata["field"] == "return_partial_success"

    async def test_a_token_of_another_filter_is_named(self, api, desk):
        for _ in range(2):
            await desk.start()
        token = (await api.list(page_size=1, filter="done = false")).next_page_token
        assert (await api.list(page_token=token, filter=" done = false ")).operations
        for text in ("", "done = true"):
            answer = await refused(api.list(page_token=token, filter=text))
            assert answer.metadata["field"] == "page_token"

    @pytest.mark.parametrize(
        "key",
        ["", "x", "nan a", "1e308 a", "-1.0 a", "1.0", "1.0 A", "9999999999999.0 a", "1.0 a b"],
    )
    async def test_a_token_that_was_made_up_is_named(self, api, key):
        answer = await refused(api.list(page_token=write_token(key, "ListOperations ")))
        assert answer.metadata["field"] == "page_token"


class TestWithoutItsStore:
    """A file lies where the control store's directory should be."""

    @pytest.fixture
    async def desk(self, kept, tmp_path):
        (tmp_path / "control").write_text("in the way")
        path = tmp_path / "control" / "control.db"
        made = Desk(AsyncControlStore(None, path, kept.telemetry.tracer))
        yield made
        await made.operations.close()

    @pytest.mark.parametrize(
        "ask",
        [
            lambda api: api.get(NOWHERE),
            lambda api: api.list(),
            lambda api: api.wait(NOWHERE),
            lambda api: api.cancel(NOWHERE),
            lambda api: api.delete(NOWHERE),
            lambda api: api.watch(NOWHERE).read(),
            lambda api: api.schedules(parent="databases/main"),
            lambda api: api.workers(),
            lambda api: api.duties(),
            lambda api: api.run_demo(),
            lambda api: api.run_demo(validate_only=True),
        ],
    )
    async def test_everything_says_so_and_works_once_it_is_there(self, api, tmp_path, ask):
        answer = await refused(ask(api))
        assert (answer.code, answer.reason) == (
            grpc.StatusCode.UNAVAILABLE,
            "CONTROL_STORE_UNAVAILABLE",
        )
        (tmp_path / "control").unlink()
        assert not (await api.list()).operations


class TestWhoMay:
    """Each caller of `AUTH`, on an operation of database main that starting took ADMIN for."""

    @pytest.mark.parametrize("caller", ["admin", "operator", "viewer", "main-admin"])
    async def test_see_it(self, operations_channel, desk, caller):
        api = Api(operations_channel, caller)
        started = await desk.start(role=3)
        await desk.operations.cancel(started.id)
        name = name_of(started)
        assert (await api.get(name)).name == name
        assert (await api.wait(name)).name == name
        assert [each.name for each in (await api.list()).operations] == [name]
        assert (await api.watch(name).read()).operation.name == name

    @pytest.mark.parametrize("there", [True, False])
    async def test_not_see_it_nor_learn_whether_it_is_there(self, operations_channel, desk, there):
        api = Api(operations_channel, "other-viewer")
        name = name_of(await desk.start()) if there else NOWHERE
        answers = [
            await refused(api.get(name)),
            await refused(api.wait(name)),
            await refused(api.watch(name).read()),
        ]
        for answer in answers:
            assert (answer.code, answer.reason) == (
                grpc.StatusCode.PERMISSION_DENIED,
                "OPERATION_HIDDEN",
            )
            assert answer.metadata == {"role": "VIEWER", "operation": name}
            assert f"of {name}, or there is no such operation" in answer.text
        assert not (await api.list()).operations

    async def test_list_their_own(self, operations_channel, desk):
        api = Api(operations_channel, "other-viewer")
        for database in ("main", "other", "main", "other"):
            await desk.start(database)
        first = await api.list(page_size=1)
        second = await api.list(page_size=1, page_token=first.next_page_token)
        found = [*first.operations, *second.operations]
        assert [metadata_of(each).database for each in found] == ["databases/other"] * 2
        assert not second.next_page_token
        assert not (await api.list(filter="database = databases/main")).operations

    @pytest.mark.parametrize(
        ("caller", "role", "may"),
        [
            ("admin", 3, True),
            ("operator", 3, False),
            ("operator", 2, True),
            ("operator", 1, True),
            ("viewer", 1, False),
            ("main-admin", 3, True),
            ("main-operator", 2, True),
            ("main-operator", 3, False),
            ("main-viewer", 1, False),
            ("admin", 99, True),
            ("operator", 99, False),
        ],
    )
    async def test_end_it(self, operations_channel, desk, caller, role, may):
        api = Api(operations_channel, caller)
        started = await desk.start(role=role)
        if may:
            await api.cancel(name_of(started))
            await api.delete(name_of(started))
            return
        for call in (api.cancel, api.delete):
            answer = await refused(call(name_of(started)))
            assert (answer.code, answer.reason) == (
                grpc.StatusCode.PERMISSION_DENIED,
                "ROLE_MISSING",
            )
        assert not (await desk.operations.get(started.id)).state.done
