"""`dbops databases`: the databases that the daemon monitors."""

import click
from dbops.v1 import health_pb2, resources_pb2
from rich.console import RenderableType

from dbops_client.cli import tables, watch_health
from dbops_client.cli.options import global_options
from dbops_client.cli.session import ExitCode, Session

_EXAMPLES = """\b
Examples:
  dbops databases list
  dbops databases list --output json
"""


@click.group()
@global_options
def databases() -> None:
    """Show the databases that the daemon monitors."""


@databases.command("list", epilog=_EXAMPLES)
@click.option("--watch", is_flag=True, help="Stay, and show each change until Ctrl-C.")
@global_options
@click.pass_obj
def list_databases(session: Session, watch: bool) -> ExitCode:
    """List the databases, with the state of each.

    --output json prints a ListDatabases response that holds all pages; with
    --watch one DatabaseHealth a line, at each change.
    """
    with session.client() as client:
        listed = list(client.databases.list())
        if watch:
            healths = [_health_of(each) for each in listed]
            watch_health.follow(session, client, healths, lambda now: _updated(listed, now))
        else:
            response = health_pb2.ListDatabasesResponse(databases=listed)
            session.print(response, lambda: tables.database_table(listed))
    return ExitCode.DONE


def _health_of(database: resources_pb2.Database) -> health_pb2.DatabaseHealth:
    return health_pb2.DatabaseHealth(
        name=database.name,
        state=database.state,
        server_role=database.server_role,
        server_version=database.server_version,
    )


def _updated(
    listed: list[resources_pb2.Database], healths: list[health_pb2.DatabaseHealth]
) -> RenderableType:
    """Return the table of `listed`, updated with the latest health of each."""
    now = {health.name: health for health in healths}
    rows = []
    for database in listed:
        row = resources_pb2.Database()
        row.CopyFrom(database)
        health = now[database.name]
        row.state = health.state
        row.server_role = health.server_role
        row.server_version = health.server_version
        rows.append(row)
    return tables.database_table(rows)
