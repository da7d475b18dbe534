"""Sessions of a server for people."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dbops.v1 import metrics_pb2
from rich.console import RenderableType
from rich.text import Text

from dbops_client.cli.tables import cell, new_table
from dbops_client.cli.terminal import plain
from dbops_client.cli.values import duration

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

_Session = metrics_pb2.Session


def session_table(sessions: Sequence[_Session], *, tree: bool) -> RenderableType:
    """Return a table of the sessions, or a line if there are none.

    With `tree`, those that wait for a session stand below it.
    """
    table = new_table(
        *("PID", "ROLE", "DATABASE", "APPLICATION", "CLIENT", "STATE", "FOR", "TRANSACTION"),
        *("WAITS FOR", "BLOCKS", "STATEMENT"),
        numbers=frozenset({"FOR", "TRANSACTION", "BLOCKS"}),
    )
    rows = _as_tree(sessions) if tree else [(0, each) for each in sessions]
    for depth, each in rows:
        table.add_row(
            cell_at(depth, str(each.pid)),
            cell(each.role or each.backend_type),
            cell(each.postgres_database or "-"),
            cell(each.application or "-"),
            cell(each.client_address or "local"),
            cell(each.state or "-"),
            cell(_passed(each.state_time) if each.HasField("state_time") else "-"),
            cell(_passed(each.transaction_time) if each.HasField("transaction_time") else "-"),
            cell(_waits_for(each)),
            cell(str(each.blocked_count or "-")),
            cell(each.statement),
        )
    return table if table.row_count else Text("There are no such sessions.")


def cell_at(depth: int, text: str) -> Text:
    """Return a cell that is `depth` levels below the first row of its tree."""
    return Text(f"{'  ' * (depth - 1)}{'└ ' if depth else ''}{plain(text)}")


def ended_line(
    response: metrics_pb2.CancelSessionResponse | metrics_pb2.TerminateSessionResponse,
    done: str,
    *,
    validate_only: bool,
) -> Text:
    """Return what became of a session or its statement, or could become of it."""
    session = response.session
    who = f"session {session.pid} of {session.role or session.backend_type}"
    if session.application:
        who += f" ({session.application})"
    result = done if response.ended else f"not seen to be {done}"
    return Text(plain(f"{who}: {f'could be {done}' if validate_only else result}"))


def _as_tree(sessions: Sequence[_Session]) -> Iterable[tuple[int, _Session]]:
    """Each session once, below the first one that it waits for."""
    shown: set[int] = set()
    pids = {each.pid for each in sessions}

    def below(one: _Session, depth: int) -> Iterable[tuple[int, _Session]]:
        if one.pid in shown:
            return
        shown.add(one.pid)
        yield depth, one
        for each in sessions:
            if one.pid in each.blocked_by:
                yield from below(each, depth + 1)

    for root in sessions:
        if not pids.intersection(root.blocked_by):
            yield from below(root, 0)
    # A ring of sessions, which the server has not broken yet, has no first one.
    for each in sessions:
        yield from below(each, 0)


def _waits_for(session: _Session) -> str:
    if session.blocked_by:
        pids = ", ".join(
            str(pid) if pid else "a prepared transaction" for pid in session.blocked_by
        )
        return f"{pids} ({session.wait_event})"
    return f"{session.wait_event_type}: {session.wait_event}" if session.wait_event_type else "-"


def _passed(time: "Timestamp") -> str:
    passed_s = datetime.now(UTC).timestamp() - time.ToNanoseconds() / 1e9
    return duration(max(passed_s, 0.0))
