"""The daemon's log on standard error: one line or one JSON object per event."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

from opentelemetry import trace

from dbopsd.config import TelemetryConfig
from dbopsd.telemetry.redact import redact

# Libraries whose `info` tells people nothing about their databases.
_QUIET: Final = (
    "dbos",
    "aiohttp",
    "asyncio",
    "grpc",
    "opentelemetry",
    "psycopg",
    "stamina",
    "urllib3",
)

# What a LogRecord always has: anything else came through `extra=`.
_STANDARD_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def set_up_logging(config: TelemetryConfig, *, stream: TextIO | None = None) -> None:
    """Send every logger's lines to `stream` (standard error) in the configured format and level.

    Replaces what was set up before. Other libraries speak from `warning` on, or even `error`, all
    of it at `debug`.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if config.log_format == "json" else TextFormatter())
    level = logging.getLevelNamesMapping()[config.log_level.upper()]
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _QUIET:
        quiet = logging.NOTSET if level == logging.DEBUG else max(level, logging.WARNING)
        logging.getLogger(name).setLevel(quiet)
    if level > logging.DEBUG:
        # A line for each attempt to connect while a server is away; the prober says it once.
        logging.getLogger("psycopg").setLevel(max(level, logging.ERROR))
        # A traceback for each look at a control store that is away, ten times a second, and a line
        # for each attempt that was cancelled; a worker says both itself.
        logging.getLogger("dbos").setLevel(max(level, logging.ERROR))
        # A traceback for each request that is not HTTP, which any port scanner sends.
        logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


class TextFormatter(logging.Formatter):
    """`2026-01-02T03:04:05.678Z INFO dbopsd.app: text [trace=… span=…]`, redacted."""

    def format(self, record: logging.LogRecord) -> str:
        # A line break in a message could pass for a line of its own.
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        line = f"{_timestamp(record)} {record.levelname} {record.name}: {message}"
        ids = _span_ids()
        if ids is not None:
            line += f" [trace={ids[0]} span={ids[1]}]"
        traceback = _traceback(self, record)
        return redact(f"{line}\n{traceback}" if traceback else line)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, trace_id, span_id, exception, extras.

    Every text in it is redacted.
    """

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": _timestamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        ids = _span_ids()
        if ids is not None:
            entry["trace_id"], entry["span_id"] = ids
        traceback = _traceback(self, record)
        if traceback:
            entry["exception"] = redact(traceback)
        for name, value in vars(record).items():
            if name not in _STANDARD_FIELDS and name not in entry:
                # `password=value` as a whole, so that a secret under a telling name is caught.
                entry[name] = redact(f"{name}={value}").removeprefix(f"{name}=")
        return json.dumps(entry, ensure_ascii=False)


def _timestamp(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _span_ids() -> tuple[str, str] | None:
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info and record.exc_info[0] is not None:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)
