# Generated from _async/statements.py: change that, and run 'make client'.
"""`client.statements`: the statements of MetricsService."""

from collections.abc import Iterable
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from dbops.v1 import metrics_pb2, metrics_pb2_grpc
from google.protobuf.duration_pb2 import Duration

from dbops_client._errors import ConfigurationError
from dbops_client._metadata import Metadata
from dbops_client._names import database_name
from dbops_client._sync.resource import Resource

if TYPE_CHECKING:
    from dbops.v1.metrics_pb2_grpc import MetricsServiceStub


class StatementsClient(Resource):
    """The statements of the databases' servers."""

    @cached_property
    def _stub(self) -> "MetricsServiceStub":
        return metrics_pb2_grpc.MetricsServiceStub(self._transport.channel)

    def list(
        self,
        database: str,
        *,
        order: str = "",
        limit: int = 0,
        window_s: float | None = None,
        running: bool = False,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> metrics_pb2.ListStatementsResponse:
        """Return the statements of `database`'s server that cost most, the costliest first.

        `order` is TOTAL (also if empty), MEAN, CALLS, IO or TEMP, in either case. `limit` is 1 to
        1000; 0 means 20. With `window_s`, the figures are those of that many seconds until now, as
        the daemon's history has them, beside those of as long before. With `running`, those that
        run now are returned in `running`, and nothing else counts but `limit`. Raises
        ConfigurationError for another order.
        """
        request = metrics_pb2.ListStatementsRequest(
            parent=database_name(database), order=_order(order), limit=limit, running=running
        )
        if window_s is not None:
            window = Duration()
            window.FromTimedelta(timedelta(seconds=window_s))
            request.window.CopyFrom(window)
        return self._transport.call(self._stub.ListStatements, request, timeout_s, metadata)

    def explain(
        self,
        database: str,
        query_id: str,
        *,
        search_path: Iterable[str] = (),
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> metrics_pb2.ExplainStatementResponse:
        """Return the generic plan of a statement, which is not run.

        `search_path` are the schemas in which names without a schema are looked up; without one,
        those that the role which ran the statement has by its settings.
        """
        # A text is an iterable of its characters.
        schemas = (search_path,) if isinstance(search_path, str) else search_path
        request = metrics_pb2.ExplainStatementRequest(
            name=database_name(database), query_id=query_id, search_path=schemas
        )
        return self._transport.call(self._stub.ExplainStatement, request, timeout_s, metadata)


def _order(name: str) -> "metrics_pb2.ListStatementsRequest.Order.ValueType":
    known = metrics_pb2.ListStatementsRequest.Order
    if not name:
        return known.ORDER_UNSPECIFIED
    try:
        return known.Value(name.upper())
    except ValueError:
        those = ", ".join(known.keys()[1:])
        raise ConfigurationError(f"order '{name}' is none of {those}") from None
