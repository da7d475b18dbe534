"""Options of methods, read from the protos."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dbops.v1 import operations_pb2, options_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor

from dbopsd.security.caller import Role

# What gRPC itself brings, by what `auth.open_services` calls it. Their servicers are not ours.
_STANDARD_SERVICES: Final = {
    "grpc.health.v1.Health": "health",
    "grpc.reflection.v1.ServerReflection": "reflection",
    "grpc.reflection.v1alpha.ServerReflection": "reflection",
    "grpc.channelz.v1.Channelz": "channelz",
}
# They name an operation or a silence, which does not tell its database: their servicers look at it
# once they have read it. Here the role must be held for some database.
_BY_OPERATION: Final = frozenset(
    {
        "google.longrunning.Operations/GetOperation",
        "google.longrunning.Operations/WaitOperation",
        "google.longrunning.Operations/CancelOperation",
        "google.longrunning.Operations/DeleteOperation",
        "dbops.v1.OperationsService/WatchOperation",
        "dbops.v1.MetricsService/DeleteSilence",
    }
)


@dataclass(frozen=True, slots=True)
class Method:
    """A served method."""

    path: str
    """As it stands in the HTTP/2 `:path`: `/dbops.v1.HealthService/GetHealth`."""

    role: Role | None
    """The least one that may call it. None: none is declared, so it is denied to everybody."""

    request_type: Descriptor
    streams_requests: bool = False
    standard: str = ""
    """What `auth.open_services` calls its service; `` for all but gRPC's own services."""

    @property
    def full_name(self) -> str:
        """As OpenTelemetry and people write it: `dbops.v1.HealthService/GetHealth`."""
        return self.path.removeprefix("/")

    @property
    def own(self) -> bool:
        """Whether the servicer is dbopsd's own, which raises `DbopsError`."""
        return not self.standard

    @property
    def refused(self) -> bool:
        """Whether it is denied to everybody because it declares no role."""
        return self.role is None

    @property
    def by_operation(self) -> bool:
        """Whether its servicer itself asks for the role, on the database of what it names."""
        return self.full_name in _BY_OPERATION


def describe(services: Iterable[ServiceDescriptor]) -> dict[str, Method]:
    """Each method of `services` by its path."""
    served = list(services)
    declared = _roles_of_others(served)
    methods = (_describe(method, declared) for service in served for method in service.methods)
    return {method.path: method for method in methods}


def _describe(method: MethodDescriptor, declared: dict[str, Role]) -> Method:
    service = method.containing_service
    standard = _STANDARD_SERVICES.get(service.full_name, "")
    number = method.GetOptions().Extensions[options_pb2.role]
    role = declared.get(f"{service.full_name}/{method.name}")
    if standard:
        role = Role.VIEWER
    elif number != options_pb2.ROLE_UNSPECIFIED:
        role = Role(number)
    return Method(
        path=f"/{service.full_name}/{method.name}",
        role=role,
        request_type=method.input_type,
        streams_requests=method.client_streaming,
        standard=standard,
    )


def _roles_of_others(services: Iterable[ServiceDescriptor]) -> dict[str, Role]:
    """The roles that our protos declare for methods of protos that are not ours to annotate."""
    # Whose own file cannot refer to ours: it is named here.
    files = {operations_pb2.DESCRIPTOR.name: operations_pb2.DESCRIPTOR}
    files.update((service.file.name, service.file) for service in services)
    return {
        entry.full_name: Role(entry.role)
        for file in files.values()
        for entry in file.GetOptions().Extensions[options_pb2.method_role]
        if entry.role != options_pb2.ROLE_UNSPECIFIED
    }
