"""`dbops import`: a SQLite file into PostgreSQL."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import click
from dbops.v1 import migrate_pb2
from google.protobuf.message import Message
from rich.console import RenderableType

from dbops_client._names import operation_name
from dbops_client._operation import Operation
from dbops_client._sync import DbopsClient
from dbops_client.cli import json_lines
from dbops_client.cli.await_operation import await_end, tell_failure, tell_name
from dbops_client.cli.import_options import (
    daemon_path,
    database_option,
    given,
    import_fields,
    import_options,
    max_examples_option,
    optional_database_option,
    start_options,
)
from dbops_client.cli.import_views import (
    plan_view,
    report_view,
    reversion_view,
    verification_view,
)
from dbops_client.cli.options import global_options
from dbops_client.cli.session import ExitCode, Session
from dbops_client.cli.terminal import complain

_Result = TypeVar("_Result", bound=Message)

_STANDARD_OUTPUT = Path("-")
# Rows are kept apart only where that was asked for: it did what it should.
_PUBLISHED = frozenset(
    {migrate_pb2.ImportReport.SUCCEEDED, migrate_pb2.ImportReport.SUCCEEDED_WITH_REJECTS}
)

_ENDING = """\b
Progress is shown on standard error. Ctrl-C on a terminal asks whether to
cancel the operation or leave it running; elsewhere it is left running.
Exit codes:
  0  it succeeded (with --no-wait: it was accepted)
  1  it failed or was cancelled{also}
  2  wrong usage
  3  refused, dbopsd cannot be reached, or it was left running
"""
_EPILOG = _ENDING.format(also="")
_VERIFY_EPILOG = _ENDING.format(also=", or differences were found")
_PLAN_EXAMPLES = """\b
Examples:
  dbops import plan app.db --database main
  dbops import plan app.db --database main --save plan.toml
  dbops import plan app.db --database main --save - | grep numeric

"""
_RUN_EXAMPLES = """\b
Examples:
  dbops import run app.db --database main
  dbops import run app.db --database main --schema app --mapping plan.toml
  dbops import run app.db --database main --on-bad-rows quarantine
  dbops import run app.db --database main --mode upsert --delete-missing
  dbops import run /srv/app.db --database main --output json > report.json

"""
_VERIFY_EXAMPLES = """\b
Examples:
  dbops import verify run-import-7f3a
  dbops import verify run-import-7f3a --source copy-of-app.db

"""


@dataclass(frozen=True)
class _Kind(Generic[_Result]):
    """What one of the operations ends with, and how that is shown."""

    message_type: type[_Result]
    view: Callable[[_Result], RenderableType]

    def told(self, ended: Operation) -> _Result | None:
        """Return what it ended with, or told of its failure; None where that is nothing of it."""
        if ended.message.HasField("error"):
            return ended.failure_details(self.message_type)
        if ended.message.response.Is(self.message_type.DESCRIPTOR):
            return ended.result(self.message_type)
        return None


_PLAN = _Kind(migrate_pb2.ImportPlan, plan_view)
_RUN = _Kind(migrate_pb2.ImportReport, report_view)
_VERIFY = _Kind(migrate_pb2.VerifyImportResponse, verification_view)
_REVERT = _Kind(migrate_pb2.RevertImportResponse, reversion_view)
_KINDS: tuple[_Kind[Any], ...] = (_PLAN, _RUN, _VERIFY, _REVERT)


@click.group("import")
@global_options
def imports() -> None:
    """SQLite files into PostgreSQL: planned, copied, verified, reverted.

    FILE is a path on the machine of the daemon's workers, inside the database's
    import_roots. A relative one is taken from here.

    OPERATION is the import's, operations/ID or the ID alone.
    """


@imports.command("plan", epilog=_PLAN_EXAMPLES + _EPILOG)
@click.argument("file")
@database_option
@click.option(
    "--save",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="PLAN.toml",
    help="Write the plan as TOML to this file, to be edited and given back with --mapping; "
    "- is standard output, which then gets nothing else.",
)
@click.option("--force", is_flag=True, help="Let --save replace a file.")
@import_options
@start_options
@global_options
@click.pass_obj
def plan_import(
    session: Session,
    /,
    file: str,
    database: str,
    save: Path | None,
    force: bool,
    no_wait: bool,
    **asked: Any,
) -> ExitCode:
    """Show what importing FILE would do, and change nothing.

    With --output json this is the ImportPlan.
    """
    if save is not None:
        _check_save(session, save, force=force, no_wait=no_wait or asked["validate_only"])
    options = import_fields(asked)
    with session.client() as client:
        operation = client.plan_import(database, daemon_path(file), **options)
        ended = _ended(session, client, operation, no_wait)
    if isinstance(ended, ExitCode):
        return ended
    plan = _PLAN.told(ended)
    if save is not None and plan is not None:
        _save(plan.mapping, save, force=force)
        if save == _STANDARD_OUTPUT:
            return ExitCode.DONE
    return _show(session, ended, _PLAN, plan)


@imports.command("run", epilog=_RUN_EXAMPLES + _EPILOG)
@click.argument("file")
@database_option
@import_options
@click.option(
    "--processes",
    type=click.IntRange(0, 64),
    metavar="N",
    help="How many processes copy side by side.  [default: one for each processor, 2 to 8]",
)
@click.option(
    "--no-verify",
    "skip_verification",
    is_flag=True,
    help="Publish without having read every value back.",
)
@start_options
@global_options
@click.pass_obj
def run_import(
    session: Session, /, file: str, database: str, no_wait: bool, **asked: Any
) -> ExitCode:
    """Import FILE, read every value back, and show what became of it.

    With --output json this is the ImportReport, also of an import that failed.
    """
    options = import_fields(asked)
    source = daemon_path(file)
    with session.client() as client:
        operation = client.run_import(database, source, **options)
        ended = _ended(session, client, operation, no_wait)
    if isinstance(ended, ExitCode):
        return ended
    report = _RUN.told(ended)
    if report is None and ended.error is not None and session.settings.output == "json":
        # It ended before there was one, or its worker did. Programs read a report all the same.
        report = migrate_pb2.ImportReport(
            operation=ended.name,
            outcome=migrate_pb2.ImportReport.FAILED,
            problem=ended.error.message,
            source=source,
            schema=options.get("schema", "public"),
        )
    return _show(session, ended, _RUN, report)


@imports.command("verify", epilog=_VERIFY_EXAMPLES + _VERIFY_EPILOG)
@click.argument("operation")
@optional_database_option
@click.option(
    "--source",
    metavar="FILE",
    help="The SQLite file to compare with.  [default: that of the import]",
)
@max_examples_option
@start_options
@global_options
@click.pass_obj
def verify_import(
    session: Session,
    /,
    operation: str,
    database: str | None,
    source: str | None,
    no_wait: bool,
    **asked: Any,
) -> ExitCode:
    """Compare what import OPERATION brought with the file, every value.

    Where rows were appended or upserted among others, those do not count. With
    --output json this is the VerifyImport response.
    """
    options = given(asked)
    if source is not None:
        options["source"] = daemon_path(source)
    with session.client() as client:
        database = database or _database_of(client, operation)
        started = client.verify_import(database, operation, **options)
        ended = _ended(session, client, started, no_wait)
    if isinstance(ended, ExitCode):
        return ended
    return _show(session, ended, _VERIFY, _VERIFY.told(ended))


@imports.command("revert", epilog=_EPILOG)
@click.argument("operation")
@optional_database_option
@start_options
@global_options
@click.pass_obj
def revert_import(
    session: Session, /, operation: str, database: str | None, no_wait: bool, **asked: Any
) -> ExitCode:
    """Put back what import OPERATION replaced.

    What was written to the imported tables since then goes with them. Of
    --mode append and upsert the rows that were added are taken out, and those
    that were changed or deleted put back, unless somebody has changed them
    since. With --output json this is the RevertImport response.
    """
    options = given(asked)
    with session.client() as client:
        database = database or _database_of(client, operation)
        started = client.revert_import(database, operation, **options)
        ended = _ended(session, client, started, no_wait)
    if isinstance(ended, ExitCode):
        return ended
    return _show(session, ended, _REVERT, _REVERT.told(ended))


@imports.command("describe")
@click.argument("operation")
@global_options
@click.pass_obj
def describe_import(session: Session, operation: str) -> ExitCode:
    """Show the report of import OPERATION, which has ended, well or not.

    Plans, verifications and reverts are shown as well. With --output json this
    is the message that the command printed which started the operation. Exits
    with 1 where it ended without anything to show.
    """
    with session.client() as client:
        ended = client.get_operation(operation)
    if not ended.done:
        name = ended.name
        complain(f"dbops: {name} has not ended: 'dbops operations watch {name}' shows it")
        return ExitCode.REFUSED
    for kind in _KINDS:
        told = kind.told(ended)
        if told is not None:
            _print(session, kind, told)
            return ExitCode.DONE
    if ended.error is not None:
        return tell_failure(ended, ended.error)
    raise click.UsageError(
        f"{operation_name(operation)} is not of an import: 'dbops operations get' shows it."
    )


def _database_of(client: DbopsClient, operation: str) -> str:
    return client.get_operation(operation).metadata.database


def _ended(
    session: Session, client: DbopsClient, operation: Operation, no_wait: bool
) -> Operation | ExitCode:
    """Return the operation as it ended, or the exit code where nobody waits for that."""
    if not operation.name:  # of a request with validate_only
        as_json = session.settings.output == "json"
        accepted = "It would be accepted. Nothing was started."
        click.echo(json_lines.one(operation.message) if as_json else accepted)
        return ExitCode.DONE
    if no_wait:
        return tell_name(session, operation)
    return await_end(session, client, operation) or ExitCode.REFUSED


def _show(
    session: Session, ended: Operation, kind: _Kind[_Result], told: _Result | None
) -> ExitCode:
    """Print what was told, and return the exit code for how it ended."""
    if told is not None:
        _print(session, kind, told)
    if ended.error is not None:
        return tell_failure(ended, ended.error)
    if told is None:
        problem = "ended with something that this command does not know"
    elif isinstance(told, migrate_pb2.VerifyImportResponse) and not told.equal:
        problem = f"found {told.differing_rows} rows that differ"
    elif isinstance(told, migrate_pb2.ImportReport) and told.outcome not in _PUBLISHED:
        problem = f"did not succeed: {told.problem}"
    else:
        return ExitCode.DONE
    complain(f"dbops: {ended.name} {problem}")
    return ExitCode.FAILED


def _print(session: Session, kind: _Kind[_Result], told: _Result) -> None:
    if session.settings.output == "json":
        click.echo(json_lines.whole(told))
    else:
        session.console().print(kind.view(told))


def _check_save(session: Session, save: Path, *, force: bool, no_wait: bool) -> None:
    """Refuse what could not be saved, before anything is started."""
    if no_wait:
        raise click.UsageError("--save needs the plan: it does not go with --no-wait.")
    if save == _STANDARD_OUTPUT:
        if session.settings.output == "json":
            raise click.UsageError("--save - and --output json both take standard output.")
    elif save.exists() and not force:
        raise click.UsageError(f"{str(save)!r} exists: --force replaces it.")
    elif not save.parent.is_dir():
        raise click.UsageError(f"there is no directory {str(save.parent)!r}.")


def _save(mapping: str, save: Path, *, force: bool) -> None:
    if save == _STANDARD_OUTPUT:
        shown = _harmless(mapping) if sys.stdout.isatty() else mapping
        click.echo(shown, nl=not shown.endswith("\n"))
        return
    try:
        with save.open("w" if force else "x", encoding="utf-8") as file:
            file.write(mapping)
    except OSError as error:
        raise click.UsageError(
            f"{str(save)!r} cannot be written: {error.strerror or error}"
        ) from error
    complain(f"dbops: the plan is in {save}")


def _harmless(text: str) -> str:
    """Return `text` without what could drive the terminal; its lines stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
