"""The gRPC server: which services it has, how it starts and how it stops."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc.aio
from dbops.v1 import health_pb2, operations_pb2
from google.protobuf.descriptor import ServiceDescriptor

# Imported so that reflection can resolve the error details, which no service's file refers to.
from google.rpc import error_details_pb2 as _error_details_pb2  # noqa: F401
from grpc_channelz.v1 import channelz_pb2
from grpc_channelz.v1._async import ChannelzServicer
from grpc_health.v1 import health_pb2 as grpc_health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer

from dbopsd.config import AuthConfig, ServerConfig
from dbopsd.errors import ListenerUnavailable
from dbopsd.health.board import HealthBoard
from dbopsd.operations.service import Operations
from dbopsd.rpc import longrunning
from dbopsd.rpc.audit_interceptor import CallAudit
from dbopsd.rpc.auth_interceptor import CallAuthorisation
from dbopsd.rpc.connection_limit import ConnectionLimit, core_limit
from dbopsd.rpc.credentials import server_credentials
from dbopsd.rpc.first_request import FirstRequest
from dbopsd.rpc.grpc_health import GrpcHealth
from dbopsd.rpc.health_service import HealthService
from dbopsd.rpc.listen import require_bindable
from dbopsd.rpc.operation_methods import OperationMethod, by_kind
from dbopsd.rpc.operation_start import OperationStarter
from dbopsd.rpc.operations_service import OperationsService
from dbopsd.rpc.registrar import Behaviour, Registrar
from dbopsd.rpc.tracing import CallTracing
from dbopsd.security.access import Access
from dbopsd.security.audit.journal import AuditJournal
from dbopsd.security.connections import Connections
from dbopsd.telemetry.setup import Telemetry

_KEEPALIVE_MS: Final = 30_000
_KEEPALIVE_TIMEOUT_MS: Final = 10_000
_LEAST_CLIENT_PING_MS: Final = 10_000
_HANDSHAKE_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Service:
    """A service to serve. `servicer` has a method of its own for each that starts no operation."""

    descriptor: ServiceDescriptor
    servicer: Any


class RpcServer:
    """Serves the health of the databases, and `services` besides. `clock`: seconds since 1970.

    With `operations` they are served too, and all of `operation_methods`, whose services need no
    servicer unless they have other methods.
    `access` says who may call; without it everybody may do everything. `journal`, started, takes
    the records of what changes something; without it there are none.
    """

    def __init__(
        self,
        config: ServerConfig,
        board: HealthBoard,
        telemetry: Telemetry,
        *,
        services: Sequence[Service] = (),
        access: Access | None = None,
        journal: AuditJournal | None = None,
        operations: Operations | None = None,
        operation_methods: Sequence[OperationMethod[Any, Any]] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._board = board
        self._telemetry = telemetry
        self._services = services
        self._access = access or Access.load(config, AuthConfig())
        self._audit = CallAudit(journal)
        self._operations = operations
        self._operation_methods = by_kind(operation_methods)
        self._clock = clock
        self._connections = Connections(config.max_connections)
        self._connection_limit: ConnectionLimit | None = None
        self._first_request = FirstRequest(config.max_calls_per_client)
        self._server: grpc.aio.Server | None = None

    async def start(self) -> int:
        """Listen and serve; returns the port. Raises `ListenerUnavailable`."""
        address = self._config.grpc_listen
        addresses = await require_bindable(address)
        services = self._all_services()
        registrar = Registrar(
            [service.descriptor for service in services],
            CallTracing(self._telemetry),
            CallAuthorisation(self._access, self._connections),
            self._audit,
            self._first_request,
        )
        starting = self._starting()
        for service in services:
            registrar.register(service.descriptor, _behaviours(service, starting))
        server = grpc.aio.server(handlers=[registrar], options=self._options(addresses))
        try:
            if self._access.tls is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, server_credentials(self._access.tls))
        except RuntimeError as exc:
            # Taken between the check above and now.
            raise ListenerUnavailable(address, "gRPC cannot bind it") from exc
        await server.start()
        self._server = server
        self._connection_limit = ConnectionLimit(self._connections, port)
        self._connection_limit.start()
        return port

    async def stop(self, grace_s: float) -> None:
        """Take no new calls, let running ones end for `grace_s` seconds, then cancel them.

        Watches end by themselves once the board drains, so drain it first. A second call, with
        less time, hurries the first.
        """
        if self._server is not None:
            await self._server.stop(grace_s or None)
        if self._connection_limit is not None:
            await self._connection_limit.close()

    def _options(self, addresses: int) -> list[tuple[str, Any]]:
        return [
            # The core counts for each address that the host has.
            (
                "grpc.max_allowed_incoming_connections",
                max(1, core_limit(self._config.max_connections) // addresses),
            ),
            ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MS),
            ("grpc.http2.settings_timeout", _HANDSHAKE_MS),
            # Or a second daemon would share the port, and each get a part of the calls.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", int(self._config.max_message_bytes)),
            ("grpc.max_concurrent_streams", self._config.max_streams_per_connection),
            # A watch may be silent for days: find out when its caller is gone.
            ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
            # What the core really waits for the answer to a ping; it is a minute by default.
            ("grpc.http2.ping_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
            ("grpc.keepalive_permit_without_calls", 1),
            # Callers may ping as often, or they are cut off with "too many pings" (from 5 min on).
            ("grpc.http2.min_ping_interval_without_data_ms", _LEAST_CLIENT_PING_MS),
            ("grpc.enable_channelz", 1),
        ]

    def _all_services(self) -> list[Service]:
        services = [
            Service(_service(health_pb2, "HealthService"), HealthService(self._board, self._clock)),
            *self._operation_services(),
            *self._services,
        ]
        known = {service.descriptor.full_name for service in services}
        for method in self._operation_methods.values():
            descriptor = method.descriptor.containing_service
            if descriptor.full_name not in known:
                known.add(descriptor.full_name)
                services.append(Service(descriptor, None))
        services.append(Service(_service(channelz_pb2, "Channelz"), ChannelzServicer()))
        health = _service(grpc_health_pb2, "Health")
        reflection = _service(reflection_pb2, "ServerReflection")
        descriptors = [*(service.descriptor for service in services), health, reflection]
        served = [descriptor.full_name for descriptor in descriptors]
        return [
            *services,
            Service(health, GrpcHealth(self._board, served)),
            Service(reflection, ReflectionServicer(served)),
        ]

    def _operation_services(self) -> list[Service]:
        if self._operations is None:
            return []
        databases = frozenset(info.name for info in self._board.databases)
        return [
            Service(
                longrunning.SERVICE,
                longrunning.LongRunning(self._operations, self._operation_methods),
            ),
            Service(
                _service(operations_pb2, "OperationsService"),
                OperationsService(self._operations, self._operation_methods, databases),
            ),
        ]

    def _starting(self) -> dict[str, Behaviour]:
        """What the methods that start operations do, by their full names in the proto."""
        if self._operations is None:
            return {}
        starter = OperationStarter(self._operations, self._operation_methods)
        return {
            method.descriptor.full_name: starter.servicer_method(method)
            for method in self._operation_methods.values()
        }


def _behaviours(service: Service, starting: Mapping[str, Behaviour]) -> dict[str, Behaviour]:
    """What each method of a service does: it starts an operation, or asks the servicer."""
    found = {
        method.name: starting.get(method.full_name) or getattr(service.servicer, method.name, None)
        for method in service.descriptor.methods
    }
    return {name: behaviour for name, behaviour in found.items() if behaviour is not None}


def _service(module: Any, name: str) -> ServiceDescriptor:
    descriptor: ServiceDescriptor = module.DESCRIPTOR.services_by_name[name]
    return descriptor
