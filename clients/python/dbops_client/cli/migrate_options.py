"""The options of `dbops migrate`, and how its commands start an operation."""

from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import Any

import click
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message
from rich.text import Text

from dbops_client._errors import DbopsError
from dbops_client._sync.operations import Operation
from dbops_client.cli.operation_views import result_of
from dbops_client.cli.options import global_options
from dbops_client.cli.run_operation import run_operation, show_result
from dbops_client.cli.session import ExitCode, Session
from dbops_client.cli.start_options import (
    given,
    no_wait_option,
    operation_timeout_option,
    option_group,
    request_id_option,
)


class EnumName(click.Choice[str]):
    """A value of one of the contract's enums, in lower case with dashes or as JSON has it."""

    def __init__(self, enum: EnumDescriptor) -> None:
        names = [value.name for value in enum.values if value.number]
        super().__init__([name.lower().replace("_", "-") for name in names], case_sensitive=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name that the contract has."""
        dashed = value.replace("_", "-") if isinstance(value, str) else value
        return super().convert(dashed, param, ctx).upper().replace("-", "_")


database_argument = click.argument("database")
set_option = click.option(
    "--set",
    "set_",
    metavar="NAME",
    help="The set of migrations, where the database has several.",
)
reason_option = click.option(
    "--reason", required=True, metavar="REASON", help="Why, in one line. The ledger keeps it."
)
record_nothing_option = click.option(
    "--validate-only", is_flag=True, help="Show what would be recorded, and record nothing."
)
try_option = click.option(
    "--validate-only",
    is_flag=True,
    help="Run the whole plan in a transaction and roll it back; show what could not be tried.",
)
lock_wait_option = click.option(
    "--lock-wait",
    "lock_wait_s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="How long each migration tries to get its locks.  [default: as configured]",
)


def trial_heading(options: dict[str, Any]) -> str:
    """Return what says above a result that it is only what would be recorded; else nothing."""
    return "A trial, nothing was recorded. It would be:" if options.get("validate_only") else ""


_start_options = option_group(request_id_option, operation_timeout_option, no_wait_option)


def extent_options(to: str, count: str) -> Callable[..., Any]:
    """Return a decorator that adds --to and --count, with these help texts."""
    return option_group(
        click.option("--to", metavar="V", help=to),
        click.option("--count", type=click.IntRange(min=1), metavar="N", help=count),
    )


def starts_migration_operation(
    substitute: Callable[[str, DbopsError], Message] | None = None,
    *,
    heading: Callable[[dict[str, Any]], str] | None = None,
    remarks: Callable[[dict[str, Any], Any], Iterable[str]] | None = None,
) -> Callable[[Callable[..., Operation[Any]]], Callable[..., ExitCode]]:
    """Return what makes a command of a function that starts an operation on migrations.

    The function gets the client, the database, and by name the options that were given. The
    command has the argument DATABASE, --set and the options of all such commands too. `substitute`
    makes the JSON of an operation, by its name, that failed without a result. `heading` is a line
    for people above a result, of the options that were given; `remarks` are lines below it, of the
    options and the result.
    """

    def make(start: Callable[..., Operation[Any]]) -> Callable[..., ExitCode]:
        @database_argument
        @set_option
        @_start_options
        @global_options
        @click.pass_obj
        @wraps(start)
        def command(
            session: Session, /, *, database: str, set_: str | None, no_wait: bool, **options: Any
        ) -> ExitCode:
            asked = given({**options, "set": set_})

            def show(session: Session, ended: Operation[Any]) -> ExitCode:
                made = None if substitute is None else partial(substitute, ended.name)
                result = result_of(ended)
                for_people = result is not None and session.settings.output != "json"
                if heading and for_people and (line := heading(asked)):
                    session.console().print(Text(f"{line}\n"))
                code = show_result(session, ended, made)
                if remarks and for_people:
                    for line in remarks(asked, result):
                        session.console().print(Text(line))
                return code

            if asked.get("to") and asked.get("count"):
                raise click.UsageError("--to does not go with --count: choose one.")
            return run_operation(
                session,
                lambda client: start(client, database, **asked),
                no_wait=no_wait,
                show=show,
            )

        return command

    return make
