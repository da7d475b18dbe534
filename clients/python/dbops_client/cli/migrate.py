"""`dbops migrate`: versioned migrations of a schema."""

import sys
from collections.abc import Iterator
from typing import Any

import click
from dbops.v1 import migrations_pb2

from dbops_client._errors import DbopsError
from dbops_client._sync.client import DbopsClient
from dbops_client._sync.operations import Operation
from dbops_client.cli.migrate_history import adopt, baseline, resolve
from dbops_client.cli.migrate_options import (
    EnumName,
    database_argument,
    extent_options,
    lock_wait_option,
    set_option,
    starts_migration_operation,
    try_option,
)
from dbops_client.cli.migrate_views import is_in_order, migration_list_view
from dbops_client.cli.options import global_options
from dbops_client.cli.run_operation import exit_codes_help
from dbops_client.cli.session import ExitCode, Session
from dbops_client.cli.terminal import complain, plain

_State = migrations_pb2.Migration.State

_EXAMPLES = """\b
Examples:
  dbops migrate list main
  dbops migrate check main --roundtrip
  dbops migrate apply main
  dbops migrate rollback main --to 004
  dbops migrate adopt main --from flyway --validate-only
"""
_CHECK_EXAMPLES = """\b
Examples:
  dbops migrate check main
  dbops migrate check main --drift
  dbops migrate check main --roundtrip --strict --output json > findings.json

"""
_APPLY_EXAMPLES = """\b
Examples:
  dbops migrate apply main --validate-only
  dbops migrate apply main
  dbops migrate apply main --to 004 --lock-wait 300
  dbops migrate apply main --phase contract
  dbops migrate apply main --override-findings 'the table is empty until the launch'

"""
_ROLLBACK_EXAMPLES = """\b
Examples:
  dbops migrate rollback main
  dbops migrate rollback main --to 004 --validate-only

"""


@click.group(epilog=_EXAMPLES)
@global_options
def migrate() -> None:
    """List, check, apply and roll back versioned migrations of a schema.

    The files are on the machine of the daemon: its configuration names their folder,
    databases.DATABASE.migrations_dir. V is a version as its file writes it.
    """


for _command in (baseline, adopt, resolve):
    migrate.add_command(_command)


@migrate.command("list")
@database_argument
@set_option
@click.option(
    "--state",
    "states",
    type=EnumName(_State.DESCRIPTOR),
    multiple=True,
    help="Only migrations in this state. May be repeated.",
)
@click.option(
    "--exit-code",
    is_flag=True,
    help="Exit with 1 if a migration is pending, or anything is not as it should be.",
)
@global_options
@click.pass_obj
def list_migrations(
    session: Session, database: str, set_: str | None, states: tuple[str, ...], exit_code: bool
) -> ExitCode:
    """List the migrations of DATABASE in the order in which they apply.

    --output json prints a ListMigrations response that holds all pages.
    """
    wanted = {_State.Value(state) for state in states}
    with session.client() as client:
        # All of them, whatever is shown: the exit code is about all.
        found = client.migrations.list(database, set=set_ or "")
    in_order = is_in_order(found)
    if wanted:
        shown = [each for each in found.migrations if each.state in wanted]
        del found.migrations[:]
        found.migrations.extend(shown)
    session.print(found, lambda: migration_list_view(database, found), defaults=True)
    return ExitCode.FAILED if exit_code and not in_order else ExitCode.DONE


def _check_without_result(
    _operation: str, error: DbopsError
) -> migrations_pb2.CheckMigrationsResponse:
    return migrations_pb2.CheckMigrationsResponse(ok=False, notes=[error.message])


def _what_is_well(
    options: dict[str, Any], found: migrations_pb2.CheckMigrationsResponse
) -> Iterator[str]:
    """Say of what was asked for, and is in order, that it is."""
    unknown = any(note.startswith("drift is not known") for note in found.notes)
    if options.get("drift") and not found.drift and not unknown:
        yield "No drift: the schema is as the last migration left it."
    if options.get("roundtrip"):
        restored = sum(each.result == each.RESTORED for each in found.roundtrip)
        yield f"Round trip: {restored} of {len(found.roundtrip)} restored the schema."


def _report_of_failure(operation: str, error: DbopsError) -> migrations_pb2.MigrationReport:
    return migrations_pb2.MigrationReport(
        operation=operation, outcome=migrations_pb2.MigrationReport.FAILED, problem=error.message
    )


@migrate.command(
    "check", epilog=_CHECK_EXAMPLES + exit_codes_help(also=", or found an error or drift")
)
@click.option(
    "--drift", is_flag=True, help="And whether the schema is still as the last migration left it."
)
@click.option(
    "--roundtrip",
    is_flag=True,
    help="And whether each rollback restores the schema, on a scratch database.",
)
@click.option(
    "--roundtrip-limit",
    "roundtrip_limit_s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="How long the round trips may take; the rest is NOT_TRIED.  [default: no limit]",
)
@click.option("--strict", is_flag=True, help="Warnings fail the check, too.")
@starts_migration_operation(_check_without_result, remarks=_what_is_well)
def check(
    client: DbopsClient, database: str, /, **options: Any
) -> Operation[migrations_pb2.CheckMigrationsResponse]:
    """Check the migrations of DATABASE that are not applied. Nothing is changed.

    --output json prints the CheckMigrations response.
    """
    return client.migrations.check(database, **options)


@migrate.command("apply", epilog=_APPLY_EXAMPLES + exit_codes_help())
@extent_options(
    to="The last version to apply.  [default: all]",
    count="Apply so many at most.  [default: all]",
)
@click.option(
    "--phase",
    type=EnumName(migrations_pb2.Migration.Phase.DESCRIPTOR),
    help="Up to the first migration of the phase contract, or up to and with the last of them.  "
    "[default: expand]",
)
@click.option(
    "--out-of-order", is_flag=True, help="And migrations that are older than applied ones."
)
@click.option(
    "--override-findings",
    metavar="REASON",
    help="Apply in spite of errors that the check finds, for this reason. Needs the role ADMIN.",
)
@try_option
@lock_wait_option
@starts_migration_operation(_report_of_failure)
def apply(
    client: DbopsClient, database: str, /, **options: Any
) -> Operation[migrations_pb2.MigrationReport]:
    """Apply the migrations of DATABASE, one after the other.

    Nothing to do is no failure. --output json prints the MigrationReport, also of an apply that
    failed.
    """
    return client.migrations.apply(database, **options)


@migrate.command("rollback", epilog=_ROLLBACK_EXAMPLES + exit_codes_help())
@extent_options(
    to="Roll back every migration after this version, which stays.",
    count="Roll back so many, the newest first.  [default: 1]",
)
@try_option
@lock_wait_option
@click.option("--yes", is_flag=True, help="Do not ask. Without a terminal nobody is asked.")
@starts_migration_operation(_report_of_failure)
def rollback(
    client: DbopsClient, database: str, /, *, yes: bool = False, **options: Any
) -> Operation[migrations_pb2.MigrationReport]:
    """Roll migrations of DATABASE back, the newest first; by default one.

    Every rollback file is checked before anything starts. --output json prints the
    MigrationReport, also of a rollback that failed.
    """
    if not yes and "validate_only" not in options and _can_ask():
        _ask(client, database, options)
    return client.migrations.rollback(database, **options)


def _can_ask() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _ask(client: DbopsClient, database: str, options: dict[str, Any]) -> None:
    """Ask whether to go on. Raises click's Exit if not."""
    number = options.get("count", 1)
    what = "the newest migration" if number == 1 else f"the {number} newest migrations"
    if "to" in options:
        what = f"every migration after {options['to']}"
    found = client.migrations.list(database, set=options.get("set", ""))
    version = f", which is at version {found.current_version}" if found.current_version else ""
    question = plain(f"Roll back {what} of {database}{version}? What it made is lost.")
    if not click.confirm(question, err=True):
        complain("dbops: nothing was rolled back")
        raise click.exceptions.Exit(ExitCode.FAILED)
