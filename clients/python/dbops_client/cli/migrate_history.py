"""`dbops migrate baseline`, `adopt` and `resolve`: they change the ledger and run nothing."""

from typing import Any

import click
from dbops.v1 import migrations_pb2

from dbops_client._sync.client import DbopsClient
from dbops_client._sync.operations import Operation
from dbops_client.cli.migrate_options import (
    EnumName,
    database_argument,
    reason_option,
    record_nothing_option,
    set_option,
    starts_migration_operation,
    trial_heading,
)
from dbops_client.cli.migrate_views import migration_view
from dbops_client.cli.options import global_options
from dbops_client.cli.run_operation import exit_codes_help
from dbops_client.cli.session import ExitCode, Session
from dbops_client.cli.start_options import given, request_id_option

_Tool = migrations_pb2.AdoptMigrationsRequest.Tool

_BASELINE_EXAMPLES = """\b
Examples:
  dbops migrate baseline main --to 004 --reason 'restored from a dump of production'

"""
_ADOPT_EXAMPLES = """\b
Examples:
  dbops migrate adopt main --from golang-migrate --validate-only
  dbops migrate adopt main --from flyway --table history.flyway_schema_history

"""
_RESOLVE_EXAMPLES = """\b
Examples:
  dbops migrate resolve main 007 --applied --reason 'the index was made by hand'
  dbops migrate resolve main 007 --not-applied --reason 'its first statement was undone'
"""


@click.command("baseline", epilog=_BASELINE_EXAMPLES + exit_codes_help())
@click.option(
    "--to", required=True, metavar="V", help="The newest version that the database already has."
)
@reason_option
@record_nothing_option
@starts_migration_operation(heading=trial_heading)
def baseline(
    client: DbopsClient, database: str, /, *, to: str, reason: str, **options: Any
) -> Operation[migrations_pb2.BaselineMigrationsResponse]:
    """Record migrations of DATABASE up to V as applied, without running them.

    For a database that has their schema without a history. --output json prints the
    BaselineMigrations response.
    """
    return client.migrations.baseline(database, to, reason, **options)


@click.command("adopt", epilog=_ADOPT_EXAMPLES + exit_codes_help())
@click.option(
    "--from",
    "tool",
    type=EnumName(_Tool.DESCRIPTOR),
    required=True,
    help="The tool that applied the migrations so far.",
)
@click.option(
    "--table", metavar="S.T", help="The tool's table, with its schema.  [default: the tool's own]"
)
@record_nothing_option
@starts_migration_operation(heading=trial_heading)
def adopt(
    client: DbopsClient, database: str, /, *, tool: str, **options: Any
) -> Operation[migrations_pb2.AdoptMigrationsResponse]:
    """Take over the history of another tool. Its table is read, and never written.

    --output json prints the AdoptMigrations response.
    """
    return client.migrations.adopt(database, tool, **options)  # type: ignore[arg-type]


@click.command("resolve", epilog=_RESOLVE_EXAMPLES)
@database_argument
@click.argument("version", metavar="V")
@set_option
@click.option("--applied", is_flag=True, help="It is applied: what was missing was done by hand.")
@click.option("--not-applied", is_flag=True, help="It is not: what was done was undone by hand.")
@reason_option
@request_id_option
@click.option(
    "--validate-only", is_flag=True, help="Tell whether it could be recorded; record nothing."
)
@global_options
@click.pass_obj
def resolve(
    session: Session,
    /,
    database: str,
    version: str,
    *,
    set_: str | None,
    applied: bool,
    not_applied: bool,
    reason: str,
    **options: Any,
) -> ExitCode:
    """Record what is so of migration V of DATABASE, whose end is not known.

    V of a repeatable migration is its name. --output json prints the Migration.
    """
    if applied == not_applied:
        raise click.UsageError("say what is so: either --applied or --not-applied.")
    with session.client() as client:
        found = client.migrations.resolve(
            database,
            version,
            "APPLIED" if applied else "NOT_APPLIED",
            reason,
            set=set_ or "",
            **given(options),
        )
    session.print(found, lambda: migration_view(found), defaults=True)
    return ExitCode.DONE
