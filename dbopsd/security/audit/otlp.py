"""A copy of each audit record as an OTLP log record: what nobody on this machine can change."""

from datetime import datetime
from typing import Final

from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    set_span_in_context,
)

from dbopsd.security.audit.journal import Sink
from dbopsd.security.audit.writer import Written

ATTRIBUTE_PREFIX: Final = "dbops.audit."
_UNHEEDED: Final = frozenset({"Break", "Gap", "Refused"})


def otlp_sink(logger: Logger) -> Sink:
    """Sends each record: its line as the body, so that hashes compare, its fields as attributes.

    Sending is `logger`'s, later and elsewhere: nothing here waits or fails for a collector.
    """

    def send(written: Written) -> None:
        body = written.record.body()
        attributes: dict[str, str | int | bool] = {
            f"{ATTRIBUTE_PREFIX}sequence": written.link.sequence,
            f"{ATTRIBUTE_PREFIX}hash": written.link.hash,
        }
        for name, value in body.items():
            if isinstance(value, dict):
                for key, inner in value.items():
                    attributes[f"{ATTRIBUTE_PREFIX}{name}.{key}"] = inner
            else:
                attributes[f"{ATTRIBUTE_PREFIX}{name}"] = value
        warn = type(written.record).__name__ in _UNHEEDED
        logger.emit(
            LogRecord(
                timestamp=_nanoseconds(written.record.time),
                context=_trace(str(body.get("trace_id", ""))),
                severity_number=SeverityNumber.WARN if warn else SeverityNumber.INFO,
                severity_text="WARN" if warn else "INFO",
                body=written.line,
                attributes=attributes,
                event_name=f"{ATTRIBUTE_PREFIX}{written.record.event}",
            )
        )

    return send


def _nanoseconds(time: str) -> int:
    moment = datetime.fromisoformat(time)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def _trace(trace_id: str) -> Context:
    """A context that joins the record to its call's trace, where that had one."""
    if not trace_id:
        return Context()
    span = SpanContext(int(trace_id, 16), 0, is_remote=False, trace_flags=TraceFlags(1))
    return set_span_in_context(NonRecordingSpan(span), Context())
