"""Start the operation of a method, and answer with it."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from dbops.v1 import operations_pb2
from google.longrunning import operations_pb2 as longrunning_pb2

from dbopsd.errors import InvalidField
from dbopsd.operations.service import Operations, StartRequest
from dbopsd.rpc.encode import database_id, resource_name
from dbopsd.rpc.operation_access import require
from dbopsd.rpc.operation_encode import encode_operation
from dbopsd.rpc.operation_methods import OperationMethod
from dbopsd.rpc.times import seconds
from dbopsd.security.caller import Role

_MAX_TIMEOUT_S: Final = 10 * 365 * 86_400
_REQUEST_ID: Final = re.compile(r"[ -~]{1,64}")

StartsOperation = Callable[[Any, Any], Awaitable[longrunning_pb2.Operation]]


class OperationStarter:
    """Starts operations for callers. `methods` say what the kinds' requests and results are."""

    def __init__(
        self, operations: Operations, methods: Mapping[str, OperationMethod[Any, Any]]
    ) -> None:
        self._operations = operations
        self._methods = methods

    def servicer_method(self, method: OperationMethod[Any, Any]) -> StartsOperation:
        """What a servicer does for that method: decode, check, start, encode.

        Raises ValueError where the kind's dataclasses are not those of the method's messages.
        """
        method.compile()

        async def start(message: Any, context: Any) -> longrunning_pb2.Operation:
            # In a thread: a text of megabytes may take a second to check.
            request = await asyncio.to_thread(method.read, message)
            return await self.start(
                method,
                request,
                database=database_id(message.name),
                request_id=message.request_id,
                validate_only=message.validate_only and not method.tries,
                timeout_s=seconds(message.timeout) if message.HasField("timeout") else None,
                role=method.role_for(message),
            )

        return start

    async def start(
        self,
        method: OperationMethod[Any, Any],
        request: Any,
        *,
        database: str,
        request_id: str,
        validate_only: bool,
        timeout_s: float | None = None,
        role: Role | None = None,
    ) -> longrunning_pb2.Operation:
        """Start the method's kind of operation for the caller; the one there is for a request_id.

        `role`: what the caller needs; None: what the method does.

        With `validate_only` nothing starts: it fails where starting would, and else answers with
        an operation that is done and has no name and no response, whose metadata has what the
        request says (AIP-163: what only doing it would tell is left out).

        Raises `InvalidField`, `RoleMissing` and what `Operations.start` does.
        """
        check_request_id(request_id)
        _check_timeout(timeout_s)
        needed = method.role if role is None else role
        caller = require(needed, database)
        wanted = StartRequest(
            kind=method.kind.name,
            request=request,
            database=database,
            requester=caller.name,
            role=int(needed),
            origin=caller.method,
            request_id=request_id,
            timeout_s=timeout_s,
        )
        if validate_only:
            await self._operations.check(wanted)
            return _validated(wanted)
        return encode_operation(await self._operations.start(wanted), self._methods)


def check_request_id(request_id: str) -> None:
    """Raise `InvalidField` for what is no id of a request."""
    if request_id and not _REQUEST_ID.fullmatch(request_id):
        raise InvalidField("request_id", "is not 1 to 64 printable ASCII characters")


def _check_timeout(timeout_s: float | None) -> None:
    if timeout_s is not None and not 0 < timeout_s <= _MAX_TIMEOUT_S:
        raise InvalidField("timeout", "is not above 0 s, or above 10 years")


def _validated(wanted: StartRequest) -> longrunning_pb2.Operation:
    """What answers a request with `validate_only` that starting would not have refused."""
    operation = longrunning_pb2.Operation(done=True)
    operation.metadata.Pack(
        operations_pb2.OperationMetadata(
            database=resource_name(wanted.database),
            kind=wanted.kind,
            requester=wanted.requester,
            request_id=wanted.request_id,
        )
    )
    return operation
