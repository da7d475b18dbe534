"""`dbops.v1.HealthService`."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from dbops.v1 import health_pb2, health_pb2_grpc

from dbopsd.errors import ShuttingDown
from dbopsd.health.board import HealthBoard
from dbopsd.rpc.encode import database_id, encode_database, encode_health
from dbopsd.rpc.paging import paginate
from dbopsd.security.caller import Role, current_caller


class HealthService(health_pb2_grpc.HealthServiceServicer):
    """Answers from the board alone. `clock` gives seconds since 1970."""

    def __init__(self, board: HealthBoard, clock: Callable[[], float]) -> None:
        self._board = board
        self._clock = clock

    async def ListDatabases(  # noqa: N802 - gRPC's names
        self, request: health_pb2.ListDatabasesRequest, context: Any
    ) -> health_pb2.ListDatabasesResponse:
        """A page of the configured databases, of those that the caller may see."""
        caller = current_caller.get()
        page = paginate(
            [info for info in self._board.databases if caller.may(Role.VIEWER, info.name)],
            key=lambda info: info.name,
            of="ListDatabases",
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return health_pb2.ListDatabasesResponse(
            databases=[encode_database(info, self._board.report(info.name)) for info in page.items],
            next_page_token=page.next_page_token,
        )

    async def GetHealth(  # noqa: N802
        self, request: health_pb2.GetHealthRequest, context: Any
    ) -> health_pb2.DatabaseHealth:
        """The newest report of a database."""
        return encode_health(self._board.report(database_id(request.name)), self._clock())

    async def WatchHealth(  # noqa: N802
        self, request: health_pb2.WatchHealthRequest, context: Any
    ) -> AsyncIterator[health_pb2.WatchHealthResponse]:
        """The newest report of a database, and each that differs, until the daemon stops."""
        reports = self._board.watch(database_id(request.name), every_probe=request.every_probe)
        async for report in reports:
            yield health_pb2.WatchHealthResponse(health=encode_health(report, self._clock()))
        raise ShuttingDown
