"""`dbops schedules`: what the clock starts."""

import click
from dbops.v1 import operations_pb2

from dbops_client.cli import json_lines
from dbops_client.cli.await_operation import AWAITING_HELP, await_operation, no_wait_option
from dbops_client.cli.operation_views import schedule_table
from dbops_client.cli.options import global_options
from dbops_client.cli.session import ExitCode, Session


@click.group()
@global_options
def schedules() -> None:
    """Schedules of the configuration, which start operations by the clock.

    NAME is DATABASE/SCHEDULE, such as main/nightly.
    """


@schedules.command("list")
@click.argument("database", required=False)
@global_options
@click.pass_obj
def list_schedules(session: Session, database: str | None) -> ExitCode:
    """List the schedules of DATABASE, or of all of them.

    With --output json this is a ListSchedules response that holds all pages.
    """
    with session.client() as client:
        listed = list(client.list_schedules(database))
    if session.settings.output == "json":
        click.echo(json_lines.one(operations_pb2.ListSchedulesResponse(schedules=listed)))
    else:
        session.console().print(schedule_table(listed))
    return ExitCode.DONE


@schedules.command("run", epilog=AWAITING_HELP)
@click.argument("name")
@click.option(
    "--request-id",
    metavar="ID",
    help="Your own id of this request, best a UUID: the same one twice is one operation.",
)
@no_wait_option
@global_options
@click.pass_obj
def run_schedule(session: Session, name: str, request_id: str | None, no_wait: bool) -> ExitCode:
    """Start the operation of schedule NAME now, paused or not, and wait for its end."""
    with session.client() as client:
        operation = client.run_schedule(name, request_id=request_id)
        return await_operation(session, client, operation, no_wait=no_wait)


@schedules.command("pause")
@click.argument("name")
@global_options
@click.pass_obj
def pause_schedule(session: Session, name: str) -> ExitCode:
    """Have schedule NAME start nothing until it is resumed."""
    with session.client() as client:
        _print(session, client.pause_schedule(name))
    return ExitCode.DONE


@schedules.command("resume")
@click.argument("name")
@global_options
@click.pass_obj
def resume_schedule(session: Session, name: str) -> ExitCode:
    """Have a paused schedule NAME go on with its next time."""
    with session.client() as client:
        _print(session, client.resume_schedule(name))
    return ExitCode.DONE


def _print(session: Session, schedule: operations_pb2.Schedule) -> None:
    if session.settings.output == "json":
        click.echo(json_lines.one(schedule))
    else:
        session.console().print(schedule_table([schedule]))
