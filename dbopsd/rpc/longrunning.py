"""`google.longrunning.Operations`.

Its requests carry no annotations, so what `validation` reads from our own protos is checked here.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf.empty_pb2 import Empty

from dbopsd.errors import FieldNotSupported, InvalidField
from dbopsd.operations.record import Operation
from dbopsd.operations.service import Operations
from dbopsd.rpc.operation_access import find, find_to_end, visible_databases
from dbopsd.rpc.operation_encode import encode_operation
from dbopsd.rpc.operation_filter import parse_filter
from dbopsd.rpc.operation_methods import OperationMethod
from dbopsd.rpc.paging import checked_size, foreign_token, read_token, write_token
from dbopsd.rpc.validation import SEGMENT

SERVICE: Final = operations_pb2.DESCRIPTOR.services_by_name["Operations"]

# A page ends before it is too large for clients, who refuse a message above 4 MiB.
MAX_PAGE_BYTES: Final = 2 * 1024 * 1024

# What is left of a call's time for its answer to arrive in: a late one is DEADLINE_EXCEEDED.
_ANSWER_S: Final = 0.5
_ANSWER_PART: Final = 0.2

_COLLECTION: Final = "operations"
_KEY: Final = re.compile(rf"(\d{{1,12}}(?:\.\d{{1,9}})?) ({SEGMENT})", re.ASCII)
_NANOSECONDS: Final = 1_000_000_000


class LongRunning(operations_pb2_grpc.OperationsServicer):  # type: ignore[misc]
    """`methods` say what the results of the kinds of operations look like."""

    def __init__(
        self, operations: Operations, methods: Mapping[str, OperationMethod[Any, Any]]
    ) -> None:
        self._operations = operations
        self._methods = methods

    async def ListOperations(  # noqa: N802 - gRPC's names
        self, request: operations_pb2.ListOperationsRequest, context: Any
    ) -> operations_pb2.ListOperationsResponse:
        """A page of the operations that the caller may see, the newest first."""
        if request.name not in ("", _COLLECTION):
            raise InvalidField("name", f"is not {_COLLECTION}, nor empty")
        if request.return_partial_success:
            raise FieldNotSupported("return_partial_success")
        conditions = parse_filter(request.filter)
        size = checked_size(request.page_size)
        of = f"ListOperations {request.filter.strip()}"
        found = await self._operations.list_page(
            conditions,
            databases=visible_databases(),
            after=_read_key(request.page_token, of) if request.page_token else None,
            limit=size + 1,
        )
        page = self._page(found[:size])
        more = len(page) < len(found)
        return operations_pb2.ListOperationsResponse(
            operations=page,
            next_page_token=write_token(_key(found[len(page) - 1]), of) if more else "",
        )

    async def GetOperation(  # noqa: N802
        self, request: operations_pb2.GetOperationRequest, context: Any
    ) -> operations_pb2.Operation:
        """An operation as it is now."""
        return self._encode(await find(self._operations, request.name))

    async def WaitOperation(  # noqa: N802
        self, request: operations_pb2.WaitOperationRequest, context: Any
    ) -> operations_pb2.Operation:
        """An operation once it has ended, or as it is when the time is up or the daemon stops."""
        timeout_s = _time_to_wait(request, context.time_remaining())
        operation = await find(self._operations, request.name)
        if not operation.state.done:
            operation = await self._operations.wait(operation.id, timeout_s)
        return self._encode(operation)

    async def CancelOperation(  # noqa: N802
        self, request: operations_pb2.CancelOperationRequest, context: Any
    ) -> Empty:
        """Ask for an operation's end; asking again changes nothing."""
        operation = await find_to_end(self._operations, request.name)
        await self._operations.cancel(operation.id)
        return Empty()

    async def DeleteOperation(  # noqa: N802
        self, request: operations_pb2.DeleteOperationRequest, context: Any
    ) -> Empty:
        """Forget an operation that has ended."""
        operation = await find_to_end(self._operations, request.name)
        await self._operations.delete(operation.id)
        return Empty()

    def _encode(self, operation: Operation) -> operations_pb2.Operation:
        return encode_operation(operation, self._methods)

    def _page(self, operations: list[Operation]) -> list[operations_pb2.Operation]:
        page: list[operations_pb2.Operation] = []
        size_bytes = 0
        for operation in operations:
            encoded = self._encode(operation)
            if encoded.ByteSize() > MAX_PAGE_BYTES:
                encoded = self._encode(_without_result(operation))
            size_bytes += encoded.ByteSize()
            # One at least, or the next page would be this one again.
            if page and size_bytes > MAX_PAGE_BYTES:
                break
            page.append(encoded)
        return page


def _without_result(operation: Operation) -> Operation:
    """What a list shows of an operation whose result alone is too large for a page."""
    failure = operation.failure
    return replace(operation, result=None, failure=failure and replace(failure, result=None))


def _time_to_wait(
    request: operations_pb2.WaitOperationRequest, remaining_s: float | None
) -> float | None:
    """How long to wait, in seconds: the shorter of the request's time and the call's own."""
    bounds = []
    if request.HasField("timeout"):
        timeout_s = request.timeout.seconds + request.timeout.nanos / _NANOSECONDS
        if timeout_s < 0:
            raise InvalidField("timeout", "is less than 0 s")
        bounds.append(timeout_s)
    if remaining_s is not None and math.isfinite(remaining_s):
        bounds.append(max(0.0, remaining_s - min(_ANSWER_S, remaining_s * _ANSWER_PART)))
    return min(bounds, default=None)


def _key(operation: Operation) -> str:
    return f"{operation.create_time:.9f} {operation.id}"


def _read_key(token: str, of: str) -> tuple[float, str]:
    match = _KEY.fullmatch(read_token(token, of))
    if match is None:
        raise foreign_token()
    return float(match.group(1)), match.group(2)
