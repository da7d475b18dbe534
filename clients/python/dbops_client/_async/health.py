"""`client.databases` and `client.health`: HealthService."""

from collections.abc import AsyncIterator
from functools import cached_property
from typing import TYPE_CHECKING

from dbops.v1 import health_pb2, health_pb2_grpc, resources_pb2

from dbops_client._async.resource import AsyncResource
from dbops_client._channel import DEFAULT_RECONNECT_S
from dbops_client._metadata import Metadata
from dbops_client._names import database_name
from dbops_client._watch import AsyncWatch

if TYPE_CHECKING:
    from dbops.v1.health_pb2_grpc import HealthServiceAsyncStub


class AsyncDatabasesClient(AsyncResource):
    """The databases that the daemon monitors."""

    @cached_property
    def _stub(self) -> "HealthServiceAsyncStub":
        return health_pb2_grpc.HealthServiceStub(self._transport.channel)

    def list(
        self, *, page_size: int = 0, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> AsyncIterator[resources_pb2.Database]:
        """Iterate over the databases, by name, over all pages.

        A page is fetched when the iteration reaches it, and `timeout_s` is for each. `page_size`
        is 1 to 1000; 0 leaves it to the server.
        """
        request = health_pb2.ListDatabasesRequest(page_size=page_size)
        return self._list(
            self._stub.ListDatabases, request, lambda page: page.databases, timeout_s, metadata
        )


class AsyncHealthClient(AsyncResource):
    """The health of the databases; `main` and `databases/main` name the same one."""

    @cached_property
    def _stub(self) -> "HealthServiceAsyncStub":
        return health_pb2_grpc.HealthServiceStub(self._transport.channel)

    async def get(
        self, database: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> health_pb2.DatabaseHealth:
        """Return the health of `database`, with every check behind it."""
        request = health_pb2.GetHealthRequest(name=database_name(database))
        return await self._transport.call(self._stub.GetHealth, request, timeout_s, metadata)

    def watch(
        self,
        database: str,
        *,
        every_probe: bool = False,
        reconnect_for_s: float = DEFAULT_RECONNECT_S,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> AsyncWatch[health_pb2.DatabaseHealth]:
        """Watch the health of `database`: its present state, then each change, without an end.

        With `every_probe` the result of each probe comes too, changed or not. While the server is
        UNAVAILABLE, from the start on, the watch reconnects, for `reconnect_for_s` seconds at
        most (0: not at all). A server that accepts the call and stays silent is a
        DeadlineExceededError after `timeout_s`. Nothing is sent before the first iteration.
        """
        request = health_pb2.WatchHealthRequest(
            name=database_name(database), every_probe=every_probe
        )
        return self._watch(
            lambda sent: self._stub.WatchHealth(request, metadata=sent),
            _health_of,
            reconnect_for_s,
            timeout_s,
            metadata,
        )


def _health_of(response: health_pb2.WatchHealthResponse) -> health_pb2.DatabaseHealth:
    return response.health
