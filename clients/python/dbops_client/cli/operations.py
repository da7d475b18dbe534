"""`dbops operations`: long-running work, wherever it was started."""

from itertools import islice

import click
from google.longrunning import operations_pb2 as longrunning_pb2
from google.protobuf import empty_pb2

from dbops_client._names import database_name, operation_name
from dbops_client._operation import Operation
from dbops_client.cli import json_lines
from dbops_client.cli.await_operation import AWAITING_HELP, await_operation
from dbops_client.cli.operation_views import operation_table, operation_view
from dbops_client.cli.options import global_options
from dbops_client.cli.session import ExitCode, Session
from dbops_client.cli.terminal import complain, plain

_STATES = ("QUEUED", "RUNNING", "CANCELLING", "SUCCEEDED", "FAILED", "CANCELLED")
_DEFAULT_LIMIT = 50
_MAX_PAGE = 1000

_EXAMPLES = """\b
Examples:
  dbops operations list --running
  dbops operations list --database main --state failed --limit 5
  dbops operations list --filter 'metadata.create_time > "2026-01-31T12:00:00Z"'
"""


@click.group()
@global_options
def operations() -> None:
    """Long-running operations: what runs, how far it is, how it ended.

    NAME is operations/ID, or the ID alone.
    """


@operations.command("list", epilog=_EXAMPLES)
@click.option("--database", metavar="DATABASE", help="Of this database only.")
@click.option("--kind", metavar="KIND", help="Of this kind only, such as create-backup.")
@click.option(
    "--state", type=click.Choice(_STATES, case_sensitive=False), help="In this state only."
)
@click.option("--running", is_flag=True, help="Only those that have not ended.")
@click.option(
    "--filter",
    "condition",
    metavar="FILTER",
    help="Only those that meet this too: conditions joined by AND, as ListOperations has them.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=_DEFAULT_LIMIT,
    show_default=True,
    help="How many to show at most, the newest first.",
)
@global_options
@click.pass_obj
def list_operations(
    session: Session,
    database: str | None,
    kind: str | None,
    state: str | None,
    running: bool,
    condition: str | None,
    limit: int,
) -> ExitCode:
    """List the operations, the newest first.

    With --output json this is a ListOperations response.
    """
    conditions = []
    if database is not None:
        conditions.append(f"metadata.database = {_quoted(database_name(database))}")
    if kind is not None:
        conditions.append(f"metadata.kind = {_quoted(kind)}")
    if state is not None:
        conditions.append(f"metadata.state = {state.upper()}")
    if running:
        conditions.append("done = false")
    if condition is not None:
        conditions.append(condition)
    with session.client() as client:
        # One more than is shown, to know whether there are more.
        found = list(
            islice(
                client.list_operations(
                    " AND ".join(conditions), page_size=min(limit + 1, _MAX_PAGE)
                ),
                limit + 1,
            )
        )
    shown = found[:limit]
    if session.settings.output == "json":
        response = longrunning_pb2.ListOperationsResponse(
            operations=[operation.message for operation in shown]
        )
        click.echo(json_lines.one(response))
    else:
        session.console().print(operation_table(shown))
    if len(found) > limit:
        complain(f"dbops: only the newest {limit} are shown; --limit shows more")
    return ExitCode.DONE


@operations.command("get")
@click.argument("name")
@global_options
@click.pass_obj
def get_operation(session: Session, name: str) -> ExitCode:
    """Show all that is known of operation NAME: its progress, its error, its result."""
    with session.client() as client:
        operation = client.get_operation(name)
    _print(session, operation)
    return ExitCode.DONE


@operations.command("watch", epilog=AWAITING_HELP)
@click.argument("name")
@global_options
@click.pass_obj
def watch_operation(session: Session, name: str) -> ExitCode:
    """Show how far operation NAME is, until it has ended.

    With --output json each change is one line.
    """
    as_json = session.settings.output == "json"
    with session.client() as client:
        return await_operation(
            session, client, client.get_operation(name), on_change=_echo_line if as_json else None
        )


@operations.command("wait", epilog=AWAITING_HELP)
@click.argument("name")
@global_options
@click.pass_obj
def wait_operation(session: Session, name: str) -> ExitCode:
    """Wait until operation NAME has ended, and show how.

    With --output json this is the operation as it ended.
    """
    with session.client() as client:
        return await_operation(session, client, client.get_operation(name))


@operations.command("cancel")
@click.argument("name")
@global_options
@click.pass_obj
def cancel_operation(session: Session, name: str) -> ExitCode:
    """Ask for operation NAME to be cancelled.

    It ends soon after, and cleans up: 'dbops operations wait NAME' waits for that.
    """
    with session.client() as client:
        client.cancel_operation(name)
    full_name = operation_name(name)
    _confirm(session, f"{full_name} is being cancelled; 'dbops operations wait' waits for its end.")
    return ExitCode.DONE


@operations.command("delete")
@click.argument("name")
@global_options
@click.pass_obj
def delete_operation(session: Session, name: str) -> ExitCode:
    """Forget operation NAME, which has ended, and its result. What it made stays."""
    with session.client() as client:
        client.delete_operation(name)
    _confirm(session, f"{operation_name(name)} is deleted.")
    return ExitCode.DONE


def _print(session: Session, operation: Operation) -> None:
    if session.settings.output == "json":
        click.echo(json_lines.one(operation.message))
    else:
        session.console().print(operation_view(operation))


def _confirm(session: Session, text: str) -> None:
    as_json = session.settings.output == "json"
    click.echo(json_lines.one(empty_pb2.Empty()) if as_json else plain(text))


def _echo_line(operation: Operation) -> None:
    click.echo(json_lines.line(operation.message))


def _quoted(text: str) -> str:
    for special in ("\\", '"', "*"):
        text = text.replace(special, "\\" + special)
    return f'"{text}"'
