"""The methods about the statements of a server."""

from typing import Any

from dbops.v1 import metrics_pb2

from dbopsd.errors import InvalidField
from dbopsd.metrics.statements.plan import Plans
from dbopsd.metrics.statements.statements import ServerStatement, Statements
from dbopsd.metrics.statements.window import Figures, Order
from dbopsd.rpc.encode import database_id
from dbopsd.rpc.metrics.sessions import encode_session
from dbopsd.rpc.times import duration, seconds, timestamp
from dbopsd.security.caller import Role, current_caller


class StatementMethods:
    """Asks the database at each call, and the history for windows."""

    def __init__(self, statements: Statements, plans: Plans) -> None:
        self._statements = statements
        self._plans = plans

    async def ListStatements(  # noqa: N802 - gRPC's names
        self, request: metrics_pb2.ListStatementsRequest, context: Any
    ) -> metrics_pb2.ListStatementsResponse:
        """The statements that cost most, or those that run now."""
        database = database_id(request.parent)
        if request.running:
            running = await self._statements.running(database, limit=request.limit)
            return metrics_pb2.ListStatementsResponse(
                running=[encode_session(each, database) for each in running]
            )
        order = _order(request.order)
        found = await self._statements.list(
            database,
            order,
            limit=request.limit,
            window_s=seconds(request.window) if request.HasField("window") else None,
            with_texts=current_caller.get().may(Role.OPERATOR, database),
        )
        return metrics_pb2.ListStatementsResponse(
            statements=map(_encode, found.statements),
            window=None if found.window_s is None else duration(found.window_s),
            reset_time=timestamp(found.reset_at.timestamp() if found.reset_at else None),
            dropped_count=found.dropped,
            not_known=found.not_known,
        )

    async def ExplainStatement(  # noqa: N802
        self, request: metrics_pb2.ExplainStatementRequest, context: Any
    ) -> metrics_pb2.ExplainStatementResponse:
        """The plan of a statement, which is not run."""
        plan = await self._plans.explain(
            database_id(request.name), request.query_id, request.search_path
        )
        return metrics_pb2.ExplainStatementResponse(
            text=plan.text,
            plan=plan.lines,
            plan_json=plan.json,
            total_cost=plan.total_cost,
            search_path=plan.search_path,
            role=plan.role,
        )


def _order(number: int) -> Order:
    try:
        return Order(number or Order.TOTAL.value)
    except ValueError:
        raise InvalidField("order", "is no order of statements") from None


def _encode(statement: ServerStatement) -> metrics_pb2.Statement:
    return metrics_pb2.Statement(
        query_id=statement.query_id,
        postgres_database=statement.postgres_database,
        role=statement.role,
        text=statement.text,
        text_cut=statement.text_cut,
        figures=_figures(statement.figures),
        earlier_figures=None if statement.earlier is None else _figures(statement.earlier),
        total_time_ratio=min(max(statement.ratio, 0.0), 1.0),
        max_duration=duration(statement.max_s),
        stddev_duration=duration(statement.stddev_s),
    )


def _figures(figures: Figures) -> metrics_pb2.Statement.Figures:
    mean_s = figures.mean_s
    return metrics_pb2.Statement.Figures(
        calls=round(figures.calls),
        total_duration=duration(figures.total_s),
        mean_duration=None if mean_s is None else duration(mean_s),
        rows=round(figures.rows),
        blocks_hit=round(figures.blocks_hit),
        blocks_read=round(figures.blocks_read),
        blocks_written=round(figures.blocks_written),
        temp_blocks=round(figures.temp_blocks),
        io_duration=duration(figures.io_s),
        wal_bytes=round(figures.wal_bytes),
    )
