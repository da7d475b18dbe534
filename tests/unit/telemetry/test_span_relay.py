"""Spans of a process without exporters are, in another one, as if that had made them itself."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, Status, StatusCode

from dbopsd.telemetry.span_relay import RelayTracer, replay
from tests.support.recording import Recording


@pytest.fixture
def recording() -> Iterator[Recording]:
    recording = Recording()
    yield recording
    recording.close()


@pytest.fixture
def relayed() -> list[dict[str, Any]]:
    """What was relayed, as it comes out of a pipe."""
    return []


@pytest.fixture
def tracer(relayed: list[dict[str, Any]]) -> RelayTracer:
    return RelayTracer(lambda each: relayed.append(json.loads(json.dumps(each))))


def replayed(recording: Recording, relayed: list[dict[str, Any]]) -> list[Any]:
    for each in relayed:
        replay(each, recording.telemetry.tracer)
    return recording.all_spans()


def test_a_span_arrives_as_it_was(
    recording: Recording, tracer: RelayTracer, relayed: list[dict[str, Any]]
) -> None:
    before = time.time_ns()
    span = tracer.start_span("COPY t", kind=SpanKind.CLIENT, attributes={"db.name": "main"})
    span.set_attribute("rows", 5)
    assert relayed == []
    span.end()
    with recording.telemetry.tracer.start_as_current_span("import copy") as parent:
        replay(relayed[0], recording.telemetry.tracer)
    made = next(each for each in recording.all_spans() if each.name == "COPY t")
    assert made.kind is SpanKind.CLIENT
    assert made.attributes == {"db.name": "main", "rows": 5}
    assert made.status.status_code is StatusCode.UNSET
    assert made.parent.span_id == parent.get_span_context().span_id
    assert before <= made.start_time <= made.end_time <= time.time_ns()


def test_what_failed_says_so(
    recording: Recording, tracer: RelayTracer, relayed: list[dict[str, Any]]
) -> None:
    span = tracer.start_span("one")
    span.set_status(Status(StatusCode.ERROR, "42P01"))
    span.end()
    span = tracer.start_span("two")
    span.set_status(StatusCode.ERROR, "by its code")
    span.end()
    span = tracer.start_span("three")
    span.set_status(Status(StatusCode.OK))
    span.end()
    statuses = {each.name: each.status for each in replayed(recording, relayed)}
    assert [
        (statuses[name].status_code, statuses[name].description) for name in ("one", "two", "three")
    ] == [
        (StatusCode.ERROR, "42P01"),
        (StatusCode.ERROR, "by its code"),
        (StatusCode.UNSET, None),
    ]


def test_a_context_ends_its_span_whatever_happens(
    recording: Recording, tracer: RelayTracer, relayed: list[dict[str, Any]]
) -> None:
    with tracer.start_as_current_span("well", attributes={"a": 1}) as span:
        span.set_attribute("b", "c")
    with pytest.raises(ValueError, match="no"), tracer.start_as_current_span("badly"):
        raise ValueError("no")
    spans = {each.name: each for each in replayed(recording, relayed)}
    assert spans["well"].attributes == {"a": 1, "b": "c"}
    assert spans["badly"].status.status_code is StatusCode.ERROR
    assert spans["badly"].status.description == "ValueError"


def test_ending_twice_is_ending_once(tracer: RelayTracer, relayed: list[dict[str, Any]]) -> None:
    span = tracer.start_span("once")
    span.end()
    span.end()
    assert len(relayed) == 1
