"""`dbops schedules`: the operations that start by the clock."""

from typing import Any

import click
from dbops.v1 import operations_pb2

from dbops_client.cli.operation_views import schedule_table
from dbops_client.cli.options import global_options
from dbops_client.cli.run_operation import exit_codes_help, run_operation, show_operation
from dbops_client.cli.session import ExitCode, Session
from dbops_client.cli.start_options import given, no_wait_option, request_options


@click.group()
@global_options
def schedules() -> None:
    """Run, pause and resume the schedules of the configuration.

    NAME is DATABASE/SCHEDULE, such as main/nightly.
    """


@schedules.command("list")
@click.argument("database", required=False)
@global_options
@click.pass_obj
def list_schedules(session: Session, database: str | None) -> ExitCode:
    """List the schedules of DATABASE, or of all databases.

    --output json prints a ListSchedules response that holds all pages.
    """
    with session.client() as client:
        listed = list(client.schedules.list(database))
    response = operations_pb2.ListSchedulesResponse(schedules=listed)
    session.print(response, lambda: schedule_table(listed))
    return ExitCode.DONE


@schedules.command("run", epilog=exit_codes_help())
@click.argument("name")
@request_options
@no_wait_option
@global_options
@click.pass_obj
def run_schedule(session: Session, /, name: str, *, no_wait: bool, **options: Any) -> ExitCode:
    """Start the operation of schedule NAME now, paused or not, and wait for its end.

    --output json prints the operation.
    """
    return run_operation(
        session,
        lambda client: client.schedules.run(name, **given(options)),
        no_wait=no_wait,
        show=show_operation,
    )


@schedules.command("pause")
@click.argument("name")
@global_options
@click.pass_obj
def pause_schedule(session: Session, name: str) -> ExitCode:
    """Pause schedule NAME: it starts nothing until it is resumed."""
    with session.client() as client:
        schedule = client.schedules.pause(name)
    session.print(schedule, lambda: schedule_table([schedule]))
    return ExitCode.DONE


@schedules.command("resume")
@click.argument("name")
@global_options
@click.pass_obj
def resume_schedule(session: Session, name: str) -> ExitCode:
    """Resume schedule NAME, from its next time on."""
    with session.client() as client:
        schedule = client.schedules.resume(name)
    session.print(schedule, lambda: schedule_table([schedule]))
    return ExitCode.DONE
