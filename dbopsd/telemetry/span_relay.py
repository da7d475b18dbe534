"""Spans of a process without exporters, sent to another one that has some.

The process that works has a `RelayTracer`, which hands each span that has ended to `tell`, as what
JSON can hold; the other makes the same span of it with `replay`.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
)
from opentelemetry.util import types

_NOT_TOLD = SpanContext(0, 0, is_remote=False)

SpanRecord = Mapping[str, Any]


class RelayTracer(Tracer):
    """A tracer whose spans are all children of whatever `replay` is called in."""

    def __init__(self, tell: Callable[[dict[str, Any]], None]) -> None:
        self._tell = tell

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: types.Attributes = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        """Start a span; it is sent when it ends."""
        return _RelaySpan(self._tell, name, kind, attributes, start_time or time.time_ns())

    @contextmanager
    def _current(self, span: Span) -> Any:
        try:
            yield span
        except BaseException as error:
            # Its message may quote what was worked on: that stays out of spans.
            span.set_status(StatusCode.ERROR, type(error).__qualname__)
            raise
        finally:
            span.end()

    def start_as_current_span(self, name: str, *args: Any, **more: Any) -> Any:
        """Start a span for the time of the context."""
        more.pop("end_on_exit", None)
        return self._current(self.start_span(name, *args, **more))


class _RelaySpan(NonRecordingSpan):
    def __init__(
        self,
        tell: Callable[[dict[str, Any]], None],
        name: str,
        kind: SpanKind,
        attributes: types.Attributes,
        start_time: int,
    ) -> None:
        super().__init__(_NOT_TOLD)
        self._tell = tell
        self._ended = False
        self._fields: dict[str, Any] = {
            "name": name,
            "kind": kind.name,
            "attributes": dict(attributes or {}),
            "start": start_time,
            "problem": "",
        }

    def set_attribute(self, key: str, value: types.AttributeValue) -> None:
        self._fields["attributes"][key] = value

    def set_status(self, status: Any, description: str | None = None) -> None:
        code = status
        if isinstance(status, Status):
            code, description = status.status_code, status.description
        if code is StatusCode.ERROR:
            self._fields["problem"] = description or "error"

    def end(self, end_time: int | None = None) -> None:
        if not self._ended:
            self._ended = True
            self._tell({**self._fields, "end": end_time or time.time_ns()})


def replay(record: SpanRecord, tracer: Tracer, parent: Context | None = None) -> None:
    """Make the span that was recorded, a child of the current span, or of `parent`."""
    span = tracer.start_span(
        record["name"],
        parent,
        SpanKind[record["kind"]],
        record["attributes"],
        start_time=record["start"],
    )
    if record["problem"]:
        span.set_status(trace.Status(StatusCode.ERROR, record["problem"]))
    span.end(record["end"])
