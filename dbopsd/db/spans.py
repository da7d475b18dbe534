"""One CLIENT span and one duration for each statement, by the stable semantic conventions.

https://opentelemetry.io/docs/specs/semconv/database/postgresql/
"""

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from opentelemetry.metrics import Meter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from dbopsd.db.connection import Connection
from dbopsd.db.errors import DatabaseError, StatementFailed
from dbopsd.db.statement import Statement
from dbopsd.telemetry import names

_Attributes = dict[str, str | int]


class DatabaseTelemetry:
    """Makes the spans and durations of one configured database."""

    def __init__(self, database: str, tracer: Tracer, meter: Meter) -> None:
        self.database = database
        self.tracer = tracer
        self.meter = meter
        self.duration = meter.create_histogram(
            names.DB_CLIENT_OPERATION_DURATION,
            unit="s",
            description="How long a statement took, from sending it to having its last row",
            explicit_bucket_boundaries_advisory=names.DB_CLIENT_OPERATION_DURATION_BUCKETS_S,
        )

    def endpoint(self, connection: Connection) -> "Endpoint":
        """Where `connection` leads, as the attributes that every span on it carries."""
        if connection.span_attributes is None:
            connection.span_attributes = _describe_peer(connection)
        return Endpoint(self, connection.span_attributes)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The far end of one connection."""

    telemetry: DatabaseTelemetry
    attributes: _Attributes

    def statement(self, statement: Statement, *, batch_size: int | None = None) -> "StatementSpan":
        """The span of `statement`, open while the context is."""
        return StatementSpan(self, statement, batch_size)


class StatementSpan:
    """Covers one statement. A class with `__enter__`, because a generator costs twice as much."""

    __slots__ = ("_batch_size", "_endpoint", "_measured", "_span", "_started", "_statement")

    def __init__(self, endpoint: Endpoint, statement: Statement, batch_size: int | None) -> None:
        self._endpoint = endpoint
        self._statement = statement
        self._batch_size = batch_size

    def __enter__(self) -> Self:
        statement = self._statement
        # What the duration carries, too; the text and the batch's size would be a series each.
        self._measured = {
            **self._endpoint.attributes,
            names.DB_QUERY_SUMMARY: statement.summary,
        }
        attributes = self._measured.copy()
        if not statement.sensitive:
            attributes[names.DB_QUERY_TEXT] = statement.query_text
        if self._batch_size is not None:
            attributes[names.DB_OPERATION_BATCH_SIZE] = self._batch_size
        self._span: Span = self._endpoint.telemetry.tracer.start_span(
            statement.summary, kind=SpanKind.CLIENT, attributes=attributes
        )
        self._started = time.perf_counter()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(exc)

    def end(self, error: BaseException | None = None) -> None:
        """End the span now; `error` is what the statement ended with."""
        attributes: _Attributes = self._measured
        elapsed_s = time.perf_counter() - self._started
        if error is not None:
            attributes = {**attributes, **_describe(error)}
            for key in (names.ERROR_TYPE, names.DB_RESPONSE_STATUS_CODE):
                if key in attributes:
                    self._span.set_attribute(key, attributes[key])
            # The server's words may quote values: they stay out of the span.
            self._span.set_status(Status(StatusCode.ERROR, str(attributes[names.ERROR_TYPE])))
        self._endpoint.telemetry.duration.record(elapsed_s, attributes)
        self._span.end()


def _describe_peer(connection: Connection) -> _Attributes:
    info = connection.info
    # Reported by PostgreSQL 18; before, the default is the best that is known without asking.
    search_path = info.parameter_status("search_path") or "public"
    schemas = [part.strip().strip('"') for part in search_path.split(",")]
    schema = next((part for part in schemas if part and part != "$user"), "public")
    return {
        names.DB_SYSTEM_NAME: names.POSTGRESQL,
        names.DB_NAMESPACE: f"{info.dbname}|{schema}",
        names.SERVER_ADDRESS: info.host or info.hostaddr,
        names.SERVER_PORT: info.port,
    }


def _describe(error: BaseException) -> _Attributes:
    if isinstance(error, StatementFailed) and error.sqlstate:
        return {
            names.ERROR_TYPE: error.sqlstate,
            names.DB_RESPONSE_STATUS_CODE: error.sqlstate,
        }
    name = error.reason if isinstance(error, DatabaseError) else type(error).__qualname__
    return {names.ERROR_TYPE: name}
