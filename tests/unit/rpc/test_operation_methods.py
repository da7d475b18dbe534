"""Methods joined with kinds of operation."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import pytest
from dbops.v1 import health_pb2, migrate_pb2
from google.longrunning import operations_pb2 as longrunning_pb2

from dbopsd.app.features import FEATURES
from dbopsd.config import ServerConfig
from dbopsd.errors import FieldNotSupported, InvalidField
from dbopsd.migrate.importer.kinds import VERIFY_IMPORT
from dbopsd.migrate.importer.model.requests import VerifyImportRequest
from dbopsd.operations.errors import UnknownKind
from dbopsd.operations.kind import Kind, Request
from dbopsd.rpc.operation_methods import OperationMethod, by_kind
from dbopsd.rpc.server import RpcServer, Service
from dbopsd.security.caller import Role
from tests.support.demo.feature import METHODS, SERVICE
from tests.support.demo.generated import demo_pb2, demo_pb2_grpc
from tests.support.demo.kind import DEMO, DemoRequest, DemoResult
from tests.unit.rpc.answers import refused

RUN_DEMO = METHODS[0]
VERIFY = "dbops.v1.MigrateService/VerifyImport"


async def _never(_run: Any, _request: Any) -> Any:
    raise AssertionError


def test_the_role_is_that_of_the_proto() -> None:
    roles = {method.method: method.role for feature in FEATURES for method in feature.methods}
    assert roles["dbops.v1.MigrateService/RunImport"] is Role.ADMIN
    assert roles["dbops.v1.MigrateService/PlanImport"] is Role.OPERATOR


@pytest.mark.parametrize(
    ("method", "problem"),
    [
        ("dbops.v1.MigrateService/NoSuch", "no proto has the method"),
        ("dbops.v1.NoSuchService/RunDemo", "no proto has the method"),
        ("grpc.health.v1.Health/Check", "declares no role"),
    ],
)
def test_a_method_that_cannot_be_joined_is_refused(method: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        OperationMethod(DEMO, method)


@pytest.mark.parametrize(
    ("method", "problem"),
    [
        ("dbops.v1.HealthService/GetHealth", "GetHealthRequest lacks request_id, timeout"),
        (VERIFY, "VerifyImportRequest and DemoRequest do not go together: no attribute import_id"),
    ],
)
def test_a_kind_with_other_fields_is_refused(method: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        OperationMethod(DEMO, method).compile()


def test_a_kind_has_one_method() -> None:
    with pytest.raises(ValueError, match="two methods start one kind"):
        by_kind([RUN_DEMO, RUN_DEMO])


class TestRead:
    def test_the_request_is_checked(self) -> None:
        method = OperationMethod(VERIFY_IMPORT, VERIFY)
        message = migrate_pb2.VerifyImportRequest(operation="operations/i-1", max_examples=-1)
        with pytest.raises(InvalidField) as found:
            method.read(message)
        assert found.value.field == "max_examples"

    def test_an_error_names_the_field_and_stays_what_it_is(self) -> None:
        @dataclass(frozen=True)
        class Strict(VerifyImportRequest):
            def check(self) -> None:
                raise FieldNotSupported("import_id[0].x", "is not wanted")

        kind = Kind("strict", Strict, VERIFY_IMPORT.result_type, _never)
        message = migrate_pb2.VerifyImportRequest(operation="operations/i-1")
        with pytest.raises(FieldNotSupported) as found:
            OperationMethod(kind, VERIFY).read(message)
        assert (found.value.field, found.value.problem) == ("operation[0].x", "is not wanted")

    def test_what_a_schedule_keeps_is_checked_again(self) -> None:
        method = OperationMethod(VERIFY_IMPORT, VERIFY)
        assert method.read_stored('{"import_id":"i-1"}') == VerifyImportRequest("i-1")
        with pytest.raises(InvalidField):
            method.read_stored('{"import_id":"i-1","max_examples":-1}')

    def test_another_versions_request_is_not_known(self) -> None:
        with pytest.raises(UnknownKind):
            OperationMethod(VERIFY_IMPORT, VERIFY).read_stored('{"import_ids":["i-1"]}')


class TestServed:
    """A service's methods are joined with kinds, or its servicer has them."""

    @pytest.fixture
    def make(self, databases: Any, kept: Any, desk: Any) -> Any:
        def make(*services: Service, methods: Any = METHODS) -> RpcServer:
            return RpcServer(
                ServerConfig(grpc_listen="127.0.0.1:0"),
                databases,
                kept.telemetry,
                services=services,
                operations=desk.operations,
                operation_methods=methods,
            )

        return make

    async def test_a_service_may_have_both(self, make: Any, databases: Any, desk: Any) -> None:
        class ByHand:
            async def RunExclusiveDemo(self, request: Any, context: Any) -> Any:  # noqa: N802
                return longrunning_pb2.Operation(name="operations/by-hand")

        server = make(Service(SERVICE, ByHand()), methods=[RUN_DEMO])
        port = await server.start()
        databases.accept()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = demo_pb2_grpc.DemoServiceStub(channel)
            request = demo_pb2.RunDemoRequest(name="databases/main", steps=3)
            started = await stub.RunDemo(request)
            other = await stub.RunExclusiveDemo(request)
        await server.stop(0)
        kept = await desk.operations.get(started.name.removeprefix("operations/"))
        assert kept.kind == "demo"
        assert other.name == "operations/by-hand"

    async def test_a_method_that_nothing_serves_keeps_the_server_from_starting(
        self, make: Any
    ) -> None:
        with pytest.raises(ValueError, match="nothing serves the method"):
            await make(methods=[RUN_DEMO]).start()
        health = health_pb2.DESCRIPTOR.services_by_name["HealthService"]
        with pytest.raises(ValueError, match="nothing serves the method"):
            await make(Service(health, object())).start()

    async def test_a_kind_that_does_not_fit_keeps_the_server_from_starting(self, make: Any) -> None:
        @dataclass(frozen=True)
        class More(DemoRequest):
            more: str = ""

        kind = Kind("more", More, DemoResult, _never)
        with pytest.raises(ValueError, match="no field more"):
            await make(methods=[OperationMethod(kind, RUN_DEMO.method), METHODS[1]]).start()

    async def test_what_a_check_says_is_the_calls_answer(
        self, make: Any, databases: Any, kept: Any
    ) -> None:
        @dataclass(frozen=True)
        class Few(DemoRequest):
            def check(self) -> None:
                if self.steps > 3:
                    raise InvalidField("steps", "is above 3")

        method = OperationMethod(dataclasses.replace(DEMO, request_type=Few), RUN_DEMO.method)
        server = make(methods=[method, METHODS[1]])
        port = await server.start()
        databases.accept()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = demo_pb2_grpc.DemoServiceStub(channel)
            for validate_only in (False, True):
                request = demo_pb2.RunDemoRequest(
                    name="databases/main", steps=4, validate_only=validate_only
                )
                answer = await refused(stub.RunDemo(request))
                assert (answer.code, answer.metadata["field"]) == (
                    grpc.StatusCode.INVALID_ARGUMENT,
                    "steps",
                )
        await server.stop(0)


def test_a_request_without_a_check_of_its_own_passes() -> None:
    Request().check()
