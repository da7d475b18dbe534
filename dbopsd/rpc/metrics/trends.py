"""The method that lists trends."""

from typing import Any, Final

from dbops.v1 import metrics_pb2

from dbopsd.errors import DatabaseNotFound
from dbopsd.metrics.errors import HistoryOff
from dbopsd.metrics.trends.trends import Trend, TrendKind, Trends
from dbopsd.rpc.codec_values import enum_numbers
from dbopsd.rpc.encode import database_id
from dbopsd.rpc.paging import paginate
from dbopsd.rpc.times import duration, timestamp

_KINDS: Final = enum_numbers(TrendKind, metrics_pb2.Trend.Kind.DESCRIPTOR)


class TrendMethods:
    """Answers from the history; None: none is kept."""

    def __init__(self, databases: frozenset[str], trends: Trends | None) -> None:
        self._of = databases
        self._trends = trends

    async def ListTrends(  # noqa: N802 - gRPC's name
        self, request: metrics_pb2.ListTrendsRequest, context: Any
    ) -> metrics_pb2.ListTrendsResponse:
        """A page of the trends of a database, the most pressing first."""
        database = database_id(request.parent)
        if database not in self._of:
            raise DatabaseNotFound(database)
        if self._trends is None:
            raise HistoryOff
        page = paginate(
            await self._trends.current(database),
            key=lambda each: each.rank,
            of="ListTrends",
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return metrics_pb2.ListTrendsResponse(
            trends=map(_encode, page.items), next_page_token=page.next_page_token
        )


def _encode(trend: Trend) -> metrics_pb2.Trend:
    return metrics_pb2.Trend(
        kind=_KINDS[trend.kind],
        metric=trend.series.metric.name,
        labels=trend.series.label_map(),
        message=trend.message,
        value=trend.value,
        unit=trend.unit,
        growth_per_day=trend.growth_per_day,
        limit=trend.limit,
        exhaust_time=timestamp(trend.exhaust_at),
        usual_value=trend.usual,
        window=duration(trend.window_s),
    )
