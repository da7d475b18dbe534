"""`dbops workers`: the processes that run the operations, and the duties that they hold."""

import click
from dbops.v1 import operations_pb2
from rich.console import Group

from dbops_client.cli.operation_views import duty_table, worker_table
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
    """List the workers, those that were lost within the last day, and the duties.

    A duty is work that goes on for ever, in exactly one process. --output json prints a
    ListWorkers response that holds all pages; `dbops workers duties` does so for the duties.
    """
    with session.client() as client:
        listed = list(client.workers.list())
        # A program reads one response; people see both.
        duties = [] if session.settings.output == "json" else list(client.duties.list())
    response = operations_pb2.ListWorkersResponse(workers=listed)
    shown = (worker_table(listed), *(("", duty_table(duties)) if duties else ()))
    session.print(response, lambda: Group(*shown))
    return ExitCode.DONE


@workers.command("duties")
@global_options
@click.pass_obj
def list_duties(session: Session) -> ExitCode:
    """List the duties: work that goes on for ever, in exactly one process.

    --output json prints a ListDuties response that holds all pages.
    """
    with session.client() as client:
        duties = list(client.duties.list())
    response = operations_pb2.ListDutiesResponse(duties=duties)
    session.print(response, lambda: duty_table(duties))
    return ExitCode.DONE
