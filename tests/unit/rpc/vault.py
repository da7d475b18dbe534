"""A service of package dbops.v1 whose requests are as mutating ones are, made without protoc."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from dbops.v1 import options_pb2, resources_pb2
from google.api import field_behavior_pb2, resource_pb2
from google.longrunning import operations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from dbopsd.rpc.server import Service

_Field = descriptor_pb2.FieldDescriptorProto
PACKAGE = "dbops.v1.VaultService"


def _build() -> None:
    file = descriptor_pb2.FileDescriptorProto(
        name="tests/vault.proto",
        package="dbops.v1",
        syntax="proto3",
        dependency=[
            resources_pb2.DESCRIPTOR.name,
            options_pb2.DESCRIPTOR.name,
            field_behavior_pb2.DESCRIPTOR.name,
            resource_pb2.DESCRIPTOR.name,
            operations_pb2.DESCRIPTOR.name,
        ],
    )
    request = file.message_type.add(name="VaultRequest")
    for number, (name, kind, repeated) in enumerate(
        (
            ("parent", _Field.TYPE_STRING, False),
            ("name", _Field.TYPE_STRING, False),
            ("names", _Field.TYPE_STRING, True),
            ("request_id", _Field.TYPE_STRING, False),
            ("validate_only", _Field.TYPE_BOOL, False),
            ("passphrase", _Field.TYPE_STRING, False),
        ),
        1,
    ):
        field = request.field.add(
            name=name,
            number=number,
            type=kind,
            label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL,
        )
        if name == "parent":
            options = field.options.Extensions
            options[resource_pb2.resource_reference].type = "dbops.v1/Database"
    must = request.field.add(
        name="must", number=7, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL
    )
    must.options.Extensions[field_behavior_pb2.field_behavior].append(field_behavior_pb2.REQUIRED)
    service = file.service.add(name="VaultService")
    for name, role, requests, responses in (
        ("Open", options_pb2.ADMIN, False, False),
        ("Look", options_pb2.VIEWER, False, False),
        ("Drain", options_pb2.OPERATOR, False, True),
        ("Fill", options_pb2.OPERATOR, True, False),
        ("Swap", options_pb2.OPERATOR, True, True),
        ("Unruled", None, False, False),
    ):
        method = service.method.add(
            name=name,
            input_type=".dbops.v1.VaultRequest",
            output_type=".google.longrunning.Operation",
            client_streaming=requests,
            server_streaming=responses,
        )
        if role is not None:
            method.options.Extensions[options_pb2.role] = role
    # Through its bytes: extensions of options are only known to the pool's own copy.
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())


_build()
_FILE = descriptor_pool.Default().FindFileByName("tests/vault.proto")
SERVICE = _FILE.services_by_name["VaultService"]
VaultRequest: Any = message_factory.GetMessageClass(_FILE.message_types_by_name["VaultRequest"])


class Vault:
    """The servicer. What `work` does, in every method, is the test's to say."""

    def __init__(self) -> None:
        self.calls = 0
        self.work: Callable[[Any, Any], Awaitable[Any]] = self._start

    async def _start(self, request: Any, context: Any) -> Any:
        return operations_pb2.Operation(name="operations/42")

    async def Open(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.calls += 1
        return await self.work(request, context)

    async def Drain(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        self.calls += 1
        for _ in range(3):
            yield await self.work(request, context)

    Look = Unruled = Fill = Open
    Swap = Drain

    def service(self) -> Service:
        return Service(SERVICE, self)
