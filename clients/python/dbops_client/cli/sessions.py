"""`dbops sessions`: who is connected to a server, who waits for whom, and how to end it."""

import click
from dbops.v1 import metrics_pb2

from dbops_client._sync.client import DbopsClient
from dbops_client.cli.options import global_options
from dbops_client.cli.session import ExitCode, Session
from dbops_client.cli.session_views import ended_line, session_table
from dbops_client.cli.terminal import complain

_EXAMPLES = """\b
Examples:
  dbops sessions list main --active
  dbops sessions list main --blocked
  dbops sessions cancel main 4711
"""

_validate_only = click.option(
    "--validate-only", is_flag=True, help="Change nothing; tell whether it could be done."
)


@click.group(epilog=_EXAMPLES)
@global_options
def sessions() -> None:
    """Show and end the sessions of a database's server."""


@sessions.command("list")
@click.argument("database")
@click.option("--blocked", is_flag=True, help="Only those that wait for others, and these.")
@click.option(
    "--active", is_flag=True, help="Only those that run a statement or are in a transaction."
)
@click.option("--background", is_flag=True, help="The server's own processes too.")
@global_options
@click.pass_obj
def list_sessions(
    session: Session, database: str, blocked: bool, active: bool, background: bool
) -> ExitCode:
    """List the sessions of DATABASE's server, the oldest first.

    --blocked shows them as trees: below each, those that wait for it. The texts of
    statements are for OPERATOR and above. --output json prints a ListSessions response
    that holds all pages.
    """
    with session.client() as client:
        listed = list(
            client.sessions.list(
                database, blocked=blocked, active=active, background=background, page_size=1000
            )
        )
    response = metrics_pb2.ListSessionsResponse(sessions=listed)
    session.print(response, lambda: session_table(listed, tree=blocked))
    return ExitCode.DONE


@sessions.command("cancel")
@click.argument("database")
@click.argument("pid", type=click.IntRange(1))
@_validate_only
@global_options
@click.pass_obj
def cancel(session: Session, database: str, pid: int, validate_only: bool) -> ExitCode:
    """Cancel the statement that session PID runs. The session goes on.

    Exits with 1 if the statement still ran 2 s later.
    """
    with session.client() as client:
        if (found := _find(client, database, pid)) is None:
            return _is_gone(database, pid)
        done = client.sessions.cancel(database, pid, found.start_time, validate_only=validate_only)
    session.print(done, lambda: ended_line(done, "cancelled", validate_only=validate_only))
    return ExitCode.DONE if done.ended or validate_only else ExitCode.FAILED


@sessions.command("terminate")
@click.argument("database")
@click.argument("pid", type=click.IntRange(1))
@_validate_only
@global_options
@click.pass_obj
def terminate(session: Session, database: str, pid: int, validate_only: bool) -> ExitCode:
    """End session PID. Its client loses the connection, and what it had not committed.

    Exits with 1 if the session was still there 2 s later.
    """
    with session.client() as client:
        if (found := _find(client, database, pid)) is None:
            return _is_gone(database, pid)
        done = client.sessions.terminate(
            database, pid, found.start_time, validate_only=validate_only
        )
    session.print(done, lambda: ended_line(done, "ended", validate_only=validate_only))
    return ExitCode.DONE if done.ended or validate_only else ExitCode.FAILED


def _find(client: DbopsClient, database: str, pid: int) -> metrics_pb2.Session | None:
    """The session as it is now: its start time makes sure that no later one is hit."""
    listed = client.sessions.list(database, background=True, page_size=1000)
    return next((each for each in listed if each.pid == pid), None)


def _is_gone(database: str, pid: int) -> ExitCode:
    complain(f"dbops: the server of database '{database}' has no session {pid} (any more)")
    return ExitCode.REFUSED
