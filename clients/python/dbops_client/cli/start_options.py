"""The options of every command that starts an operation."""

from collections.abc import Callable
from functools import reduce
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def option_group(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    """Return a decorator that adds the options, in the order of the help text."""
    return lambda command: reduce(lambda made, option: option(made), reversed(options), command)


request_id_option = click.option(
    "--request-id",
    metavar="ID",
    help="Your own id of this request, such as a UUID: the same id twice is one operation.",
)
request_options = option_group(
    request_id_option,
    click.option(
        "--validate-only",
        is_flag=True,
        help="Check the request, and start nothing. Fails where starting would fail.",
    ),
)
no_wait_option = click.option(
    "--no-wait",
    is_flag=True,
    help="Print the operation's name, and do not wait for its end.",
)
operation_timeout_option = click.option(
    "--operation-timeout",
    "operation_timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Fail the operation if it takes longer.  [default: no limit]",
)
start_options = option_group(request_options, operation_timeout_option, no_wait_option)


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that are on the command line. The server has the defaults of the rest."""
    return {
        name: value
        for name, value in options.items()
        if value is not None and value is not False and value != ()
    }
