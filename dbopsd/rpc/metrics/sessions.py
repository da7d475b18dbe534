"""The methods about the sessions of a server."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from dbops.v1 import metrics_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from dbopsd.errors import InvalidField
from dbopsd.metrics.sessions.sessions import CLIENT, Ending, ServerSession, Sessions
from dbopsd.rpc.encode import database_id
from dbopsd.rpc.paging import paginate
from dbopsd.rpc.times import timestamp
from dbopsd.security.caller import Role, current_caller

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class SessionMethods:
    """Asks the database at each call."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def ListSessions(  # noqa: N802 - gRPC's names
        self, request: metrics_pb2.ListSessionsRequest, context: Any
    ) -> metrics_pb2.ListSessionsResponse:
        """A page of the sessions of a server, the oldest first."""
        database = database_id(request.parent)
        found = [each for each in await self._sessions.list(database) if _wanted(each, request)]
        page = paginate(
            found,
            key=_key,
            of="ListSessions",
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return metrics_pb2.ListSessionsResponse(
            sessions=[encode_session(each, database) for each in page.items],
            next_page_token=page.next_page_token,
        )

    async def CancelSession(  # noqa: N802
        self, request: metrics_pb2.CancelSessionRequest, context: Any
    ) -> metrics_pb2.CancelSessionResponse:
        """Cancel what a session runs."""
        session, ended = await self._end(request, Ending.CANCEL)
        return metrics_pb2.CancelSessionResponse(session=session, ended=ended)

    async def TerminateSession(  # noqa: N802
        self, request: metrics_pb2.TerminateSessionRequest, context: Any
    ) -> metrics_pb2.TerminateSessionResponse:
        """End a session."""
        session, ended = await self._end(request, Ending.TERMINATE)
        return metrics_pb2.TerminateSessionResponse(session=session, ended=ended)

    async def _end(
        self,
        request: metrics_pb2.CancelSessionRequest | metrics_pb2.TerminateSessionRequest,
        how: Ending,
    ) -> tuple[metrics_pb2.Session, bool]:
        database = database_id(request.name)
        if request.pid <= 0:
            raise InvalidField("pid", "is not a process id")
        if not request.HasField("start_time"):
            raise InvalidField("start_time", "is not set: ListSessions has it")
        session, ended = await self._sessions.end(
            database,
            request.pid,
            _moment(request.start_time),
            how,
            only_check=request.validate_only,
        )
        return encode_session(session, database), ended


def _key(session: ServerSession) -> str:
    # Those whose start is hidden come last.
    start = "~" if session.start_time is None else session.start_time.astimezone(UTC).isoformat()
    return f"{start} {session.pid:010}"


def _wanted(session: ServerSession, request: metrics_pb2.ListSessionsRequest) -> bool:
    blocks = session.blocked_by or session.blocked_count
    if request.blocked and not blocks:
        return False
    if request.active and session.state in ("", "idle"):
        return False
    # The type is hidden from a role that may not see more of a session than who it is.
    client = session.backend_type == CLIENT or (not session.backend_type and session.role)
    return request.background or bool(client) or bool(blocks)


def _moment(time: Timestamp) -> datetime:
    """A time to the microsecond, as PostgreSQL has it. Raises `InvalidField`."""
    try:
        return _EPOCH + timedelta(seconds=time.seconds, microseconds=time.nanos // 1000)
    except OverflowError:
        raise InvalidField("start_time", "is no time of a session") from None


def encode_session(session: ServerSession, database: str) -> metrics_pb2.Session:
    """A session, its statement only for callers who may see it."""
    may_read = current_caller.get().may(Role.OPERATOR, database)
    return metrics_pb2.Session(
        pid=session.pid,
        start_time=_time(session.start_time),
        backend_type=session.backend_type,
        postgres_database=session.postgres_database,
        role=session.role,
        application=session.application,
        client_address=session.client_address,
        state=session.state,
        state_time=_time(session.state_time),
        wait_event_type=session.wait_event_type,
        wait_event=session.wait_event,
        transaction_time=_time(session.transaction_time),
        statement_time=_time(session.statement_time),
        statement=session.statement if may_read else "",
        query_id=session.query_id,
        blocked_by=session.blocked_by,
        wait_time=_time(session.wait_time),
        blocked_count=session.blocked_count,
        horizon_age=session.horizon_age,
        leader_pid=session.leader_pid,
    )


def _time(moment: datetime | None) -> Timestamp | None:
    return timestamp(None if moment is None else moment.timestamp())
