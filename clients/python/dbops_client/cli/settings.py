"""`dbops settings`: how a server is configured, and where from."""

from collections.abc import Iterable

import click
from dbops.v1 import metrics_pb2
from rich.console import RenderableType
from rich.text import Text

from dbops_client.cli.options import global_options
from dbops_client.cli.session import ExitCode, Session
from dbops_client.cli.tables import cell, new_table


@click.group()
@global_options
def settings() -> None:
    """Show the settings of a database's server."""


@settings.command("list")
@click.argument("database")
@click.option(
    "--changed",
    is_flag=True,
    help="Only those that differ from the built-in default, or for a role or a database.",
)
@global_options
@click.pass_obj
def list_settings(session: Session, database: str, changed: bool) -> ExitCode:
    """List the settings of DATABASE's server: value, unit, source, file and line.

    A setting that waits for a restart is marked. --output json prints a ListSettings
    response that holds all pages.
    """
    with session.client() as client:
        listed = list(client.settings.list(database, changed=changed, page_size=1000))
    response = metrics_pb2.ListSettingsResponse(settings=listed)
    session.print(response, lambda: _table(listed))
    return ExitCode.DONE


def _table(settings_: Iterable[metrics_pb2.Setting]) -> RenderableType:
    table = new_table("SETTING", "VALUE", "DEFAULT", "FROM", "TAKES EFFECT", "ALSO")
    for each in settings_:
        where = f"{each.source_file}:{each.source_line}" if each.source_file else each.source
        table.add_row(
            cell(each.setting),
            cell(each.display_value or each.value),
            cell(f"{each.default_value}{each.unit}"),
            cell(where),
            Text("at the next restart", style="yellow")
            if each.pending_restart
            else cell(each.context),
            cell("; ".join(map(_override, each.overrides))),
        )
    return table if table.row_count else Text("There are no such settings.")


def _override(override: metrics_pb2.Setting.Override) -> str:
    parts = [
        f"role {override.role}" if override.role else "",
        f"database {override.postgres_database}" if override.postgres_database else "",
    ]
    where = ", ".join(part for part in parts if part)
    return f"{override.value} ({where})"
