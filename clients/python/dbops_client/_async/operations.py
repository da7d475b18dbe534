"""`client.operations`: google.longrunning.Operations, and the operation that a method starts."""

from collections.abc import AsyncIterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from dbops.v1 import operations_pb2, operations_pb2_grpc
from google.longrunning import operations_pb2 as longrunning_pb2
from google.longrunning import operations_pb2_grpc as longrunning_pb2_grpc
from google.protobuf.message import Message

from dbops_client._async.resource import AsyncResource
from dbops_client._async_transport import AsyncTransport
from dbops_client._channel import DEFAULT_RECONNECT_S
from dbops_client._errors import DbopsError
from dbops_client._metadata import Metadata
from dbops_client._names import OPERATIONS, operation_name
from dbops_client._operation import OperationState, is_done
from dbops_client._reconnect import Reconnect
from dbops_client._start_request import StartOptions, start_request
from dbops_client._wait_schedule import WaitSchedule
from dbops_client._watch import AsyncWatch

if TYPE_CHECKING:
    import grpc.aio
    from dbops.v1.operations_pb2_grpc import OperationsServiceAsyncStub

_Request = TypeVar("_Request", bound=Message)
_Result = TypeVar("_Result", bound=Message)
_Result_co = TypeVar("_Result_co", bound=Message, covariant=True)


class AsyncOperation(AsyncResource, OperationState[_Result_co]):
    """A long-running operation: its last known state, and the calls that follow it.

    `refresh`, `wait`, `result` and `watch` bring its state up to date; nothing else does.
    """

    def __init__(
        self,
        message: longrunning_pb2.Operation,
        result_type: type[_Result_co],
        transport: AsyncTransport,
    ) -> None:
        AsyncResource.__init__(self, transport)
        OperationState.__init__(self, message, result_type)

    @cached_property
    def _stub(self) -> longrunning_pb2_grpc.OperationsStub:
        return longrunning_pb2_grpc.OperationsStub(self._transport.channel)

    @cached_property
    def _watch_stub(self) -> "OperationsServiceAsyncStub":
        return operations_pb2_grpc.OperationsServiceStub(self._transport.channel)

    async def refresh(self, *, timeout_s: float | None = None, metadata: Metadata = ()) -> Self:
        """Fetch the present state; return the operation itself."""
        request = longrunning_pb2.GetOperationRequest(name=self.name)
        self._keep(
            await self._transport.call(self._stub.GetOperation, request, timeout_s, metadata)
        )
        return self

    async def wait(
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
                message = await self._transport.call(
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
            await self._transport.sleep(delay_s)
        return self

    async def result(
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
        await self.wait(
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
    ) -> AsyncWatch[Self]:
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

    async def cancel(self, *, timeout_s: float | None = None, metadata: Metadata = ()) -> None:
        """Ask for the operation to be cancelled. It has ended only once its state says so.

        Cancelling twice is no error; FailedPreconditionError (`OPERATION_DONE`) if it has ended.
        """
        request = longrunning_pb2.CancelOperationRequest(name=self.name)
        await self._transport.call(self._stub.CancelOperation, request, timeout_s, metadata)

    def _take_over(self, response: operations_pb2.WatchOperationResponse) -> Self:
        self._keep(response.operation)
        return type(self)(response.operation, self._result_type, self._transport)


class AsyncOperationsClient(AsyncResource):
    """Long-running operations, whatever started them.

    `1f3a` and `operations/1f3a` name the same one. `wait`, `watch` and `cancel` are those of the
    operation itself, by its name.
    """

    @cached_property
    def _stub(self) -> longrunning_pb2_grpc.OperationsStub:
        return longrunning_pb2_grpc.OperationsStub(self._transport.channel)

    @overload
    async def get(
        self, operation: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> AsyncOperation[Message]: ...

    @overload
    async def get(
        self,
        operation: str,
        result_type: type[_Result],
        *,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> AsyncOperation[_Result]: ...

    async def get(
        self,
        operation: str,
        result_type: type[Any] = Message,
        *,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> AsyncOperation[Any]:
        """Return the operation. `result_type` is the type of its result, where you know it."""
        named = self._named(operation, result_type)
        return await named.refresh(timeout_s=timeout_s, metadata=metadata)

    async def list(
        self,
        filter: str = "",  # noqa: A002  # the contract's word
        *,
        page_size: int = 0,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> AsyncIterator[AsyncOperation[Message]]:
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
        async for message in messages:
            yield AsyncOperation(message, Message, self._transport)

    async def wait(
        self,
        operation: str,
        *,
        within_s: float | None = None,
        reconnect_for_s: float = DEFAULT_RECONNECT_S,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> AsyncOperation[Message]:
        """Wait until the operation has ended, or for `within_s` seconds; return it."""
        return await self._named(operation).wait(
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
    ) -> AsyncWatch[AsyncOperation[Message]]:
        """Watch the operation: its present state, each change, and its end, where it stops."""
        return self._named(operation).watch(
            reconnect_for_s=reconnect_for_s, timeout_s=timeout_s, metadata=metadata
        )

    async def cancel(
        self, operation: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> None:
        """Ask for the operation to be cancelled. It has ended only once its state says so."""
        await self._named(operation).cancel(timeout_s=timeout_s, metadata=metadata)

    async def delete(
        self, operation: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> None:
        """Delete the record of an operation that has ended, and its result.

        Raises FailedPreconditionError (`OPERATION_NOT_DONE`) if it has not ended.
        """
        request = longrunning_pb2.DeleteOperationRequest(name=operation_name(operation))
        await self._transport.call(self._stub.DeleteOperation, request, timeout_s, metadata)

    def _named(self, operation: str, result_type: type[Any] = Message) -> AsyncOperation[Any]:
        message = longrunning_pb2.Operation(name=operation_name(operation))
        return AsyncOperation(message, result_type, self._transport)


class AsyncOperationStarter(AsyncResource):
    """A sub-client whose methods start operations."""

    async def _start(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[_Request, longrunning_pb2.Operation]",
        request_type: type[_Request],
        result_type: type[_Result],
        options: StartOptions,
        **fields: Any,
    ) -> AsyncOperation[_Result]:
        """Send the request that `options` and `fields` make; return the operation as accepted."""
        request, timeout_s, metadata = start_request(request_type, options, fields)
        message = await self._transport.call(method, request, timeout_s, metadata)
        return AsyncOperation(message, result_type, self._transport)
