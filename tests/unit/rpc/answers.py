"""What a caller sees of an error, and of what was measured."""

from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.sdk.metrics.export import InMemoryMetricReader


@dataclass(frozen=True)
class Answer:
    code: grpc.StatusCode
    text: str
    reason: str
    metadata: dict[str, str]
    violations: list[tuple[str, str]]


def answer_of(error: grpc.aio.AioRpcError) -> Answer:
    """The error, which must carry ErrorInfo, and the same code and text twice."""
    trailing = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert info.domain == "dbops.v1"
    for detail in status.details[1:]:
        detail.Unpack(bad_request)
    violations = [(item.field, item.description) for item in bad_request.field_violations]
    return Answer(error.code(), error.details(), info.reason, dict(info.metadata), violations)


async def refused(call: Any) -> Answer:
    """How an awaited unary call failed."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return answer_of(caught.value)


def durations(reader: InMemoryMetricReader, metric: str) -> list[tuple[dict[str, Any], int]]:
    """The attributes and the count of each series of a histogram."""
    data = reader.get_metrics_data()
    if data is None:
        return []
    return [
        (dict(point.attributes), point.count)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for found in scope.metrics
        if found.name == metric
        for point in found.data.data_points
    ]
