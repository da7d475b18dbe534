"""`client.advice`: the advice of MetricsService."""

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from dbops.v1 import metrics_pb2, metrics_pb2_grpc

from dbops_client._async.resource import AsyncResource
from dbops_client._metadata import Metadata
from dbops_client._names import database_name

if TYPE_CHECKING:
    from dbops.v1.metrics_pb2_grpc import MetricsServiceAsyncStub

_PAGE_SIZE = 1000


class AsyncAdviceClient(AsyncResource):
    """What could be done about the databases. Nothing of it is ever applied."""

    @cached_property
    def _stub(self) -> "MetricsServiceAsyncStub":
        return metrics_pb2_grpc.MetricsServiceStub(self._transport.channel)

    async def list(
        self,
        database: str,
        *,
        kinds: Iterable[str] = (),
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> metrics_pb2.ListAdviceResponse:
        """Return the advice of all pages about `database`, and the gaps: what was not judged.

        The database is judged now; `timeout_s` is for each page of 1000. `kinds` chooses kinds
        such as `unused_index`; none: every one.
        """
        # A text is an iterable of its characters; an iterator is empty by the second page.
        wanted = (kinds,) if isinstance(kinds, str) else tuple(kinds)
        extra = tuple(metadata)
        whole = metrics_pb2.ListAdviceResponse()
        token = ""
        while True:
            request = metrics_pb2.ListAdviceRequest(
                parent=database_name(database),
                kinds=wanted,
                page_size=_PAGE_SIZE,
                page_token=token,
            )
            page = await self._transport.call(self._stub.ListAdvice, request, timeout_s, extra)
            whole.advice.extend(page.advice)
            if not token:
                whole.gaps.extend(page.gaps)
            token = page.next_page_token
            if not token:
                return whole

    async def get(
        self,
        database: str,
        advice: str,
        *,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> metrics_pb2.Advice:
        """Return a piece of advice about `database` that holds now, by its id."""
        request = metrics_pb2.GetAdviceRequest(name=f"{database_name(database)}/advice/{advice}")
        return await self._transport.call(self._stub.GetAdvice, request, timeout_s, metadata)
