"""A long-running operation, as it was when the server told of it."""

from dataclasses import dataclass
from typing import TypeVar

from dbops.v1 import operations_pb2
from google.longrunning import operations_pb2 as longrunning_pb2
from google.protobuf.message import DecodeError, Message

from dbops_client._errors import DbopsError, error_from_status, operation_not_done

_Result = TypeVar("_Result", bound=Message)


@dataclass(frozen=True, slots=True)
class Operation:
    """A `google.longrunning.Operation`, with its parts unpacked. It does not change by itself.

    `message` is what the server sent; it is not to be changed either.
    """

    message: longrunning_pb2.Operation

    @property
    def name(self) -> str:
        """The resource name, `operations/{operation}`."""
        return str(self.message.name)

    @property
    def done(self) -> bool:
        """Whether it has ended: with a result or with an error."""
        return bool(self.message.done)

    @property
    def metadata(self) -> operations_pb2.OperationMetadata:
        """What it works on and how far it is; empty where a server other than dbopsd tells."""
        metadata = operations_pb2.OperationMetadata()
        self.message.metadata.Unpack(metadata)
        return metadata

    @property
    def error(self) -> DbopsError | None:
        """Why it ended without a result: as the exception that the call would have raised."""
        if not self.message.HasField("error"):
            return None
        return error_from_status(self.message.error)

    def result(self, message_type: type[_Result]) -> _Result:
        """Return what it ended with, a message of the type that the method's comment names.

        Raises `error` if it failed or was cancelled, FailedPreconditionError
        (`OPERATION_NOT_DONE`) if it has not ended, and TypeError if the result is of another type.
        """
        if (error := self.error) is not None:
            raise error
        if not self.done:
            raise operation_not_done(self.name)
        result = message_type()
        if not self.message.response.Unpack(result):
            found = self.message.response.TypeName() or "result of no type"
            raise TypeError(
                f"{self.name} ended with a {found}, not with a {result.DESCRIPTOR.full_name}"
            )
        return result

    def failure_details(self, message_type: type[_Result]) -> _Result | None:
        """Return what a failed operation tells beyond its `error`, as the method's comment says.

        None if it has not failed, or tells nothing of that type, or nothing that can be read.
        """
        for detail in self.message.error.details:
            found = message_type()
            try:
                if detail.Unpack(found):
                    return found
            except DecodeError:
                # The error stands without it.
                continue
        return None


def operation_of(response: operations_pb2.WatchOperationResponse) -> Operation:
    """Return the operation that a message of WatchOperation holds."""
    return Operation(response.operation)


def is_done(operation: Operation) -> bool:
    """Whether nothing more will be told of it."""
    return operation.done
