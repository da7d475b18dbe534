"""`dbops backup restore`, `drill` and `windows`."""

from pathlib import Path
from typing import Any

import click
from dbops.v1 import backup_pb2

from dbops_client._sync.client import DbopsClient
from dbops_client._sync.operations import Operation
from dbops_client.cli.backup_options import (
    Mapping,
    database_of,
    database_option,
    only_planned,
    starts_backup_operation,
    target_fields,
    target_options,
)
from dbops_client.cli.options import global_options
from dbops_client.cli.recovery_windows import windows_view
from dbops_client.cli.run_operation import exit_codes_help
from dbops_client.cli.session import ExitCode, Session

_RESTORE_EXAMPLES = """\b
Examples:
  dbops backup restore --latest --to /srv/restored
  dbops backup restore --target-time 2026-11-30T08:00:00+01:00 --to /srv/restored --start
  dbops backup restore --target-lsn 0/16EF418 --validate-only
  dbops backup restore --backup logical-20261130t020000z-3f9a1c --dbname app

"""
_DRILL_EXAMPLES = """\b
Examples:
  dbops backup drill --random
  dbops backup drill --latest --check-sql checks.sql

"""


@click.command("restore", epilog=_RESTORE_EXAMPLES + exit_codes_help())
@target_options
@click.option(
    "--to",
    "directory",
    metavar="DIR",
    help="The directory on the worker's machine, empty or new.  [default: a new one in its state "
    "directory]",
)
@click.option(
    "--tablespace-mapping",
    "tablespace_mappings",
    type=Mapping(),
    multiple=True,
    metavar="OLD=NEW",
    help="Where a tablespace goes. Each needs one. May be repeated.",
)
@click.option(
    "--target-action",
    type=click.Choice(["promote", "pause"], case_sensitive=False),
    help="At the moment: take writes on a new timeline, or wait, taking reads.  [default: promote]",
)
@click.option("--start", is_flag=True, help="Start the restored server, and leave it running.")
@click.option(
    "--dbname", metavar="NAME", help="Of a logical backup: the PostgreSQL database to restore into."
)
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="TABLE",
    help="Of a logical backup: only this table. May be repeated.",
)
@starts_backup_operation
def restore(
    client: DbopsClient, database: str, /, **options: Any
) -> Operation[backup_pb2.RestoreReport]:
    """Restore to a moment, by default the latest, into a directory of its own.

    The plan is made first, and refused if the moment cannot be reached: --validate-only shows it,
    and restores nothing. --output json prints the RestoreReport.
    """
    options = target_fields(only_planned(options))
    if "directory" in options:
        options["directory"] = str(Path(options["directory"]).absolute())
    if "tablespace_mappings" in options:
        options["tablespace_mappings"] = dict(options["tablespace_mappings"])
    if "target_action" in options:
        options["target_action"] = options["target_action"].upper()
    return client.backups.restore(database, **options)


@click.command("drill", epilog=_DRILL_EXAMPLES + exit_codes_help(also=", or a check did not pass"))
@target_options
@click.option("--random", is_flag=True, help="To a random one of the moments in reach.")
@click.option(
    "--check-sql",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A file on this machine with SQL that must return true values only. Needs the role ADMIN.",
)
@click.option("--keep", is_flag=True, help="Keep the restored cluster's directory.")
@starts_backup_operation
def drill(
    client: DbopsClient, database: str, /, **options: Any
) -> Operation[backup_pb2.DrillReport]:
    """Restore into a scratch server, by default to the latest moment, and check it.

    --output json prints the DrillReport.
    """
    options = target_fields(options)
    if "check_sql" in options:
        options["check_sql"] = _text(options["check_sql"])
    return client.backups.drill(database, **options)


@click.command("windows")
@database_option
@global_options
@click.pass_obj
def windows(session: Session, database: str | None) -> ExitCode:
    """Show the moments that can be restored to, and every gap.

    --output json prints a ListRecoveryWindows response that holds all pages.
    """
    with session.client() as client:
        found = client.backups.windows(database_of(client, database))
    session.print(found, lambda: windows_view(found), defaults=True)
    return ExitCode.DONE


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{str(path)!r} cannot be read as text: {error}") from error
