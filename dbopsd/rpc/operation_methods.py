"""The methods that start an operation, each joined with its kind."""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any, Final, Generic, TypeVar

import dbops.v1
from dbops.v1 import options_pb2
from google.longrunning import operations_pb2
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message
from pydantic import TypeAdapter, ValidationError

from dbopsd.errors import InvalidField
from dbopsd.operations.errors import UnknownKind
from dbopsd.operations.kind import Kind, Request
from dbopsd.rpc.codec import Codec
from dbopsd.rpc.request_json import set_fields
from dbopsd.rpc.validation import compile_validator
from dbopsd.security.caller import Role

RequestT = TypeVar("RequestT", bound=Request)
ResultT = TypeVar("ResultT")

ENVELOPE: Final = frozenset({"name", "request_id", "validate_only", "timeout"})
"""The fields that every request has that starts an operation, whatever its kind."""


@dataclass(frozen=True)
class OperationMethod(Generic[RequestT, ResultT]):
    """A kind of operation and the method that starts it. Each kind has one.

    Raises ValueError where no proto has the method, or it declares no role.
    """

    kind: Kind[RequestT, ResultT]

    method: str
    """The full name of the method, `dbops.v1.BackupService/CreateBackup`."""

    tries: bool = False
    """Whether a call with `validate_only` starts an operation, whose request has that too. The
    operation does all that it can undo, and undoes it. Otherwise such a call starts nothing."""

    role: Role = field(init=False)
    """The role that calling the method needs, and running a schedule of the kind by hand."""

    def __post_init__(self) -> None:
        number = self.descriptor.GetOptions().Extensions[options_pb2.role]
        if number == options_pb2.ROLE_UNSPECIFIED:
            raise ValueError(f"method {self.method} declares no role")
        object.__setattr__(self, "role", Role(number))

    @cached_property
    def descriptor(self) -> MethodDescriptor:
        """The descriptor of the method in the proto."""
        _load_contract()
        try:
            return descriptor_pool.Default().FindMethodByName(self.method.replace("/", "."))
        except KeyError as exc:
            raise ValueError(f"no proto has the method {self.method}") from exc

    @cached_property
    def response_type(self) -> Descriptor:
        """The type of a result, as the method's `operation_info` names it."""
        info = self.descriptor.GetOptions().Extensions[operations_pb2.operation_info]
        name = info.response_type
        if "." not in name:
            name = f"{self.descriptor.containing_service.file.package}.{name}"
        try:
            return descriptor_pool.Default().FindMessageTypeByName(name)
        except KeyError as exc:
            raise ValueError(f"no proto has the response type {name} of {self.method}") from exc

    def compile(self) -> None:
        """Raise ValueError unless request and result go together with their messages."""
        request_type = self.descriptor.input_type
        lacking = ENVELOPE - {field.name for field in request_type.fields}
        if lacking:
            raise ValueError(f"{request_type.full_name} lacks {', '.join(sorted(lacking))}")
        _ = self._requests, self._results

    def read(self, message: Message) -> RequestT:
        """The request of a validated message, checked. Raises `InvalidField` and other errors."""
        return self._checked(self._requests.decode(message))

    def role_for(self, message: Message) -> Role:
        """The role that a call with this request needs: a field may need more than its method."""
        options = [field.GetOptions() for field, _ in message.ListFields()]
        needed = [each.Extensions[options_pb2.field_role] for each in options]
        return Role(max(self.role, *needed))

    def read_json(self, fields: Mapping[str, Any], *, name: str) -> RequestT:
        """The request of a schedule on the resource `name`, checked as that of a call is.

        `fields` are protobuf's JSON. Raises what `read` does.
        """
        request_type = self.descriptor.input_type
        message: Any = message_factory.GetMessageClass(request_type)()
        set_fields(message, fields, refused=ENVELOPE)
        message.name = name
        validate = compile_validator(request_type)
        if validate is not None:
            validate(message)
        return self.read(message)

    def read_stored(self, request: str) -> RequestT:
        """The request of a schedule as it is kept, in JSON, checked as that of a call is.

        Raises what `read` does, and `UnknownKind` where another version's request is kept.
        """
        try:
            found = self._stored_requests.validate_json(request)
        except ValidationError:
            raise UnknownKind(self.kind.name) from None
        return self._checked(found)

    def encode(self, result: str) -> Message:
        """A result as the record keeps it, in JSON. Raises ValueError if it is not the kind's."""
        return self._results.encode(self._stored_results.validate_json(result))

    def _checked(self, request: RequestT) -> RequestT:
        try:
            request.check()
        except InvalidField as error:
            attribute = error.field.partition("[")[0].partition(".")[0]
            named = self._requests.field_of(attribute)
            raise replace(error, field=named + error.field[len(attribute) :]) from None
        return request

    @property
    def envelope(self) -> frozenset[str]:
        """The fields of `ENVELOPE` that the kind's request has no attribute of."""
        return ENVELOPE - {"validate_only"} if self.tries else ENVELOPE

    @cached_property
    def _requests(self) -> Codec[RequestT]:
        return Codec(self.descriptor.input_type, self.kind.request_type, ignored=self.envelope)

    @cached_property
    def _results(self) -> Codec[ResultT]:
        return Codec(self.response_type, self.kind.result_type)

    @cached_property
    def _stored_requests(self) -> TypeAdapter[RequestT]:
        return TypeAdapter(self.kind.request_type)

    @cached_property
    def _stored_results(self) -> TypeAdapter[ResultT]:
        return TypeAdapter(self.kind.result_type)


def by_kind(
    methods: Sequence[OperationMethod[Any, Any]],
) -> dict[str, OperationMethod[Any, Any]]:
    """The methods by the names of their kinds. Raises ValueError where a kind has two."""
    table = {method.kind.name: method for method in methods}
    if len(table) != len(methods):
        raise ValueError(f"two methods start one kind: {[each.kind.name for each in methods]}")
    return table


def method_of(
    kind: str, methods: Mapping[str, OperationMethod[Any, Any]]
) -> OperationMethod[Any, Any]:
    """The method that starts the kind. Raises `UnknownKind`."""
    method = methods.get(kind)
    if method is None:
        raise UnknownKind(kind)
    return method


@cache
def _load_contract() -> None:
    """Have protobuf know every proto of the contract."""
    for module in pkgutil.iter_modules(dbops.v1.__path__):
        if module.name.endswith("_pb2"):
            importlib.import_module(f"{dbops.v1.__name__}.{module.name}")
