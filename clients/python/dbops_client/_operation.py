"""The state of a long-running operation, unpacked: no I/O."""

from typing import Any, Generic, TypeVar

from dbops.v1 import operations_pb2
from google.longrunning import operations_pb2 as longrunning_pb2
from google.protobuf import any_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from dbops_client._errors import DbopsError, error_from_status, operation_not_done

_Result = TypeVar("_Result", bound=Message)
_Result_co = TypeVar("_Result_co", bound=Message, covariant=True)

# What every error may carry as a detail, such as ErrorInfo; never a result.
_ERROR_DETAILS = "google.rpc."


class OperationState(Generic[_Result_co]):
    """A `google.longrunning.Operation` as the server last sent it.

    `result_type` is the type of its result. Where that is not known it is `Message`, and the result
    has the type that the server names, if the generated package has it.
    """

    def __init__(self, message: longrunning_pb2.Operation, result_type: type[_Result_co]) -> None:
        self._message = message
        self._result_type = result_type

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} {'done' if self.done else 'not done'}>"

    @property
    def message(self) -> longrunning_pb2.Operation:
        """The message that the server sent. Do not change it."""
        return self._message

    @property
    def name(self) -> str:
        """The resource name, `operations/{operation}`."""
        return str(self._message.name)

    @property
    def done(self) -> bool:
        """Whether it has ended: with a result or with an error."""
        return bool(self._message.done)

    @property
    def metadata(self) -> operations_pb2.OperationMetadata:
        """Its database, stage and progress; empty if the server is not dbopsd."""
        metadata = operations_pb2.OperationMetadata()
        self._message.metadata.Unpack(metadata)
        return metadata

    @property
    def error(self) -> DbopsError | None:
        """Why it ended without a result: the exception that `result` raises. None otherwise."""
        if not self._message.HasField("error"):
            return None
        return error_from_status(self._message.error)

    @property
    def partial_result(self) -> _Result_co | None:
        """The result of a failed operation, as far as it came, where it reports one.

        The comment of the method that starts it says so. None if it has not failed, or if nothing
        of the type of its result came with the error.
        """
        for detail in self._message.error.details:
            # The error stands without a detail that cannot be read.
            if (result := _unpacked(detail, self._result_type)) is not None:
                return result
        return None

    def _unpacked_result(self) -> _Result_co:
        if (error := self.error) is not None:
            raise error
        if not self.done:
            raise operation_not_done(self.name)
        result = _unpacked(self._message.response, self._result_type)
        if result is None:
            name = self.name or "the operation"
            raise TypeError(f"{name} ended with {self._found()}, not with {self._expected()}")
        return result

    def _found(self) -> str:
        name = self._message.response.TypeName()
        return f"a {name}" if name else "no result"

    def _expected(self) -> str:
        if self._result_type is Message:
            return "a message that this client can read"
        return f"a {self._result_type.DESCRIPTOR.full_name} that it can read"

    def _keep(self, message: longrunning_pb2.Operation) -> None:
        # An answer that was overtaken by another must not undo the end.
        if not self.done:
            self._message = message


def is_done(operation: OperationState[Any]) -> bool:
    """Whether the operation has ended, so that no further state follows."""
    return operation.done


def _unpacked(packed: any_pb2.Any, message_type: type[_Result]) -> _Result | None:
    """Return the message of that type; None if it is of another, unknown or cannot be read."""
    result_type = _known_type(packed) if message_type is Message else message_type
    if result_type is None:
        return None
    result = result_type()
    try:
        return result if packed.Unpack(result) else None
    except DecodeError:
        return None


def _known_type(packed: any_pb2.Any) -> type[Any] | None:
    """Return the class of the message that is packed; None if no imported module has it."""
    name = packed.TypeName()
    if not name or name.startswith(_ERROR_DETAILS):
        return None
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(name)
    except KeyError:
        return None
    return message_factory.GetMessageClass(descriptor)
