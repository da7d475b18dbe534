"""`dbops workers`: who runs the operations."""

import click
from dbops.v1 import operations_pb2

from dbops_client.cli import json_lines
from dbops_client.cli.operation_views import worker_table
from dbops_client.cli.options import global_options
from dbops_client.cli.session import ExitCode, Session


@click.group()
@global_options
def workers() -> None:
    """Worker processes, which run the operations."""


@workers.command("list")
@global_options
@click.pass_obj
def list_workers(session: Session) -> ExitCode:
    """List the workers: those that are there, and those that vanished within a day.

    With --output json this is a ListWorkers response that holds all pages.
    """
    with session.client() as client:
        listed = list(client.list_workers())
    if session.settings.output == "json":
        click.echo(json_lines.one(operations_pb2.ListWorkersResponse(workers=listed)))
    else:
        session.console().print(worker_table(listed))
    return ExitCode.DONE
