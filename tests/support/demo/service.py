"""`dbops.demo.v1.DemoService`."""

from typing import Any

from dbopsd.operations.service import Operations
from dbopsd.rpc.operation_methods import OperationMethod
from dbopsd.rpc.operation_start import OperationStarter
from dbopsd.rpc.server import Service
from tests.support.demo.generated import demo_pb2, demo_pb2_grpc
from tests.support.demo.kind import DEMO, EXCLUSIVE_DEMO, DemoRequest, DemoResult

SERVICE = demo_pb2.DESCRIPTOR.services_by_name["DemoService"]


def encode_result(result: DemoResult) -> Any:
    """The kind's result as its message."""
    return demo_pb2.DemoResponse(
        steps_done=result.steps_done,
        attempts=result.attempts,
        step_attempts=result.step_attempts,
    )


RUN_DEMO = OperationMethod(DEMO, f"{SERVICE.full_name}/RunDemo", encode_result)
RUN_EXCLUSIVE_DEMO = OperationMethod(
    EXCLUSIVE_DEMO, f"{SERVICE.full_name}/RunExclusiveDemo", encode_result
)
METHODS = (RUN_DEMO, RUN_EXCLUSIVE_DEMO)


class DemoService(demo_pb2_grpc.DemoServiceServicer):
    """Decodes, starts, encodes."""

    def __init__(self, operations: Operations) -> None:
        self._starter = OperationStarter(operations, METHODS)

    async def RunDemo(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's names
        return await self._start(RUN_DEMO, request)

    async def RunExclusiveDemo(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._start(RUN_EXCLUSIVE_DEMO, request)

    async def _start(self, method: OperationMethod[Any, Any], request: Any) -> Any:
        return await self._starter.start(
            method,
            DemoRequest(
                steps=request.steps,
                step_seconds=request.step_seconds,
                child=request.child,
                fail_at_step=request.fail_at_step,
                ledger=request.ledger,
                mishap=request.mishap,
                traced=request.traced,
            ),
            database=request.name.removeprefix("databases/"),
            request_id=request.request_id,
            validate_only=request.validate_only,
            timeout_s=_seconds(request.timeout) if request.HasField("timeout") else None,
        )


def _seconds(duration: Any) -> float:
    return float(duration.seconds + duration.nanos / 1e9)


def services(operations: Operations) -> list[Service]:
    """What the demo adds to the gRPC server."""
    return [
        Service(SERVICE, DemoService(operations), demo_pb2_grpc.add_DemoServiceServicer_to_server)
    ]
