"""The methods that start an operation: what each kind needs, and what its result looks like."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

from dbops.v1 import options_pb2
from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from pydantic import TypeAdapter

from dbopsd.operations.errors import UnknownKind
from dbopsd.operations.kind import Kind
from dbopsd.security.caller import Role

RequestT = TypeVar("RequestT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class OperationMethod(Generic[RequestT, ResultT]):
    """The method of the contract that starts operations of a kind; each kind has one.

    Raises ValueError where no imported proto has the method, or it declares no role.
    """

    kind: Kind[RequestT, ResultT]

    method: str
    """Its full name, `dbops.v1.BackupService/CreateBackup`."""

    encode_result: Callable[[ResultT], Message]
    """The kind's result as the `response_type` that the method names."""

    role: Role = field(init=False)
    """The role that calling the method needs, and running a schedule of the kind by hand."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "role", _role_of(self.method))

    def encode(self, result: str) -> Message:
        """A result as the record keeps it, in JSON. Raises ValueError if it is not the kind's."""
        return self.encode_result(self._results.validate_json(result))

    @cached_property
    def _results(self) -> TypeAdapter[ResultT]:
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


def _role_of(method: str) -> Role:
    try:
        found = descriptor_pool.Default().FindMethodByName(method.replace("/", "."))
    except KeyError as exc:
        raise ValueError(f"no imported proto has the method {method}") from exc
    number = found.GetOptions().Extensions[options_pb2.role]
    if number == options_pb2.ROLE_UNSPECIFIED:
        raise ValueError(f"method {method} declares no role")
    return Role(number)
