"""How a method that does heavy work starts it, and what it answers."""

import re
from collections.abc import Sequence
from typing import Any, Final, TypeVar

from dbops.v1 import operations_pb2
from google.longrunning import operations_pb2 as longrunning_pb2

from dbopsd.errors import InvalidField
from dbopsd.operations.service import Operations
from dbopsd.rpc.encode import resource_name
from dbopsd.rpc.operation_access import require
from dbopsd.rpc.operation_encode import encode_operation
from dbopsd.rpc.operation_methods import OperationMethod, by_kind
from dbopsd.security.caller import Caller

RequestT = TypeVar("RequestT")

_MAX_TIMEOUT_S: Final = 10 * 365 * 86_400
_REQUEST_ID: Final = re.compile(r"[ -~]{1,64}")


def check_request_id(request_id: str) -> None:
    """Raise `InvalidField` for one that is not 1 to 64 printable ASCII characters; "": none."""
    if request_id and not _REQUEST_ID.fullmatch(request_id):
        raise InvalidField("request_id", "is not 1 to 64 printable ASCII characters")


def check_timeout(timeout_s: float | None) -> None:
    """Raise `InvalidField` for a field `timeout` that an operation cannot have; None: none."""
    if timeout_s is not None and not 0 < timeout_s <= _MAX_TIMEOUT_S:
        raise InvalidField("timeout", "is not above 0 s, or above 10 years")


class OperationStarter:
    """Starts the operations that the methods of a service answer with."""

    def __init__(
        self, operations: Operations, methods: Sequence[OperationMethod[Any, Any]]
    ) -> None:
        self._operations = operations
        self._methods = by_kind(methods)

    async def start(
        self,
        method: OperationMethod[RequestT, Any],
        request: RequestT,
        *,
        database: str,
        request_id: str = "",
        validate_only: bool = False,
        timeout_s: float | None = None,
    ) -> longrunning_pb2.Operation:
        """Start the method's kind of operation for the caller; the one there is for a request_id.

        With `validate_only` nothing starts: it fails where starting would, and else answers with
        an operation that is done and has no name and no response, whose metadata has what the
        request says (AIP-163: what only doing it would tell is left out).

        `request_id` and `timeout_s` are those of the request's fields `request_id` and `timeout`.

        Raises `InvalidField`, `RoleMissing` and what `Operations.start` does.
        """
        check_request_id(request_id)
        check_timeout(timeout_s)
        caller = require(method.role, database)
        if validate_only:
            await self._operations.check(
                method.kind.name,
                request,
                database=database,
                requester=caller.name,
                role=int(method.role),
                origin=caller.method,
                request_id=request_id,
                timeout_s=timeout_s,
            )
            return validated(method, database, caller, request_id)
        operation = await self._operations.start(
            method.kind.name,
            request,
            database=database,
            requester=caller.name,
            role=int(method.role),
            origin=caller.method,
            request_id=request_id,
            timeout_s=timeout_s,
        )
        return encode_operation(operation, self._methods)


def validated(
    method: OperationMethod[Any, Any], database: str, caller: Caller, request_id: str
) -> longrunning_pb2.Operation:
    """What answers a request with `validate_only` that starting would not have refused."""
    operation = longrunning_pb2.Operation(done=True)
    operation.metadata.Pack(
        operations_pb2.OperationMetadata(
            database=resource_name(database),
            kind=method.kind.name,
            requester=caller.name,
            request_id=request_id,
        )
    )
    return operation
