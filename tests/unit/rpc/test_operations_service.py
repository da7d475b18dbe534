"""dbops.v1.OperationsService over a real channel, on a real control store."""

import asyncio
from dataclasses import replace

import grpc
import grpc.aio
import pytest
from dbops.v1 import operations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from dbopsd.operations.record import Progress, Schedule
from tests.support.demo.generated import demo_pb2
from tests.unit.rpc.answers import answer_of, refused
from tests.unit.rpc.api import Api, metadata_of

M = operations_pb2.OperationMetadata
RESULT = '{"steps_done": 2, "attempts": 1, "step_attempts": [1, 1]}'
NIGHTLY = "databases/main/schedules/nightly"
DENIED = (grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING")


def name_of(operation) -> str:
    return f"operations/{operation.id}"


def schedule(name: str = "nightly", database: str = "main", kind: str = "demo") -> Schedule:
    return Schedule(name, database, kind, '{"steps":2}', "0 3 * * *", "Europe/Berlin")


class TestWatch:
    async def next(self, watch):
        return (await asyncio.wait_for(watch.read(), 5)).operation

    async def test_now_each_change_and_the_end(self, api, desk):
        started = await desk.start()
        watch = api.watch(name_of(started))
        assert metadata_of(await self.next(watch)).state == M.QUEUED
        begun = await desk.begin(started)
        assert metadata_of(await self.next(watch)).state == M.RUNNING
        await desk.report(begun, "copying", Progress(1, 2, "{file}"))
        assert metadata_of(await self.next(watch)).stage == "copying"
        await desk.succeed(begun, RESULT)
        last = await self.next(watch)
        response = demo_pb2.DemoResponse()
        assert last.done
        assert last.response.Unpack(response)
        assert await asyncio.wait_for(watch.read(), 5) is grpc.aio.EOF
        assert await watch.code() is grpc.StatusCode.OK

    async def test_one_that_has_ended_comes_once(self, api, desk):
        started = await desk.start()
        await desk.operations.cancel(started.id)
        got = [each.operation.done async for each in api.watch(name_of(started))]
        assert got == [True]

    async def test_it_ends_when_the_daemon_stops(self, api, desk):
        started = await desk.start()
        watch = api.watch(name_of(started))
        await self.next(watch)
        desk.operations.drain()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.next(watch)
        assert answer_of(caught.value).reason == "SHUTTING_DOWN"

    @pytest.mark.parametrize(
        ("name", "reason"),
        [("operations/demo-0", "OPERATION_NOT_FOUND"), ("demo-0", "INVALID_FIELD")],
    )
    async def test_one_that_is_not_there(self, api, name, reason):
        assert (await refused(api.watch(name).read())).reason == reason

    async def test_a_cancelled_watch_leaves_nothing_behind(self, api, desk):
        started = await desk.start()
        await api.list()
        before = asyncio.all_tasks()
        watches = [api.watch(name_of(started)) for _ in range(20)]
        for watch in watches:
            await self.next(watch)
        for watch in watches:
            watch.cancel()
        async with asyncio.timeout(5):
            while len(asyncio.all_tasks()) > len(before):
                await asyncio.sleep(0.01)


class TestSchedules:
    async def names(self, api, **fields):
        page = await api.schedules(**fields)
        return [each.name for each in page.schedules], page.next_page_token

    async def test_those_of_a_database_and_of_every_one(self, api, desk):
        await desk.schedule(schedule("b"), schedule("a", "other"), schedule("a"))
        main = [f"databases/main/schedules/{name}" for name in "ab"]
        assert await self.names(api, parent="databases/main") == (main, "")
        everywhere, token = await self.names(api, parent="databases/-", page_size=2)
        assert everywhere == main
        assert await self.names(api, parent="databases/-", page_token=token) == (
            ["databases/other/schedules/a"],
            "",
        )
        answer = await refused(api.schedules(parent="databases/main", page_token=token))
        assert answer.metadata["field"] == "page_token"

    async def test_what_is_known_of_one(self, api, desk):
        await desk.schedule(schedule())
        (found,) = (await api.schedules(parent="databases/main")).schedules
        assert (found.name, found.kind) == (NIGHTLY, "demo")
        assert (found.cron, found.time_zone, found.paused) == ("0 3 * * *", "Europe/Berlin", False)
        assert found.HasField("next_time")
        assert not found.HasField("last_time")

    @pytest.mark.parametrize(
        ("parent", "code", "reason"),
        [
            ("", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
            ("main", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
            ("databases/*", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
            ("databases/main/schedules/x", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
            ("databases/nope", grpc.StatusCode.NOT_FOUND, "DATABASE_NOT_FOUND"),
        ],
    )
    async def test_another_parent_is_refused(self, api, parent, code, reason):
        answer = await refused(api.schedules(parent=parent))
        assert (answer.code, answer.reason) == (code, reason)

    async def test_a_caller_sees_those_of_their_databases(self, operations_channel, desk):
        api = Api(operations_channel, "other-viewer")
        await desk.schedule(schedule(), schedule("a", "other"))
        assert await self.names(api, parent="databases/-") == (["databases/other/schedules/a"], "")
        for parent in ("databases/main", "databases/nope"):
            answer = await refused(api.schedules(parent=parent))
            assert (answer.code, answer.reason) == DENIED

    @pytest.mark.parametrize("validate_only", [False, True])
    async def test_a_request_of_another_version_is_refused(self, api, desk, validate_only):
        await desk.schedule(replace(schedule(), request='{"steps":"many"}'))
        answer = await refused(api.run_schedule(NIGHTLY, validate_only=validate_only))
        assert (answer.code, answer.reason) == (grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_KIND")

    async def test_run_now_paused_or_not(self, api, desk):
        await desk.schedule(schedule())
        await api.pause(NIGHTLY)
        started = await api.run_schedule(NIGHTLY, request_id="r-1")
        found = metadata_of(started)
        assert (found.kind, found.database, found.requester) == ("demo", "databases/main", "admin")
        assert (found.state, found.request_id) == (M.QUEUED, "r-1")
        again = await api.run_schedule(NIGHTLY, request_id="r-1")
        assert again.name == started.name
        assert (await api.run_schedule(NIGHTLY)).name != started.name

    async def test_validating_a_run_starts_nothing(self, api, desk):
        await desk.schedule(schedule(kind="demo-exclusive"))
        answer = await api.run_schedule(NIGHTLY, request_id="r-1", validate_only=True)
        assert (answer.name, answer.done, answer.WhichOneof("result")) == ("", True, None)
        found = metadata_of(answer)
        assert (found.database, found.kind) == ("databases/main", "demo-exclusive")
        assert (found.requester, found.request_id) == ("admin", "r-1")
        assert found.state == M.STATE_UNSPECIFIED
        assert not (await api.list()).operations
        started = await api.run_schedule(NIGHTLY, request_id="r-1")
        answer = await refused(api.run_schedule(NIGHTLY, validate_only=True))
        assert (answer.code, answer.reason) == (grpc.StatusCode.ABORTED, "OPERATION_IN_THE_WAY")
        assert answer.metadata["operation"] == started.name
        # The one that was asked for before would be found.
        assert (await api.run_schedule(NIGHTLY, request_id="r-1", validate_only=True)).done
        assert [each.name for each in (await api.list()).operations] == [started.name]

    async def test_pause_and_resume_twice_are_as_once(self, api, desk):
        await desk.schedule(schedule())
        for _ in range(2):
            paused = await api.pause(NIGHTLY)
            assert (paused.paused, paused.HasField("next_time")) == (True, False)
        for _ in range(2):
            resumed = await api.resume(NIGHTLY)
            assert (resumed.paused, resumed.HasField("next_time")) == (False, True)

    @pytest.mark.parametrize("method", ["run_schedule", "pause", "resume"])
    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("", "INVALID_FIELD"),
            ("nightly", "INVALID_FIELD"),
            ("databases/main", "INVALID_FIELD"),
            ("databases/-/schedules/nightly", "INVALID_FIELD"),
            (NIGHTLY, "SCHEDULE_NOT_FOUND"),
        ],
    )
    async def test_one_that_is_not_there(self, api, method, name, reason):
        assert (await refused(getattr(api, method)(name))).reason == reason

    async def test_a_kind_that_is_not_known_here(self, api, desk):
        await desk.schedule(schedule(kind="newer"))
        answer = await refused(api.run_schedule(NIGHTLY))
        assert (answer.code, answer.reason) == (grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_KIND")

    @pytest.mark.parametrize("request_id", ["x" * 65, "é", "a\nb", "\x7f"])
    async def test_a_request_id_is_printable_and_short(self, api, desk, request_id):
        await desk.schedule(schedule())
        answer = await refused(api.run_schedule(NIGHTLY, request_id=request_id))
        assert answer.metadata["field"] == "request_id"

    @pytest.mark.parametrize(
        ("caller", "kind", "may"),
        [
            ("main-admin", "demo-exclusive", True),
            ("main-operator", "demo", True),
            ("main-operator", "demo-exclusive", False),
            ("operator", "demo-exclusive", False),
            ("viewer", "demo", False),
            ("other-viewer", "demo", False),
        ],
    )
    @pytest.mark.parametrize("validate_only", [False, True])
    async def test_running_one_takes_its_kinds_role(
        self, operations_channel, desk, caller, kind, may, validate_only
    ):
        await desk.schedule(schedule(kind=kind))
        run = Api(operations_channel, caller).run_schedule(NIGHTLY, validate_only=validate_only)
        if may:
            assert metadata_of(await run).requester == caller
            return
        answer = await refused(run)
        assert (answer.code, answer.reason) == DENIED
        assert not (await Api(operations_channel).list()).operations

    @pytest.mark.parametrize("method", ["pause", "resume"])
    @pytest.mark.parametrize(
        ("caller", "may"), [("main-operator", True), ("viewer", False), ("other-viewer", False)]
    )
    async def test_pausing_takes_an_operator(self, operations_channel, desk, method, caller, may):
        await desk.schedule(schedule(kind="demo-exclusive"))
        call = getattr(Api(operations_channel, caller), method)(NIGHTLY)
        if may:
            assert (await call).paused is (method == "pause")
        else:
            answer = await refused(call)
            assert (answer.code, answer.reason) == DENIED


class TestWorkers:
    async def test_with_what_they_are_at(self, api, desk):
        assert not (await api.workers()).workers
        started = await desk.start()
        await desk.begin(started)
        (found,) = (await api.workers()).workers
        assert (found.name, found.state) == ("workers/worker-1", operations_pb2.Worker.ACTIVE)
        assert (found.host, found.pid, found.version) == ("host-1", 42, "1.2.3")
        assert list(found.operations) == [name_of(started)]

    async def test_a_caller_sees_their_own_operations(self, operations_channel, desk):
        await desk.begin(await desk.start())
        others = await desk.start("other")
        await desk.begin(others)
        (found,) = (await Api(operations_channel, "other-viewer").workers()).workers
        assert list(found.operations) == [name_of(others)]

    async def test_a_page_is_checked(self, api):
        assert (await refused(api.workers(page_size=-1))).metadata["field"] == "page_size"
        assert (await refused(api.workers(page_token="x"))).metadata["field"] == "page_token"


class TestDuties:
    async def test_who_holds_them(self, api, desk):
        assert not (await api.duties()).duties
        token = await desk.duty("main", "receive-wal", holder="workers/w-1")
        await desk.duty("", "send-alerts")
        held, free = (await api.duties()).duties
        assert (held.name, held.holder) == ("databases/main/duties/receive-wal", "workers/w-1")
        assert held.token == token
        assert held.HasField("acquire_time")
        assert held.HasField("heartbeat_time")
        assert (free.name, free.holder) == ("duties/send-alerts", "")
        assert not free.HasField("heartbeat_time")

    async def test_a_caller_sees_those_of_their_own_databases(self, operations_channel, desk):
        for database in ("main", "other", ""):
            await desk.duty(database, "watch")
        found = (await Api(operations_channel, "other-viewer").duties()).duties
        assert [each.name for each in found] == ["databases/other/duties/watch", "duties/watch"]

    async def test_a_page_is_checked(self, api):
        assert (await refused(api.duties(page_size=-1))).metadata["field"] == "page_size"
        assert (await refused(api.duties(page_token="x"))).metadata["field"] == "page_token"


@pytest.mark.parametrize("service", ["google.longrunning.Operations", "dbops.v1.OperationsService"])
async def test_health_names_both(operations_channel, service):
    stub = health_pb2_grpc.HealthStub(operations_channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def reflect(channel, **request):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)

    async def requests():
        yield reflection_pb2.ServerReflectionRequest(**request)

    metadata = (("authorization", "Bearer viewer"),)
    (answer,) = [each async for each in stub.ServerReflectionInfo(requests(), metadata=metadata)]
    return answer


async def test_reflection_names_both(operations_channel):
    answer = await reflect(operations_channel, list_services="*")
    assert {service.name for service in answer.list_services_response.service} >= {
        "google.longrunning.Operations",
        "dbops.v1.OperationsService",
    }


@pytest.mark.parametrize(
    "symbol",
    [
        "google.longrunning.Operations",
        "dbops.v1.OperationsService",
        "dbops.v1.OperationMetadata",
        "dbops.demo.v1.DemoResponse",
    ],
)
async def test_what_an_any_may_hold_resolves_with_its_imports(operations_channel, symbol):
    answer = await reflect(operations_channel, file_containing_symbol=symbol)
    files = [
        FileDescriptorProto.FromString(file)
        for file in answer.file_descriptor_response.file_descriptor_proto
    ]
    names = {file.name for file in files}
    assert names
    assert {name for file in files for name in file.dependency} <= names
