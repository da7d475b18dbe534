"""Asking a demo daemon for operations, and what it says of them."""

import uuid
from pathlib import Path
from typing import Any, Self

import grpc
from dbops.v1 import health_pb2, health_pb2_grpc, operations_pb2, operations_pb2_grpc
from google.longrunning import operations_pb2 as longrunning_pb2
from google.longrunning import operations_pb2_grpc as longrunning_pb2_grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2

from tests.support.demo import ledger
from tests.support.demo.generated import demo_pb2, demo_pb2_grpc
from tests.support.patience import eventually_blocking

State = operations_pb2.OperationMetadata
_CALL_TIMEOUT_S = 15.0
_OPEN_S = 60.0


class DemoClient:
    """Blocking. `ledger` is where the operations write what they do."""

    def __init__(self, address: str, ledger_path: Path) -> None:
        self._channel = grpc.insecure_channel(address)
        self.ledger = ledger_path
        self._demo = demo_pb2_grpc.DemoServiceStub(self._channel)
        self._longrunning = longrunning_pb2_grpc.OperationsStub(self._channel)
        self._operations = operations_pb2_grpc.OperationsServiceStub(self._channel)
        self._health = health_pb2_grpc.HealthServiceStub(self._channel)

    def start(
        self,
        *,
        exclusive: bool = False,
        timeout_s: float | None = None,
        metadata: tuple[tuple[str, str], ...] = (),
        **fields: object,
    ) -> str:
        """Start a demo; its name."""
        method = self._demo.RunExclusiveDemo if exclusive else self._demo.RunDemo
        request = demo_pb2.RunDemoRequest(
            **{"name": "databases/main", "steps": 1, "ledger": str(self.ledger), **fields}
        )
        if timeout_s is not None:
            request.timeout.CopyFrom(_duration(timeout_s))
        name: str = method(request, timeout=_CALL_TIMEOUT_S, metadata=metadata).name
        return name

    def start_once_open(self, **fields: Any) -> str:
        """The first of a daemon, which loads and opens its store: too slow on a busy machine.

        One that came too late and is asked for again is the same one, by its request id.
        """
        once = {"request_id": uuid.uuid4().hex, **fields}
        return eventually_blocking(lambda: self.start(**once), _OPEN_S, "the store is open")

    def get(self, name: str) -> Any:
        """The operation."""
        request = longrunning_pb2.GetOperationRequest(name=name)
        return self._longrunning.GetOperation(request, timeout=_CALL_TIMEOUT_S)

    def metadata(self, name: str) -> Any:
        """The operation's metadata."""
        return metadata_of(self.get(name))

    def cancel(self, name: str) -> None:
        request = longrunning_pb2.CancelOperationRequest(name=name)
        self._longrunning.CancelOperation(request, timeout=_CALL_TIMEOUT_S)

    def becomes(self, name: str, state: Any, timeout_s: float = 20) -> Any:
        """The operation, once it is in that state."""

        def there() -> Any:
            operation = self.get(name)
            metadata = metadata_of(operation)
            assert metadata.state == state, f"{metadata}{operation.error}"
            return operation

        return eventually_blocking(there, timeout_s, State.State.Name(state))

    def runs(self, name: str, attempt: int = 1, step: int = 1, timeout_s: float = 30) -> Any:
        """Its metadata, once that attempt is in that step."""

        def there() -> Any:
            begun = [(e.attempt, e.step) for e in self.entries(name) if e.what == ledger.BEGIN]
            assert (attempt, step) in begun, f"{begun} {self.metadata(name)}"
            return self.metadata(name)

        return eventually_blocking(there, timeout_s, f"attempt {attempt} is in step {step}")

    def in_stage(self, name: str, stage: str, timeout_s: float = 30) -> None:
        """Return once its present attempt is known to be in that stage."""
        eventually_blocking(lambda: self.metadata(name).stage == stage, timeout_s, stage)

    def entries(self, name: str) -> list[ledger.Entry]:
        """What the operation wrote."""
        return ledger.of(name.removeprefix("operations/"), ledger.read(self.ledger))

    def workers(self) -> list[Any]:
        request = operations_pb2.ListWorkersRequest()
        return list(self._operations.ListWorkers(request, timeout=_CALL_TIMEOUT_S).workers)

    def duties(self) -> list[Any]:
        request = operations_pb2.ListDutiesRequest()
        return list(self._operations.ListDuties(request, timeout=_CALL_TIMEOUT_S).duties)

    def schedules(self) -> dict[str, Any]:
        """By the last part of their names."""
        request = operations_pb2.ListSchedulesRequest(parent="databases/main")
        found = self._operations.ListSchedules(request, timeout=_CALL_TIMEOUT_S).schedules
        return {each.name.rpartition("/")[2]: each for each in found}

    def schedule_does(self, method: str, schedule: str) -> Any:
        """The answer of `RunSchedule`, `PauseSchedule` or `ResumeSchedule`."""
        request = getattr(operations_pb2, f"{method}Request")(
            name=f"databases/main/schedules/{schedule}"
        )
        return getattr(self._operations, method)(request, timeout=_CALL_TIMEOUT_S)

    def operations(self) -> list[Any]:
        """All there are, the newest first."""
        request = longrunning_pb2.ListOperationsRequest(name="operations", page_size=1000)
        answer = self._longrunning.ListOperations(request, timeout=_CALL_TIMEOUT_S)
        return list(answer.operations)

    def health(self) -> Any:
        request = health_pb2.GetHealthRequest(name="databases/main")
        return self._health.GetHealth(request, timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()


def _duration(seconds: float) -> Any:
    duration = duration_pb2.Duration()
    duration.FromMilliseconds(round(seconds * 1000))
    return duration


def metadata_of(operation: Any) -> Any:
    metadata = State()
    assert operation.metadata.Unpack(metadata)
    return metadata


def response_of(operation: Any) -> Any:
    response = demo_pb2.DemoResponse()
    assert operation.response.Unpack(response)
    return response


def failure_of(operation: Any) -> tuple[str, str]:
    """The code and the reason that an operation failed with."""
    return _code_and_reason(operation.error)


def refusal_of(error: Any) -> tuple[str, str]:
    """The code and the reason that a call was refused with."""
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            return _code_and_reason(status_pb2.Status.FromString(value))
    return error.code().name, ""


def _code_and_reason(status: Any) -> tuple[str, str]:
    codes = {code.value[0]: code.name for code in grpc.StatusCode}
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info), status
    return codes[status.code], info.reason
