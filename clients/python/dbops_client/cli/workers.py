"""`dbops workers`: the processes that run the operations."""

import click
from dbops.v1 import operations_pb2

from dbops_client.cli.operation_views import worker_table
from dbops_client.cli.options import global_options
from dbops_client.cli.session import ExitCode, Session


@click.group()
@global_options
def workers() -> None:
    """Show the worker processes, which run the operations."""


@workers.command("list")
@global_options
@click.pass_obj
def list_workers(session: Session) -> ExitCode:
    """List the workers, and those that were lost within the last day.

    --output json prints a ListWorkers response that holds all pages.
    """
    with session.client() as client:
        listed = list(client.workers.list())
    response = operations_pb2.ListWorkersResponse(workers=listed)
    session.print(response, lambda: worker_table(listed))
    return ExitCode.DONE
