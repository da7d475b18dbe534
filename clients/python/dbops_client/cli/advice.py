"""`dbops advice`: what could be done about a database, and the SQL that does it."""

import click

from dbops_client.cli.advice_views import advice_table, advice_view, sql_lines
from dbops_client.cli.options import global_options
from dbops_client.cli.session import ExitCode, Session

_EXAMPLES = """\b
Examples:
  dbops advice list main
  dbops advice list main --kind unused_index --kind duplicate_index
  dbops advice show main duplicate-index-5f0c2a9b7d31
"""


@click.group(epilog=_EXAMPLES)
@global_options
def advice() -> None:
    """Show what could be done about a database. Nothing of it is ever applied."""


@advice.command("list")
@click.argument("database")
@click.option(
    "--kind",
    "kinds",
    metavar="KIND",
    multiple=True,
    help="Only advice of this kind, such as unused_index. May be repeated.",
)
@global_options
@click.pass_obj
def list_advice(session: Session, database: str, kinds: tuple[str, ...]) -> ExitCode:
    """List what could be done about DATABASE, the most useful first.

    It is judged anew each time. Kinds that could not be judged are named below the table.
    --output json prints a ListAdvice response that holds all pages.
    """
    with session.client() as client:
        found = client.advice.list(database, kinds=kinds)
    session.print(found, lambda: advice_table(found))
    return ExitCode.DONE


@advice.command("show")
@click.argument("database")
@click.argument("advice_id", metavar="ID")
@global_options
@click.pass_obj
def show(session: Session, database: str, advice_id: str) -> ExitCode:
    """Show the advice ID about DATABASE: evidence, gain, risk, what is not known, and the SQL.

    --output json prints the Advice.
    """
    with session.client() as client:
        found = client.advice.get(database, advice_id)
    session.print(found, lambda: advice_view(found))
    if session.settings.output == "table":
        for line in sql_lines(found):
            click.echo(line)
    return ExitCode.DONE
