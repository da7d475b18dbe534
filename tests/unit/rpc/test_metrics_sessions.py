"""Sessions and settings as messages: who may read what, and what the audit log quotes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from dbops.v1 import metrics_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from dbopsd.errors import InvalidField
from dbopsd.metrics.sessions.sessions import Ending, ServerSession
from dbopsd.rpc.audit_fields import WITHHELD, compile_quoting
from dbopsd.rpc.metrics.sessions import SessionMethods
from dbopsd.security.caller import Caller, Role, current_caller

BEGAN = datetime(2026, 11, 30, 3, 4, 5, 678_901, UTC)
ONE = ServerSession(
    pid=7, start_time=BEGAN, backend_type="client backend", leader_pid=0, postgres_database="app",
    role="ann", application="web", client_address="", state="active", state_time=BEGAN,
    wait_event_type="", wait_event="", transaction_time=BEGAN, statement_time=BEGAN,
    statement="SELECT 'a secret'", query_id="1", blocked_by=(), wait_time=None, horizon_age=3,
    own=False,
)  # fmt: skip
IDLE = replace(ONE, pid=8, state="idle", start_time=BEGAN - timedelta(hours=1))
HEAD = replace(IDLE, pid=9, blocked_count=1)
WAITS = replace(ONE, pid=10, blocked_by=[9], start_time=BEGAN + timedelta(hours=1))
WRITER = replace(ONE, pid=11, backend_type="walwriter", role="", state="")
HIDDEN = replace(ONE, pid=12, backend_type="", state="", start_time=None, statement="")
# As the server lists them.
EVERY = (IDLE, HEAD, ONE, WRITER, WAITS, HIDDEN)


class Listed:
    """What a server had, and what was to be ended."""

    def __init__(self, sessions: Sequence[ServerSession] = EVERY) -> None:
        self._sessions = sessions
        self.ended: list[tuple[object, ...]] = []

    async def list(self, database: str) -> Sequence[ServerSession]:
        return self._sessions

    async def end(
        self, database: str, pid: int, start_time: datetime, how: Ending, *, only_check: bool
    ) -> tuple[ServerSession, bool]:
        self.ended.append((database, pid, start_time, how, only_check))
        return ONE, not only_check


async def pids(**fields: bool) -> list[int]:
    request = metrics_pb2.ListSessionsRequest(parent="databases/main", **fields)
    found = await SessionMethods(Listed()).ListSessions(request, None)
    return [each.pid for each in found.sessions]


async def test_clients_are_listed_the_oldest_first() -> None:
    assert await pids() == [8, 9, 7, 10, 12]
    assert await pids(background=True) == [8, 9, 7, 11, 10, 12]
    assert await pids(blocked=True) == [9, 10]
    assert await pids(active=True) == [7, 10]


@pytest.mark.parametrize(
    ("role", "readable"), [(Role.VIEWER, False), (Role.OPERATOR, True), (Role.ADMIN, True)]
)
async def test_the_text_of_a_statement_is_for_operators_and_above(
    role: Role, readable: bool
) -> None:
    # ADMIN of another database says nothing of this one.
    caller = Caller("ann", None, (("main", role), ("branch", Role.ADMIN)))
    token = current_caller.set(caller)
    try:
        request = metrics_pb2.ListSessionsRequest(parent="databases/main")
        found = await SessionMethods(Listed([ONE])).ListSessions(request, None)
    finally:
        current_caller.reset(token)
    (session,) = found.sessions
    assert session.statement == ("SELECT 'a secret'" if readable else "")
    assert session.start_time.ToDatetime(UTC) == BEGAN
    assert (session.role, session.horizon_age, session.wait_time.seconds) == ("ann", 3, 0)


@pytest.mark.parametrize("method", ["CancelSession", "TerminateSession"])
async def test_it_ends_the_very_session_that_was_listed(method: str) -> None:
    sessions = Listed([ONE])
    methods = SessionMethods(sessions)
    listed = await methods.ListSessions(
        metrics_pb2.ListSessionsRequest(parent="databases/main"), None
    )
    request = getattr(metrics_pb2, f"{method}Request")(
        name="databases/main", pid=7, start_time=listed.sessions[0].start_time
    )
    assert (await getattr(methods, method)(request, None)).ended
    request.validate_only = True
    assert not (await getattr(methods, method)(request, None)).ended
    how = Ending.CANCEL if method == "CancelSession" else Ending.TERMINATE
    assert sessions.ended == [("main", 7, BEGAN, how, False), ("main", 7, BEGAN, how, True)]
    for field, broken in (
        ("pid", {"pid": 0}),
        ("pid", {"pid": -1}),
        ("start_time", {"start_time": None}),
        ("start_time", {"start_time": Timestamp(seconds=2**60)}),
    ):
        wrong = {"name": "databases/main", "pid": 7, "start_time": request.start_time, **broken}
        with pytest.raises(InvalidField) as caught:
            await getattr(methods, method)(getattr(metrics_pb2, f"{method}Request")(**wrong), None)
        assert caught.value.field == field


@pytest.mark.parametrize("method", ["CancelSession", "TerminateSession"])
def test_the_audit_log_says_which_session(method: str) -> None:
    kind = getattr(metrics_pb2, f"{method}Request")
    quote = compile_quoting(kind.DESCRIPTOR)
    start = Timestamp()
    start.FromDatetime(BEGAN)
    quoted = quote(kind(name="databases/main", pid=7, start_time=start, validate_only=True))
    assert quoted.validate_only
    assert dict(quoted.resource) == {
        "name": "databases/main", "pid": "7", "start_time": "2026-11-30T03:04:05.678901Z"
    }  # fmt: skip
    assert dict(quote(kind(name="databases/main")).resource)["pid"] == "0"
    silly = quote(kind(start_time=Timestamp(seconds=2**60)))
    assert dict(silly.resource)["start_time"] == WITHHELD
