"""How a command starts an operation, waits for its end and shows its result.

Every command that starts an operation does it by `starts_operation` or `run_operation`.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click
from google.protobuf.message import Message

from dbops_client._errors import DbopsError
from dbops_client._sync.client import DbopsClient
from dbops_client._sync.operations import Operation
from dbops_client.cli import protobuf_json
from dbops_client.cli.await_operation import await_end
from dbops_client.cli.operation_views import operation_view, result_of
from dbops_client.cli.options import global_options
from dbops_client.cli.result_views import problem_of, view_of
from dbops_client.cli.session import ExitCode, Session
from dbops_client.cli.start_options import given, start_options
from dbops_client.cli.terminal import complain, plain

_Result = TypeVar("_Result", bound=Message)


def exit_codes_help(*, also: str = "") -> str:
    """Return the end of the help text. `also` is what else exits with 1 than a failure."""
    return f"""\b
Progress goes to standard error. Ctrl-C on a terminal asks whether to cancel
the operation or leave it running; without a terminal it is left running.
Exit codes:
  0  the operation succeeded (with --no-wait: it was accepted)
  1  it failed or was cancelled{also}
  2  wrong usage
  3  the server refused the call or cannot be reached, or the operation was
     left running
"""


def starts_operation(start: Callable[..., Operation[Any]]) -> Callable[..., ExitCode]:
    """Make a command of a function that starts an operation.

    The function gets the client, and by name the arguments and options that were given; it returns
    the operation. The command has the options of all such commands too, waits for the end, prints
    the result with its registered view, and returns the exit code.
    """

    @start_options
    @global_options
    @click.pass_obj
    @wraps(start)
    def command(session: Session, /, *, no_wait: bool, **options: Any) -> ExitCode:
        return run_operation(
            session, lambda client: start(client, **given(options)), no_wait=no_wait
        )

    return command


def run_operation(
    session: Session,
    start: Callable[[DbopsClient], Operation[_Result]],
    *,
    no_wait: bool,
    show: "Callable[[Session, Operation[_Result]], ExitCode] | None" = None,
) -> ExitCode:
    """Start an operation, wait for its end, and show it with `show`, by default `show_result`.

    Returns the exit code. Raises DbopsError if the server refuses it or can no longer be reached.
    """
    with session.client() as client:
        operation = start(client)
        if not operation.name:  # the answer to a request with validate_only
            return _print(session, operation, "The request is valid. Nothing was started.")
        if no_wait:
            return _print(session, operation, operation.name)
        ended = await_end(session, operation)
    if ended is None:
        return ExitCode.REFUSED
    return show_result(session, ended) if show is None else show(session, ended)


def show_result(
    session: Session,
    ended: Operation[_Result],
    substitute: Callable[[DbopsError], _Result] | None = None,
) -> ExitCode:
    """Print the result of an operation that has ended; return the exit code.

    A failed operation may have one too. Where it has none, and the output is JSON, `substitute`
    makes one of the error.
    """
    result, error = result_of(ended), ended.error
    printed = result
    if result is None and error is not None and session.settings.output == "json" and substitute:
        printed = substitute(error)
    if printed is not None:
        print_result(session, printed)
    if error is not None:
        return report_failure(ended, error)
    problem = "ended with a result that this command does not know"
    if result is not None:
        found = problem_of(result)
        if found is None:
            return ExitCode.DONE
        problem = found
    complain(f"dbops: {ended.name} {problem}")
    return ExitCode.FAILED


def show_operation(session: Session, ended: Operation[Any]) -> ExitCode:
    """Print an operation that has ended, and return the exit code.

    JSON is the operation, however it ended. People see one that succeeded, or what a failed one
    reports beyond its error.
    """
    result, error = result_of(ended), ended.error
    if session.settings.output == "json" or error is None:
        print_operation(session, ended)
    elif result is not None:
        print_result(session, result)
    return ExitCode.DONE if error is None else report_failure(ended, error)


def print_result(session: Session, result: Message) -> None:
    """Print a result: as JSON with all its fields, or with its view."""
    if session.settings.output == "json":
        click.echo(protobuf_json.pretty_with_defaults(result))
    else:
        session.console().print(view_of(result))


def print_operation(session: Session, operation: Operation[Any]) -> None:
    """Print all that is known about an operation."""
    session.print(operation.message, lambda: operation_view(operation))


def report_failure(ended: Operation[Any], error: DbopsError) -> ExitCode:
    """Say on standard error why an operation failed; return the exit code for that."""
    # Where dbopsd itself ended the operation, its message begins with the name.
    what = str(error) if error.message.startswith(ended.name) else f"{ended.name} failed: {error}"
    complain(f"dbops: {what}. For details run 'dbops operations get {ended.name}'")
    return ExitCode.FAILED


def _print(session: Session, operation: Operation[Any], line: str) -> ExitCode:
    as_json = session.settings.output == "json"
    click.echo(protobuf_json.pretty(operation.message) if as_json else plain(line))
    return ExitCode.DONE
