"""What one caller may call of the operations' services."""

from typing import Any

import grpc.aio
from dbops.v1 import operations_pb2, operations_pb2_grpc
from google.longrunning import operations_pb2 as longrunning_pb2
from google.longrunning import operations_pb2_grpc as longrunning_pb2_grpc

from dbopsd.config import AuthConfig, TokenConfig
from dbopsd.security.tokens import hash_token
from tests.support.demo.generated import demo_pb2, demo_pb2_grpc

# Each caller's token is its name.
AUTH = AuthConfig(
    tokens={
        name: TokenConfig(hash=hash_token(name), role=role, databases=databases)
        for name, role, databases in (
            ("admin", "ADMIN", {}),
            ("operator", "OPERATOR", {}),
            ("viewer", "VIEWER", {}),
            ("main-admin", None, {"main": "ADMIN"}),
            ("main-operator", None, {"main": "OPERATOR"}),
            ("other-viewer", None, {"other": "VIEWER"}),
            ("main-viewer", None, {"main": "VIEWER", "other": "OPERATOR"}),
            ("operator-but-main", "OPERATOR", {"main": "VIEWER"}),
        )
    }
)


class Api:
    """Calls as `caller`; returns what gRPC returns."""

    def __init__(self, channel: grpc.aio.Channel, caller: str = "admin") -> None:
        self._with: Any = {"metadata": (("authorization", f"Bearer {caller}"),)}
        self._operations = longrunning_pb2_grpc.OperationsStub(channel)
        self._service = operations_pb2_grpc.OperationsServiceStub(channel)
        self._demo = demo_pb2_grpc.DemoServiceStub(channel)

    def get(self, name: str) -> Any:
        request = longrunning_pb2.GetOperationRequest(name=name)
        return self._operations.GetOperation(request, **self._with)

    def list(self, **fields: Any) -> Any:
        request = longrunning_pb2.ListOperationsRequest(**fields)
        return self._operations.ListOperations(request, **self._with)

    def wait(self, name: str, *, call_timeout_s: float | None = 10, **fields: Any) -> Any:
        request = longrunning_pb2.WaitOperationRequest(name=name, **fields)
        return self._operations.WaitOperation(request, timeout=call_timeout_s, **self._with)

    def cancel(self, name: str) -> Any:
        request = longrunning_pb2.CancelOperationRequest(name=name)
        return self._operations.CancelOperation(request, **self._with)

    def delete(self, name: str) -> Any:
        request = longrunning_pb2.DeleteOperationRequest(name=name)
        return self._operations.DeleteOperation(request, **self._with)

    def watch(self, name: str) -> Any:
        request = operations_pb2.WatchOperationRequest(name=name)
        return self._service.WatchOperation(request, **self._with)

    def schedules(self, **fields: Any) -> Any:
        request = operations_pb2.ListSchedulesRequest(**fields)
        return self._service.ListSchedules(request, **self._with)

    def run_schedule(self, name: str, **fields: Any) -> Any:
        request = operations_pb2.RunScheduleRequest(name=name, **fields)
        return self._service.RunSchedule(request, **self._with)

    def pause(self, name: str) -> Any:
        request = operations_pb2.PauseScheduleRequest(name=name)
        return self._service.PauseSchedule(request, **self._with)

    def resume(self, name: str) -> Any:
        request = operations_pb2.ResumeScheduleRequest(name=name)
        return self._service.ResumeSchedule(request, **self._with)

    def workers(self, **fields: Any) -> Any:
        request = operations_pb2.ListWorkersRequest(**fields)
        return self._service.ListWorkers(request, **self._with)

    def duties(self, **fields: Any) -> Any:
        request = operations_pb2.ListDutiesRequest(**fields)
        return self._service.ListDuties(request, **self._with)

    def run_demo(self, name: str = "databases/main", **fields: Any) -> Any:
        return self._demo.RunDemo(demo_pb2.RunDemoRequest(name=name, **fields), **self._with)

    def run_exclusive_demo(self, name: str = "databases/main", **fields: Any) -> Any:
        request = demo_pb2.RunDemoRequest(name=name, **fields)
        return self._demo.RunExclusiveDemo(request, **self._with)


def metadata_of(operation: longrunning_pb2.Operation) -> operations_pb2.OperationMetadata:
    found = operations_pb2.OperationMetadata()
    assert operation.metadata.Unpack(found)
    return found
