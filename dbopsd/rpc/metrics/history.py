"""The methods that read the history."""

import asyncio
from typing import Any, Final

from dbops.v1 import metrics_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from dbopsd.errors import DatabaseNotFound, InvalidField
from dbopsd.metrics.errors import HistoryOff
from dbopsd.metrics.history.aggregate import Aggregation
from dbopsd.metrics.history.query import Answer, History, Line, Question
from dbopsd.rpc.codec_values import enum_numbers
from dbopsd.rpc.encode import database_id
from dbopsd.rpc.metrics.snapshot_messages import TYPES
from dbopsd.rpc.times import duration, instant, seconds

_NUMBERS: Final = enum_numbers(Aggregation, metrics_pb2.QueryHistoryRequest.Aggregation.DESCRIPTOR)
_AGGREGATIONS: Final = {number: each for each, number in _NUMBERS.items()}


class HistoryMethods:
    """Answers from the history; None: none is kept."""

    def __init__(self, databases: frozenset[str], history: History | None) -> None:
        self._databases = databases
        self._history = history

    async def QueryHistory(  # noqa: N802 - gRPC's names
        self, request: metrics_pb2.QueryHistoryRequest, context: Any
    ) -> bytes:
        """The points of a metric's series. Encoded already."""
        database = database_id(request.name)
        if database not in self._databases:
            raise DatabaseNotFound(database)
        question = _question(request, database)
        if self._history is None:
            raise HistoryOff
        answer = await self._history.ask(question)
        # There may be as many as 100,000 points, and others wait meanwhile.
        return await asyncio.to_thread(lambda: _encode(answer).SerializeToString())


def _question(request: metrics_pb2.QueryHistoryRequest, database: str) -> Question:
    if not request.metric:
        raise InvalidField("metric", "is not set")
    how = _AGGREGATIONS.get(request.aggregation)
    if how is None and request.aggregation:
        raise InvalidField("aggregation", f"has the unknown value {request.aggregation}")
    if how is Aggregation.QUANTILE and not 0 <= request.quantile <= 1:
        raise InvalidField("quantile", "is not from 0 to 1")
    return Question(
        database,
        request.metric,
        dict(request.labels),
        instant(request.start_time) if request.HasField("start_time") else None,
        instant(request.end_time) if request.HasField("end_time") else None,
        seconds(request.step) if request.HasField("step") else None,
        how,
        request.quantile,
    )


def _encode(answer: Answer) -> metrics_pb2.QueryHistoryResponse:
    return metrics_pb2.QueryHistoryResponse(
        metric=answer.metric,
        type=TYPES[answer.type],
        unit=f"{answer.unit}/s" if answer.how is Aggregation.RATE else answer.unit,
        aggregation=_NUMBERS[answer.how],
        step=duration(answer.step_s),
        resolution=duration(answer.resolution_s),
        series=map(_encode_line, answer.lines),
        left_out_count=answer.left_out,
    )


def _encode_line(line: Line) -> metrics_pb2.QueryHistoryResponse.Series:
    points = zip(line.points.times.tolist(), line.points.values.tolist(), strict=True)
    return metrics_pb2.QueryHistoryResponse.Series(
        labels=line.series.label_map(),
        points=[
            metrics_pb2.QueryHistoryResponse.Point(time=_time(at), value=value)
            for at, value in points
        ],
        reset_times=[_time(at) for at in line.resets.tolist()],
    )


def _time(at_ms: int) -> Timestamp:
    return Timestamp(seconds=at_ms // 1000, nanos=at_ms % 1000 * 1_000_000)
