"""`dbops backup`: take backups, look at them, keep and delete them."""

from typing import Any

import click
from dbops.v1 import backup_pb2

from dbops_client._sync.client import DbopsClient
from dbops_client._sync.operations import Operation
from dbops_client.cli.backup_options import (
    Until,
    database_of,
    database_option,
    only_planned,
    show_backup_result,
    starts_backup_operation,
)
from dbops_client.cli.backup_recovery import drill, restore, windows
from dbops_client.cli.backup_views import (
    backup_table,
    backup_view,
    backup_with_objects,
    wal_status_view,
)
from dbops_client.cli.options import global_options
from dbops_client.cli.run_operation import exit_codes_help, print_result, run_operation
from dbops_client.cli.session import ExitCode, Session
from dbops_client.cli.start_options import given, start_options

_KINDS = click.Choice(["full", "incremental", "logical"], case_sensitive=False)

_EXAMPLES = """\b
Examples:
  dbops backup create
  dbops backup create --kind incremental
  dbops backup windows
  dbops backup restore --target-time 15m --to /srv/restored --start
  dbops backup drill --random
"""
_CREATE_EXAMPLES = """\b
Examples:
  dbops backup create --kind full --label "before the upgrade" --hold-until 90d
  dbops backup create --kind logical --dbname app --table 'public.order*'

"""

_validate_only = click.option(
    "--validate-only", is_flag=True, help="Change nothing; tell whether it could be done."
)


@click.group(epilog=_EXAMPLES)
@global_options
def backup() -> None:
    """Take backups, restore to any moment, and prove it by restoring.

    B is a backup: its id, such as full-20261130t020000z-3f9a1c, or its whole name,
    databases/main/backups/ID.
    """


for _command in (restore, drill, windows):
    backup.add_command(_command)


@backup.command("create", epilog=_CREATE_EXAMPLES + exit_codes_help())
@click.option(
    "--kind",
    type=_KINDS,
    help="The whole cluster, what changed since the last backup (PostgreSQL 17 or later), or a "
    "dump.  [default: full]",
)
@click.option(
    "--checkpoint",
    type=click.Choice(["fast", "spread"], case_sensitive=False),
    help="Begin with a checkpoint at once, or one that is spread over time.  [default: fast]",
)
@click.option(
    "--from",
    "source",
    type=click.Choice(["primary", "standby"], case_sensitive=False),
    help="The server to take it from.  [default: as the configuration says]",
)
@click.option("--label", metavar="TEXT", help="A note for people.")
@click.option(
    "--hold-until",
    type=Until(),
    metavar="T",
    help="Do not remove it before this time: ISO 8601, or from now on, such as 90d.",
)
@click.option("--dbname", metavar="NAME", help="Of a logical one: the PostgreSQL database to dump.")
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="PATTERN",
    help="Of a logical one: only these tables, as pg_dump --table takes them. May be repeated.",
)
@click.option(
    "--schema-only",
    is_flag=True,
    help="Of a logical one: the schema without any rows, in a second. It is no way back to data.",
)
@starts_backup_operation
def create(client: DbopsClient, database: str, /, **options: Any) -> Operation[backup_pb2.Backup]:
    """Take a backup.

    An incremental one becomes full where there is nothing to rest on; it says why.
    --output json prints the Backup.
    """
    for name in ("kind", "checkpoint", "source"):
        if name in options:
            options[name] = options[name].upper()
    return client.backups.create(database, **options)


@backup.command("list")
@click.option("--kind", type=_KINDS, help="Only backups of this kind.")
@click.option("--all", "show_expired", is_flag=True, help="Expired backups too.")
@database_option
@global_options
@click.pass_obj
def list_backups(
    session: Session, kind: str | None, show_expired: bool, database: str | None
) -> ExitCode:
    """List the backups, the oldest first.

    --output json prints a ListBackups response that holds all pages.
    """
    with session.client() as client:
        listed = list(
            client.backups.list(
                database_of(client, database),
                kind=None if kind is None else kind.upper(),  # type: ignore[arg-type]
                show_expired=show_expired,
            )
        )
    response = backup_pb2.ListBackupsResponse(backups=listed)
    session.print(response, lambda: backup_table(listed), defaults=True)
    return ExitCode.DONE


@backup.command("describe")
@click.argument("name", metavar="B")
@database_option
@global_options
@click.pass_obj
def describe(session: Session, name: str, database: str | None) -> ExitCode:
    """Show all that is known about backup B.

    --output json prints the Backup, with its objects.
    """
    with session.client() as client:
        found = client.backups.get(database_of(client, database, [name]), name)
    session.print(found, lambda: backup_with_objects(found), defaults=True)
    return ExitCode.DONE


@backup.command("hold")
@click.argument("name", metavar="B")
@click.option(
    "--until",
    type=Until(),
    required=True,
    metavar="T",
    help="Until this time: ISO 8601, or from now on, such as 90d.",
)
@_validate_only
@database_option
@global_options
@click.pass_obj
def hold(
    session: Session, name: str, until: Any, validate_only: bool, database: str | None
) -> ExitCode:
    """Keep backup B, and what it rests on, from being removed.

    --output json prints the Backup.
    """
    with session.client() as client:
        found = client.backups.hold(
            database_of(client, database, [name]), name, until, validate_only=validate_only
        )
    return _print_backup(session, found)


@backup.command("release")
@click.argument("name", metavar="B")
@_validate_only
@database_option
@global_options
@click.pass_obj
def release(session: Session, name: str, validate_only: bool, database: str | None) -> ExitCode:
    """End the hold of backup B: retention decides about it again.

    --output json prints the Backup.
    """
    with session.client() as client:
        found = client.backups.release(
            database_of(client, database, [name]), name, validate_only=validate_only
        )
    return _print_backup(session, found)


@backup.command("delete", epilog=exit_codes_help())
@click.argument("name", metavar="B")
@click.option("--with-children", is_flag=True, help="And the backups that rest on it.")
@database_option
@start_options
@global_options
@click.pass_obj
def delete(
    session: Session, /, name: str, database: str | None, *, no_wait: bool, **options: Any
) -> ExitCode:
    """Delete backup B now, whatever retention says.

    --validate-only names what would be deleted. --output json prints the Backup as it was, with
    --validate-only the DeleteBackup response.
    """
    asked = only_planned(given(options))
    before = backup_pb2.Backup()

    def begin(client: DbopsClient) -> Operation[backup_pb2.DeleteBackupResponse]:
        of = database_of(client, database, [name])
        before.CopyFrom(client.backups.get(of, name))
        return client.backups.delete(of, name, **asked)

    def show(session: Session, ended: Operation[backup_pb2.DeleteBackupResponse]) -> ExitCode:
        if session.settings.output == "json" and ended.error is None and "dry_run" not in asked:
            print_result(session, before)
            return ExitCode.DONE
        return show_backup_result(session, ended)

    return run_operation(session, begin, no_wait=no_wait, show=show)


@backup.command("verify", epilog=exit_codes_help(also=", or something is not ok"))
@click.argument("backups", nargs=-1, metavar="[B]...")
@click.option("--all", is_flag=True, help="Expired and broken backups too.")
@click.option(
    "--depth",
    type=click.Choice(["objects", "contents"], case_sensitive=False),
    help="Compare the hash of each object, or also read what is inside.  [default: objects]",
)
@starts_backup_operation
def verify(
    client: DbopsClient, database: str, /, **options: Any
) -> Operation[backup_pb2.VerifyBackupsResponse]:
    """Verify backups B, by default every complete one and all WAL.

    --output json prints the VerifyBackups response.
    """
    if "depth" in options:
        options["depth"] = options["depth"].upper()
    return client.backups.verify(database, options.pop("backups", ()), **options)


@backup.command("retention", epilog=exit_codes_help())
@starts_backup_operation
def retention(
    client: DbopsClient, database: str, /, **options: Any
) -> Operation[backup_pb2.ApplyRetentionResponse]:
    """Expire and delete the backups that retention no longer wants.

    --validate-only shows what would be done. --output json prints the ApplyRetention response.
    """
    return client.backups.apply_retention(database, **only_planned(options))


@backup.command("rotate-keys", epilog=exit_codes_help())
@click.option("--to", required=True, metavar="K", help="The key of the configuration to wrap by.")
@starts_backup_operation
def rotate_keys(
    client: DbopsClient, database: str, /, *, to: str, **options: Any
) -> Operation[backup_pb2.RotateKeysResponse]:
    """Wrap every data key by key K, and no longer by others.

    --output json prints the RotateKeys response.
    """
    return client.backups.rotate_keys(database, to, **options)


@backup.group("wal")
@global_options
def wal() -> None:
    """Look at the WAL archive."""


@wal.command("status")
@database_option
@global_options
@click.pass_obj
def wal_status(session: Session, database: str | None) -> ExitCode:
    """Show how far the WAL archive is.

    --output json prints the WalStatus.
    """
    with session.client() as client:
        found = client.backups.wal_status(database_of(client, database))
    session.print(found, lambda: wal_status_view(found), defaults=True)
    return ExitCode.DONE


def _print_backup(session: Session, found: backup_pb2.Backup) -> ExitCode:
    session.print(found, lambda: backup_view(found), defaults=True)
    return ExitCode.DONE
