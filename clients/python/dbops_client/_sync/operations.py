# Generated from _async/operations.py: change that, and run 'make client'.
"""`client.operations`: google.longrunning.Operations, and the operation that a method starts."""

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from dbops.v1 import operations_pb2, operations_pb2_grpc
from google.longrunning import operations_pb2 as longrunning_pb2
from google.longrunning import operations_pb2_grpc as longrunning_pb2_grpc
from google.protobuf.message import Message

from dbops_client._channel import DEFAULT_RECONNECT_S
from dbops_client._errors import DbopsError
from dbops_client._metadata import Metadata
from dbops_client._names import OPERATIONS, operation_name
from dbops_client._operation import OperationState, is_done
from dbops_client._reconnect import Reconnect
from dbops_client._start_request import StartOptions, start_request
from dbops_client._sync.resource import Resource
from dbops_client._transport import Transport
from dbops_client._wait_schedule import WaitSchedule
from dbops_client._watch import Watch

if TYPE_CHECKING:
    import grpc
    from dbops.v1.operations_pb2_grpc import OperationsServiceStub

_Request = TypeVar("_Request", bound=Message)
_Result = TypeVar("_Result", bound=Message)
_Result_co = TypeVar("_Result_co", bound=Message, covariant=True)


class Operation(Resource, OperationState[_Result_co]):
    """A long-running operation: its last known state, and the calls that follow it.

    `refresh`, `wait`, `result` and `watch` bring its state up to date; nothing else does.
    """

    def __init__(
        self,
        message: longrunning_pb2.Operation,
        result_type: type[_Result_co],
        transport: Transport,
    ) -> None:
        Resource.__init__(self, transport)
        OperationState.__init__(self, message, result_type)

    @cached_property
    def _stub(self) -> longrunning_pb2_grpc.OperationsStub:
        return longrunning_pb2_grpc.OperationsStub(self._transport.channel)

    @cached_property
    def _watch_stub(self) -> "OperationsServiceStub":
        return operations_pb2_grpc.OperationsServiceStub(self._transport.channel)

    def refresh(self, *, timeout_s: float | None = None, metadata: Metadata = ()) -> Self:
        """Fetch the present state; return the operation itself."""
        request = longrunning_pb2.GetOperationRequest(name=self.name)
        self._keep(self._transport.call(self._stub.GetOperation, request, timeout_s, metadata))
        return self

    def wait(
        self,
        *,
        within_s: float | None = None,
        reconnect_for_s: float = DEFAULT_RECONNECT_S,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> Self:
        """Wait until the operation has ended, or for `within_s` seconds; return it.

        A failure is not raised: `error` says so. Without `within_s` it waits for as long as the
        operation takes. It waits out an outage of the server for `reconnect_for_s` seconds at most
        (0: not at all). `timeout_s` is how long an answer may take beyond the time that the server
        is asked to wait.
        """
        metadata = tuple(metadata)  # every call sends it
        answer_s = self._transport.deadline(timeout_s)
        schedule = WaitSchedule(self.name, within_s, Reconnect(reconnect_for_s))
        while not self.done:
            request = schedule.request()
            try:
                message = self._transport.call(
                    self._stub.WaitOperation, request, schedule.piece_s + answer_s, metadata
                )
            except DbopsError as error:
                delay_s = schedule.after_error(error)
                if delay_s is None:
                    raise
            else:
                self._keep(message)
                delay_s = schedule.after_answer(done=self.done)
                if delay_s is None:
                    break
            self._transport.sleep(delay_s)
        return self

    def result(
        self,
        *,
        within_s: float | None = None,
        reconnect_for_s: float = DEFAULT_RECONNECT_S,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> _Result_co:
        """Wait as `wait` does, and return the result.

        Raises `error` if the operation failed or was cancelled, FailedPreconditionError
        (`OPERATION_NOT_DONE`) if it has not ended after `within_s` seconds, and TypeError if the
        result is not of the expected type.
        """
        self.wait(
            within_s=within_s,
            reconnect_for_s=reconnect_for_s,
            timeout_s=timeout_s,
            metadata=metadata,
        )
        return self._unpacked_result()

    def watch(
        self,
        *,
        reconnect_for_s: float = DEFAULT_RECONNECT_S,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> Watch[Self]:
        """Watch the operation: its present state, each change, and its end, where it stops.

        Each state comes as an operation of its own, and this one takes it over. Outages and a
        silent server are handled as `client.health.watch` does.
        """
        request = operations_pb2.WatchOperationRequest(name=self.name)
        return self._watch(
            lambda sent: self._watch_stub.WatchOperation(request, metadata=sent),
            self._take_over,
            reconnect_for_s,
            timeout_s,
            metadata,
            is_last=is_done,
        )

    def cancel(self, *, timeout_s: float | None = None, metadata: Metadata = ()) -> None:
        """Ask for the operation to be cancelled. It has ended only once its state says so.

        Cancelling twice is no error; FailedPreconditionError (`OPERATION_DONE`) if it has ended.
        """
        request = longrunning_pb2.CancelOperationRequest(name=self.name)
        self._transport.call(self._stub.CancelOperation, request, timeout_s, metadata)

    def _take_over(self, response: operations_pb2.WatchOperationResponse) -> Self:
        self._keep(response.operation)
        return type(self)(response.operation, self._result_type, self._transport)


class OperationsClient(Resource):
    """Long-running operations, whatever started them.

    `1f3a` and `operations/1f3a` name the same one. `wait`, `watch` and `cancel` are those of the
    operation itself, by its name.
    """

    @cached_property
    def _stub(self) -> longrunning_pb2_grpc.OperationsStub:
        return longrunning_pb2_grpc.OperationsStub(self._transport.channel)

    @overload
    def get(
        self, operation: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> Operation[Message]: ...

    @overload
    def get(
        self,
        operation: str,
        result_type: type[_Result],
        *,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> Operation[_Result]: ...

    def get(
        self,
        operation: str,
        result_type: type[Any] = Message,
        *,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> Operation[Any]:
        """Return the operation. `result_type` is the type of its result, where you know it."""
        named = self._named(operation, result_type)
        return named.refresh(timeout_s=timeout_s, metadata=metadata)

    def list(
        self,
        filter: str = "",  # noqa: A002  # the contract's word
        *,
        page_size: int = 0,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> Iterator[Operation[Message]]:
        """Iterate over the operations, the newest first, over all pages.

        The comment of OperationsService describes `filter`, such as `done = false AND
        metadata.database = "databases/main"`; empty means all. Pages are fetched as
        `client.databases.list` does.
        """
        request = longrunning_pb2.ListOperationsRequest(
            name=OPERATIONS, filter=filter, page_size=page_size
        )
        messages = self._list(
            self._stub.ListOperations, request, lambda page: page.operations, timeout_s, metadata
        )
        for message in messages:
            yield Operation(message, Message, self._transport)

    def wait(
        self,
        operation: str,
        *,
        within_s: float | None = None,
        reconnect_for_s: float = DEFAULT_RECONNECT_S,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> Operation[Message]:
        """Wait until the operation has ended, or for `within_s` seconds; return it."""
        return self._named(operation).wait(
            within_s=within_s,
            reconnect_for_s=reconnect_for_s,
            timeout_s=timeout_s,
            metadata=metadata,
        )

    def watch(
        self,
        operation: str,
        *,
        reconnect_for_s: float = DEFAULT_RECONNECT_S,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> Watch[Operation[Message]]:
        """Watch the operation: its present state, each change, and its end, where it stops."""
        return self._named(operation).watch(
            reconnect_for_s=reconnect_for_s, timeout_s=timeout_s, metadata=metadata
        )

    def cancel(
        self, operation: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> None:
        """Ask for the operation to be cancelled. It has ended only once its state says so."""
        self._named(operation).cancel(timeout_s=timeout_s, metadata=metadata)

    def delete(
        self, operation: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> None:
        """Delete the record of an operation that has ended, and its result.

        Raises FailedPreconditionError (`OPERATION_NOT_DONE`) if it has not ended.
        """
        request = longrunning_pb2.DeleteOperationRequest(name=operation_name(operation))
        self._transport.call(self._stub.DeleteOperation, request, timeout_s, metadata)

    def _named(self, operation: str, result_type: type[Any] = Message) -> Operation[Any]:
        message = longrunning_pb2.Operation(name=operation_name(operation))
        return Operation(message, result_type, self._transport)


class OperationStarter(Resource):
    """A sub-client whose methods start operations."""

    def _start(
        self,
        method: "grpc.UnaryUnaryMultiCallable[_Request, longrunning_pb2.Operation]",
        request_type: type[_Request],
        result_type: type[_Result],
        options: StartOptions,
        **fields: Any,
    ) -> Operation[_Result]:
        """Send the request that `options` and `fields` make; return the operation as accepted."""
        request, timeout_s, metadata = start_request(request_type, options, fields)
        message = self._transport.call(method, request, timeout_s, metadata)
        return Operation(message, result_type, self._transport)
