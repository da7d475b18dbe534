"""`dbops statements`: what the statements of a server cost, and how they are planned."""

import click

from dbops_client.cli.metric_options import Span
from dbops_client.cli.options import global_options
from dbops_client.cli.session import ExitCode, Session
from dbops_client.cli.session_views import session_table
from dbops_client.cli.statement_views import plan_view, statement_table

_EXAMPLES = """\b
Examples:
  dbops statements list main
  dbops statements list main --order mean --since 1h
  dbops statements list main --running
  dbops statements explain main -- -1320779068747914148
"""
_ORDERS = ["total", "mean", "calls", "io", "temp"]


@click.group(epilog=_EXAMPLES)
@global_options
def statements() -> None:
    """Show what the statements of a database's server cost."""


@statements.command("list")
@click.argument("database")
@click.option(
    "--order",
    type=click.Choice(_ORDERS),
    default="total",
    help="By total or mean execution time, calls, blocks read and written, or temporary blocks.  "
    "[default: total]",
)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, help="How many.  [default: 20]")
@click.option(
    "--since",
    type=Span(),
    metavar="TIME",
    help="Only what ran within this time until now, such as 1h, beside as long a time before. "
    "[default: all since the statistics were reset]",
)
@click.option(
    "--running", is_flag=True, help="What runs now, with those that block it, and nothing else."
)
@global_options
@click.pass_obj
def list_statements(
    session: Session, database: str, order: str, limit: int, since: float | None, running: bool
) -> ExitCode:
    """List the statements of DATABASE's server that cost most, the costliest first.

    Needs the extension pg_stat_statements, but for --running. Texts are for OPERATOR and
    above. --since takes the figures from the daemon's history. --output json prints the
    ListStatements response.
    """
    with session.client() as client:
        found = client.statements.list(
            database, order=order, limit=limit, window_s=since, running=running
        )
    if running:
        session.print(found, lambda: session_table(found.running, tree=True))
    else:
        session.print(found, lambda: statement_table(found, order))
    return ExitCode.DONE


@statements.command("explain")
@click.argument("database")
@click.argument("query_id")
@click.option(
    "--schema",
    "search_path",
    metavar="SCHEMA",
    multiple=True,
    help="Look names without a schema up in this one. May be repeated: in this order.  "
    "[default: the search_path of the role that ran the statement]",
)
@global_options
@click.pass_obj
def explain(
    session: Session, database: str, query_id: str, search_path: tuple[str, ...]
) -> ExitCode:
    """Show the generic plan of the statement with that QUERY_ID, which is not run.

    An identifier that begins with a minus sign goes after '--'. --output json prints the
    ExplainStatement response.
    """
    with session.client() as client:
        plan = client.statements.explain(database, query_id, search_path=search_path)
    session.print(plan, lambda: plan_view(plan))
    return ExitCode.DONE
