"""`grpc.health.v1.Health`, which load balancers, Kubernetes and gRPC clients ask.

A database's name is revealed, and answered, only if the caller may read the database. `""`, the
service names and the like tell nobody anything, and may be open to everybody.

Names: `""` and `readiness` (should traffic come here), `liveness` (does the process answer; never
whether a database does), `databases/{database}`, and the full name of each service.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final

from grpc_health.v1 import health_pb2, health_pb2_grpc

from dbopsd.errors import ServiceNotFound, ShuttingDown
from dbopsd.health.board import HealthBoard
from dbopsd.health.report import State
from dbopsd.rpc.encode import resource_name
from dbopsd.security.caller import Role, current_caller

READINESS: Final = "readiness"
LIVENESS: Final = "liveness"
_DATABASES: Final = resource_name("")

_Response = health_pb2.HealthCheckResponse
# Made once: an answer is the same message every time.
_UNKNOWN: Final = _Response(status=_Response.UNKNOWN)
_SERVING: Final = _Response(status=_Response.SERVING)
_NOT_SERVING: Final = _Response(status=_Response.NOT_SERVING)
_SERVICE_UNKNOWN: Final = _Response(status=_Response.SERVICE_UNKNOWN)

_OF_STATE: Final = {
    State.HEALTHY: _SERVING,
    State.DEGRADED: _SERVING,
    State.UNHEALTHY: _NOT_SERVING,
    State.UNKNOWN: _UNKNOWN,
}


def asks_for_databases(request: Any) -> bool:
    """Whether the answer depends on which databases the caller may see."""
    if isinstance(request, health_pb2.HealthListRequest):
        return True
    return str(getattr(request, "service", "")).startswith(_DATABASES)


class GrpcHealth(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Answers from the board alone. `services` are the full names of what the server serves."""

    def __init__(self, board: HealthBoard, services: Iterable[str]) -> None:
        self._board = board
        self._answers: dict[str, Callable[[], health_pb2.HealthCheckResponse]] = {
            "": self._readiness,
            READINESS: self._readiness,
            LIVENESS: lambda: _SERVING,
            **dict.fromkeys(services, self._accepting),
        }
        self._databases = {
            resource_name(info.name): (info.name, self._database(info.name))
            for info in board.databases
        }

    async def Check(  # noqa: N802 - gRPC's names
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> health_pb2.HealthCheckResponse:
        """The present status. Raises `ServiceNotFound`."""
        answer = self._answer(request.service)
        if answer is None:
            raise ServiceNotFound(request.service)
        return answer()

    async def List(  # noqa: N802
        self, request: health_pb2.HealthListRequest, context: Any
    ) -> health_pb2.HealthListResponse:
        """The present status of every name that the caller may know."""
        return health_pb2.HealthListResponse(
            statuses={
                name: answer()
                for name in (*self._answers, *self._databases)
                if (answer := self._answer(name)) is not None
            }
        )

    async def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """The present status and each change, until the daemon stops.

        An unknown name is SERVICE_UNKNOWN and the stream stays open, as the protocol asks: it is
        then closed with the daemon.
        """
        answer = self._answer(request.service) or (lambda: _SERVICE_UNKNOWN)
        sent: health_pb2.HealthCheckResponse | None = None
        async for _ in self._board.changes():
            present = answer()
            if present is not sent:
                sent = present
                yield present
        raise ShuttingDown

    def _answer(self, service: str) -> Callable[[], health_pb2.HealthCheckResponse] | None:
        """What answers for the name; None: there is no such one that the caller may see."""
        answer = self._answers.get(service)
        if answer is not None:
            return answer
        database, answer = self._databases.get(service, ("", None))
        return answer if current_caller.get().may(Role.VIEWER, database) else None

    def _readiness(self) -> health_pb2.HealthCheckResponse:
        return _SERVING if self._board.ready else _NOT_SERVING

    def _accepting(self) -> health_pb2.HealthCheckResponse:
        return _NOT_SERVING if self._board.leaving else _SERVING

    def _database(self, name: str) -> Callable[[], health_pb2.HealthCheckResponse]:
        return lambda: _OF_STATE[self._board.report(name).state]
