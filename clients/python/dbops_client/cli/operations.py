"""`dbops operations`: long-running work, whatever started it."""

from itertools import islice
from typing import Any

import click
from google.longrunning import operations_pb2 as longrunning_pb2
from google.protobuf import empty_pb2

from dbops_client._names import database_name, operation_name
from dbops_client._sync.operations import Operation
from dbops_client.cli import protobuf_json
from dbops_client.cli.await_operation import await_end
from dbops_client.cli.operation_views import operation_table
from dbops_client.cli.options import global_options
from dbops_client.cli.run_operation import (
    exit_codes_help,
    print_operation,
    report_failure,
    show_operation,
)
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
    """List, watch, cancel and delete long-running operations.

    NAME is operations/ID, or the ID alone.
    """


@operations.command("list", epilog=_EXAMPLES)
@click.option("--database", metavar="DATABASE", help="Only those on this database.")
@click.option("--kind", metavar="KIND", help="Only those of this kind, such as run-import.")
@click.option(
    "--state", type=click.Choice(_STATES, case_sensitive=False), help="Only those in this state."
)
@click.option("--running", is_flag=True, help="Only those that have not ended.")
@click.option(
    "--filter",
    "condition",
    metavar="FILTER",
    help="Only those that match this filter of ListOperations: conditions joined by AND.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=_DEFAULT_LIMIT,
    show_default=True,
    help="The maximum number to show, the newest first.",
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

    --output json prints a ListOperations response.
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
                client.operations.list(
                    " AND ".join(conditions), page_size=min(limit + 1, _MAX_PAGE)
                ),
                limit + 1,
            )
        )
    shown = found[:limit]
    response = longrunning_pb2.ListOperationsResponse(
        operations=[operation.message for operation in shown]
    )
    session.print(response, lambda: operation_table(shown))
    if len(found) > limit:
        complain(f"dbops: only the newest {limit} are shown. For more, give --limit")
    return ExitCode.DONE


@operations.command("get")
@click.argument("name")
@global_options
@click.pass_obj
def get_operation(session: Session, name: str) -> ExitCode:
    """Show operation NAME: its progress, its error, its result."""
    with session.client() as client:
        print_operation(session, client.operations.get(name))
    return ExitCode.DONE


@operations.command("watch", epilog=exit_codes_help())
@click.argument("name")
@global_options
@click.pass_obj
def watch_operation(session: Session, name: str) -> ExitCode:
    """Show the progress of operation NAME until it ends, and its result.

    --output json prints the operation at each change, one line each.
    """
    if session.settings.output != "json":
        return _wait(session, name)
    with session.client() as client:
        ended = await_end(session, client.operations.get(name), on_change=_print_line)
    if ended is None:
        return ExitCode.REFUSED
    return ExitCode.DONE if ended.error is None else report_failure(ended, ended.error)


@operations.command("wait", epilog=exit_codes_help())
@click.argument("name")
@global_options
@click.pass_obj
def wait_operation(session: Session, name: str) -> ExitCode:
    """Wait for the end of operation NAME, and show its result.

    --output json prints the operation as it ended.
    """
    return _wait(session, name)


@operations.command("cancel")
@click.argument("name")
@global_options
@click.pass_obj
def cancel_operation(session: Session, name: str) -> ExitCode:
    """Ask for operation NAME to be cancelled.

    It cleans up, and ends soon after. To wait for that, run 'dbops operations wait NAME'.
    """
    with session.client() as client:
        client.operations.cancel(name)
    full_name = operation_name(name)
    _confirm(
        session,
        f"{full_name} is being cancelled. To wait for its end run 'dbops operations wait {name}'.",
    )
    return ExitCode.DONE


@operations.command("delete")
@click.argument("name")
@global_options
@click.pass_obj
def delete_operation(session: Session, name: str) -> ExitCode:
    """Delete the record of operation NAME, which has ended, and its result.

    What the operation made stays.
    """
    with session.client() as client:
        client.operations.delete(name)
    _confirm(session, f"{operation_name(name)} is deleted.")
    return ExitCode.DONE


def _wait(session: Session, name: str) -> ExitCode:
    with session.client() as client:
        ended = await_end(session, client.operations.get(name))
    return ExitCode.REFUSED if ended is None else show_operation(session, ended)


def _confirm(session: Session, text: str) -> None:
    as_json = session.settings.output == "json"
    click.echo(protobuf_json.pretty(empty_pb2.Empty()) if as_json else plain(text))


def _print_line(operation: Operation[Any]) -> None:
    click.echo(protobuf_json.line(operation.message))


def _quoted(text: str) -> str:
    for special in ("\\", '"', "*"):
        text = text.replace(special, "\\" + special)
    return f'"{text}"'
