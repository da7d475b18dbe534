"""`dbops import`: a SQLite file into PostgreSQL."""

import sys
from pathlib import Path
from typing import Any

import click
from dbops.v1 import migrate_pb2

from dbops_client._errors import DbopsError
from dbops_client._names import operation_name
from dbops_client._sync.client import DbopsClient
from dbops_client._sync.operations import Operation
from dbops_client.cli.import_options import (
    daemon_path,
    database_option,
    import_fields,
    import_options,
    max_examples_option,
    optional_database_option,
)
from dbops_client.cli.operation_views import result_of
from dbops_client.cli.options import global_options
from dbops_client.cli.run_operation import (
    exit_codes_help,
    print_result,
    report_failure,
    run_operation,
    show_result,
    starts_operation,
)
from dbops_client.cli.session import ExitCode, Session
from dbops_client.cli.start_options import start_options
from dbops_client.cli.terminal import complain

_STANDARD_OUTPUT = Path("-")
_RESULTS = (
    migrate_pb2.ImportPlan,
    migrate_pb2.ImportReport,
    migrate_pb2.VerifyImportResponse,
    migrate_pb2.RevertImportResponse,
)

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


@click.group("import")
@global_options
def imports() -> None:
    """Import SQLite files into PostgreSQL: plan, run, verify, revert.

    FILE is a path on the machine of the daemon's workers, inside the database's
    import_roots. A relative path starts from the current directory.

    OPERATION is the operation of the import: operations/ID, or the ID alone.
    """


@imports.command("plan", epilog=_PLAN_EXAMPLES + exit_codes_help())
@click.argument("file")
@database_option
@click.option(
    "--save",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="PLAN.toml",
    help="Write the plan to this file as TOML. Edit it, and pass it to --mapping. - writes it to "
    "standard output, and nothing else.",
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
    *,
    save: Path | None,
    force: bool,
    no_wait: bool,
    **options: Any,
) -> ExitCode:
    """Show what an import of FILE would do. Nothing is changed.

    --output json prints the ImportPlan.
    """
    if save is not None:
        _check_save(session, save, force=force, no_wait=no_wait or options["validate_only"])
    fields = import_fields(options)

    def show(session: Session, ended: Operation[migrate_pb2.ImportPlan]) -> ExitCode:
        plan = result_of(ended)
        if save is not None and plan is not None:
            _save(plan.mapping, save, force=force)
            if save == _STANDARD_OUTPUT:
                return ExitCode.DONE
        return show_result(session, ended)

    return run_operation(
        session,
        lambda client: client.imports.plan(database, daemon_path(file), **fields),
        no_wait=no_wait,
        show=show,
    )


@imports.command("run", epilog=_RUN_EXAMPLES + exit_codes_help())
@click.argument("file")
@database_option
@import_options
@click.option(
    "--processes",
    type=click.IntRange(0, 64),
    metavar="N",
    help="How many processes copy in parallel.  [default: one for each processor, 2 to 8]",
)
@click.option(
    "--no-verify",
    "skip_verification",
    is_flag=True,
    help="Publish without reading every value back.",
)
@start_options
@global_options
@click.pass_obj
def run_import(
    session: Session, /, file: str, database: str, *, no_wait: bool, **options: Any
) -> ExitCode:
    """Import FILE, read every value back, and show the report.

    --output json prints the ImportReport, also of an import that failed.
    """
    fields = import_fields(options)
    source = daemon_path(file)

    def show(session: Session, ended: Operation[migrate_pb2.ImportReport]) -> ExitCode:
        # An import that ends early, or whose worker is lost, has no report. Programs that read the
        # output get one all the same.
        def report(error: DbopsError) -> migrate_pb2.ImportReport:
            return migrate_pb2.ImportReport(
                operation=ended.name,
                outcome=migrate_pb2.ImportReport.FAILED,
                problem=error.message,
                source=source,
                schema=fields.get("schema", "public"),
            )

        return show_result(session, ended, substitute=report)

    return run_operation(
        session,
        lambda client: client.imports.run(database, source, **fields),
        no_wait=no_wait,
        show=show,
    )


@imports.command(
    "verify",
    epilog=_VERIFY_EXAMPLES + exit_codes_help(also=", or differences were found"),
)
@click.argument("operation")
@optional_database_option
@click.option(
    "--source",
    metavar="FILE",
    help="The SQLite file to compare with.  [default: that of the import]",
)
@max_examples_option
@starts_operation
def verify_import(
    client: DbopsClient,
    /,
    operation: str,
    *,
    database: str | None = None,
    source: str | None = None,
    **options: Any,
) -> Operation[migrate_pb2.VerifyImportResponse]:
    """Compare every value that import OPERATION brought with the file.

    After an append or upsert, rows that the import did not bring are ignored.
    --output json prints the VerifyImport response.
    """
    if source is not None:
        options["source"] = daemon_path(source)
    database = database or _database_of(client, operation)
    return client.imports.verify(database, operation, **options)


@imports.command("revert", epilog=exit_codes_help())
@click.argument("operation")
@optional_database_option
@starts_operation
def revert_import(
    client: DbopsClient, /, operation: str, *, database: str | None = None, **options: Any
) -> Operation[migrate_pb2.RevertImportResponse]:
    """Restore the tables that import OPERATION replaced.

    Everything written to the imported tables since then is lost. After --mode
    append or upsert the added rows are removed, and the changed and deleted
    rows are restored; the revert is refused if any of them was changed since.
    --output json prints the RevertImport response.
    """
    database = database or _database_of(client, operation)
    return client.imports.revert(database, operation, **options)


@imports.command("describe")
@click.argument("operation")
@global_options
@click.pass_obj
def describe_import(session: Session, operation: str) -> ExitCode:
    """Show the report of import OPERATION, which has ended.

    OPERATION may also be a plan, a verification or a revert. --output json
    prints what the command printed that started it. Exits with 1 if the
    operation ended without a report.
    """
    with session.client() as client:
        ended = client.operations.get(operation)
    if not ended.done:
        complain(f"dbops: {ended.name} has not ended. Run 'dbops operations watch {ended.name}'")
        return ExitCode.REFUSED
    result = result_of(ended)
    if isinstance(result, _RESULTS):
        print_result(session, result)
        return ExitCode.DONE
    if ended.error is not None:
        return report_failure(ended, ended.error)
    name = operation_name(operation)
    raise click.UsageError(f"{name} is not an import. Run 'dbops operations get {name}'.")


def _database_of(client: DbopsClient, operation: str) -> str:
    return client.operations.get(operation).metadata.database


def _check_save(session: Session, save: Path, *, force: bool, no_wait: bool) -> None:
    """Refuse, before anything is started, a file that could not be saved."""
    if no_wait:
        raise click.UsageError("--save needs the plan: it does not go with --no-wait.")
    if save == _STANDARD_OUTPUT:
        if session.settings.output == "json":
            raise click.UsageError("--save - and --output json both write to standard output.")
    elif save.exists() and not force:
        raise click.UsageError(f"{str(save)!r} exists. To replace it, add --force.")
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
    complain(f"dbops: the plan is saved in {save}")


def _harmless(text: str) -> str:
    """Return `text` without the control characters that could drive the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
