"""The options of `dbops backup`, and how its commands start an operation."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import click
from dbops.v1 import backup_pb2
from google.protobuf.message import Message

from dbops_client._names import database_id
from dbops_client._sync.client import DbopsClient
from dbops_client._sync.operations import Operation
from dbops_client.cli.metric_options import Moment, Span
from dbops_client.cli.options import global_options
from dbops_client.cli.run_operation import run_operation, show_result
from dbops_client.cli.session import ExitCode, Session
from dbops_client.cli.start_options import given, option_group, start_options

# What an operation fails with before it has changed anything: as good as a refused call.
_REFUSALS = frozenset(
    {
        *("TARGET_UNREACHABLE", "TARGET_AMBIGUOUS", "WAL_GAP", "BACKUP_DAMAGED"),
        *("KEY_MISSING", "KEY_WRONG", "DIRECTORY_NOT_EMPTY", "TOOLS_TOO_OLD"),
        *("SYSTEM_IDENTIFIER_CHANGED", "BACKUP_NOT_FOUND", "BACKUP_NOT_CONFIGURED"),
        *("RESTORE_DIRECTORY_UNUSABLE", "TABLESPACE_UNMAPPED", "INCREMENTAL_UNSUPPORTED"),
        *("BACKUP_HELD", "BACKUP_HAS_CHILDREN", "BACKUP_IN_USE", "BACKUP_IS_NEWEST"),
        *("BACKUP_BEING_DELETED", "KEY_UNREADABLE", "BACKUP_SOURCE_MISSING"),
        *("TABLE_NOT_FOUND", "TABLES_EXIST", "INVALID_FIELD"),
    }
)

database_option = click.option(
    "--database",
    metavar="DATABASE",
    help="The database. Needed if the daemon has more than one.",
)


class Until(Moment):
    """A moment to come: how far away it is, such as `30d`, or ISO 8601."""

    name = "until"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the moment."""
        if isinstance(value, str) and value[-1:] in "smhdw" and value[:1].isdigit():
            return datetime.now(UTC) + timedelta(seconds=Span().convert(value, param, ctx))
        return super().convert(value, param, ctx)


class Mapping(click.ParamType[tuple[str, str]]):
    """Two directories, `OLD=NEW`."""

    name = "OLD=NEW"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return both."""
        if isinstance(value, tuple):
            return value
        old, separator, new = value.partition("=")
        if not separator or not old or not new:
            self.fail(f"'{value}' is not OLD=NEW, two directories", param, ctx)
        return old, str(Path(new).absolute())


_TARGETS = {
    "latest": "--latest",
    "immediate": "--immediate",
    "target_time": "--target-time",
    "target_lsn": "--target-lsn",
    "target_xid": "--target-xid",
    "target_name": "--target-name",
}

target_options = option_group(
    click.option(
        "--latest", is_flag=True, help="To the end of the WAL that is archived. The default."
    ),
    click.option(
        "--immediate", is_flag=True, help="To the end of the backup, as soon as it is consistent."
    ),
    click.option(
        "--target-time",
        type=Moment(),
        metavar="TIME",
        help="To the last commit at or before this time: ISO 8601, in local time without an "
        "offset; or how long ago it is, such as 15m.",
    ),
    click.option("--target-lsn", metavar="LSN", help="To this LSN, such as 0/16EF418."),
    click.option("--target-xid", metavar="XID", help="To the commit of this transaction."),
    click.option(
        "--target-name",
        metavar="NAME",
        help="To this restore point, made by pg_create_restore_point().",
    ),
    click.option(
        "--exclusive",
        is_flag=True,
        help="Stop before the time, the LSN or the transaction, not after it.",
    ),
    click.option(
        "--timeline",
        metavar="N|latest|current",
        help="Recover along this timeline; current is that of the backup.  [default: the only one "
        "that has the moment]",
    ),
    click.option(
        "--backup",
        metavar="B",
        help="Begin with this backup.  [default: the newest one before the moment]",
    ),
)


def target_fields(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with the target as the client takes it."""
    wanted = [name for name in _TARGETS if name in options]
    if len(wanted) > 1:
        first, second, *_ = (_TARGETS[name] for name in wanted)
        raise click.UsageError(f"{first} does not go with {second}: choose one.")
    fields: dict[str, Any] = {name: options.pop(name) for name in wanted}
    fields = {name.removeprefix("target_"): value for name, value in fields.items()}
    for name in ("exclusive", "timeline"):
        if name in options:
            fields[name] = options.pop(name)
    return {**options, "target": backup_pb2.RecoveryTarget(**fields)} if fields else options


def database_of(client: DbopsClient, database: str | None, backups: Iterable[str] = ()) -> str:
    """Return the database that is meant: the given one, that of the backups, or the only one.

    Raises click.UsageError.
    """
    named = {database_id(each).partition("/")[0] for each in backups if "/" in each}
    if database is not None:
        named.add(database_id(database))
    if len(named) > 1:
        raise click.UsageError(f"there are several databases: {', '.join(sorted(named))}.")
    if not named:
        named = {database_id(each.name) for each in client.databases.list()}
        if len(named) != 1:
            known = ", ".join(sorted(named)) or "the daemon has none"
            raise click.UsageError(f"which database? Add --database: {known}.")
    return named.pop()


def show_backup_result(session: Session, ended: Operation[Any]) -> ExitCode:
    """Print the result of an operation; return the exit code, REFUSED where nothing was begun."""
    code = show_result(session, ended)
    if ended.error is not None and ended.error.reason in _REFUSALS:
        return ExitCode.REFUSED
    return code


def starts_backup_operation(
    start: Callable[..., Operation[Message]],
) -> Callable[..., ExitCode]:
    """Make a command of a function that starts an operation on backups.

    The function gets the client, the database, and by name the arguments and options that were
    given. Otherwise as `starts_operation`.
    """

    @database_option
    @start_options
    @global_options
    @click.pass_obj
    @wraps(start)
    def command(session: Session, /, *, database: str | None, no_wait: bool, **options: Any) -> Any:
        asked = given(options)

        def begin(client: DbopsClient) -> Operation[Message]:
            return start(client, database_of(client, database, _backups(asked)), **asked)

        return run_operation(session, begin, no_wait=no_wait, show=show_backup_result)

    return command


def _backups(options: dict[str, Any]) -> Sequence[str]:
    if "backups" in options:
        names: Sequence[str] = options["backups"]
        return names
    return [options["backup"]] if "backup" in options else []


def only_planned(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with --validate-only as a dry run, which makes the whole plan."""
    if options.pop("validate_only", False):
        options["dry_run"] = True
    return options
