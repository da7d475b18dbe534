"""Spans of the statements on the control store.

Only where a span is current: a request's or an operation's. Heartbeats and what they look for, some
statements a second for ever, are part of no trace and would drown those that are.
"""

from typing import Any, Final

import sqlalchemy as sa
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from sqlalchemy import event

from dbopsd.telemetry import names

_SPAN: Final = "dbopsd_span"


def trace_statements(engine: sa.Engine, tracer: Tracer) -> None:
    """Give each statement of `engine` that runs within a recorded span one of its own."""
    system = engine.dialect.name

    def before(
        _connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: Any
    ) -> None:
        parent = trace.get_current_span()
        if context is None or not parent.is_recording():
            return
        summary = " ".join(statement.split()[:1]).upper()
        span = tracer.start_span(
            f"{summary} control store",
            kind=SpanKind.CLIENT,
            attributes={
                names.DB_SYSTEM_NAME: system,
                names.DB_QUERY_SUMMARY: f"{summary} control store",
                names.DB_QUERY_TEXT: statement,
            },
        )
        setattr(context, _SPAN, span)

    def after(
        _connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: Any
    ) -> None:
        _end(context, None)

    def failed(exception_context: Any) -> None:
        _end(exception_context.execution_context, exception_context.original_exception)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    event.listen(engine, "handle_error", failed)


def _end(context: Any, error: BaseException | None) -> None:
    span: Span | None = getattr(context, _SPAN, None)
    if span is None:
        return
    setattr(context, _SPAN, None)
    if error is not None:
        span.set_attribute(names.ERROR_TYPE, type(error).__name__)
        span.set_status(Status(StatusCode.ERROR))
    span.end()
