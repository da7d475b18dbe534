"""A service of package dbops.v1 that does what a test tells it to, made without protoc."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from dbops.v1 import options_pb2
from google.api import field_behavior_pb2, resource_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from dbopsd.rpc.server import Service

_Field = descriptor_pb2.FieldDescriptorProto
REQUIRED, REFERENCE = "required", "reference"


def _field(
    name: str, number: int, kind: int, *marks: str, type_name: str = "", repeated: bool = False
) -> _Field:
    field = _Field(
        name=name,
        number=number,
        type=kind,
        type_name=type_name or None,
        label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL,
    )
    if REQUIRED in marks:
        field.options.Extensions[field_behavior_pb2.field_behavior].append(
            field_behavior_pb2.REQUIRED
        )
    if REFERENCE in marks:
        field.options.Extensions[resource_pb2.resource_reference].type = "dbops.v1/Database"
    return field


def _build() -> None:
    file = descriptor_pb2.FileDescriptorProto(
        name="tests/probe.proto",
        package="dbops.v1",
        syntax="proto3",
        dependency=[
            "dbops/v1/resources.proto",
            "dbops/v1/options.proto",
            "google/api/field_behavior.proto",
            "google/api/resource.proto",
        ],
    )
    string, message = _Field.TYPE_STRING, _Field.TYPE_MESSAGE
    inner = file.message_type.add(name="ProbeInner")
    inner.field.append(_field("name", 1, string, REQUIRED, REFERENCE))
    inner.field.append(_field("again", 2, message, type_name=".dbops.v1.ProbeInner"))
    request = file.message_type.add(name="ProbeRequest")
    request.field.extend(
        [
            _field("text", 1, string, REQUIRED),
            _field("optional_name", 2, string, REFERENCE),
            _field("names", 3, string, REFERENCE, repeated=True),
            _field("inner", 4, message, type_name=".dbops.v1.ProbeInner"),
            _field("inners", 5, message, type_name=".dbops.v1.ProbeInner", repeated=True),
            _field("must", 6, message, REQUIRED, type_name=".dbops.v1.ProbeInner"),
        ]
    )
    file.message_type.add(name="ProbeText").field.append(_field("text", 1, string))
    service = file.service.add(name="ProbeService")
    for name, request_type, requests, responses in (
        ("Validate", "ProbeRequest", False, False),
        ("Ask", "ProbeText", False, False),
        ("Tell", "ProbeText", False, True),
        ("Gather", "ProbeText", True, False),
        ("Chat", "ProbeText", True, True),
        ("NoRole", "ProbeText", False, False),
    ):
        method = service.method.add(
            name=name,
            input_type=f".dbops.v1.{request_type}",
            output_type=".dbops.v1.ProbeText",
            client_streaming=requests,
            server_streaming=responses,
        )
        if name != "NoRole":
            method.options.Extensions[options_pb2.role] = options_pb2.OPERATOR
    # Through its bytes: extensions of options are only known to the pool's own copy.
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())


_build()
DESCRIPTOR = descriptor_pool.Default().FindFileByName("tests/probe.proto")
SERVICE = DESCRIPTOR.services_by_name["ProbeService"]


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name[name])


ProbeInner, ProbeRequest, ProbeText = (
    _message(name) for name in ("ProbeInner", "ProbeRequest", "ProbeText")
)


class Probe:
    """The servicer. What `ask` and `tell` do is the test's to say."""

    def __init__(self) -> None:
        self.ask: Callable[[Any, Any], Awaitable[Any]] = self.Validate
        self.tell: Callable[[Any, Any], AsyncIterator[Any]] = self._tell

    async def Validate(self, request: Any, context: Any) -> Any:  # noqa: N802
        return ProbeText(text=request.text)

    async def Ask(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self.ask(request, context)

    async def Tell(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        async for response in self.tell(request, context):
            yield response

    async def Gather(self, requests: AsyncIterator[Any], context: Any) -> Any:  # noqa: N802
        return ProbeText(text=" ".join([request.text async for request in requests]))

    async def Chat(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:  # noqa: N802
        async for request in requests:
            yield ProbeText(text=request.text)

    NoRole = Validate

    async def _tell(self, request: Any, context: Any) -> AsyncIterator[Any]:
        for word in request.text.split():
            yield ProbeText(text=word)

    def service(self) -> Service:
        return Service(SERVICE, self)
