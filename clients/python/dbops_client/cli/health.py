"""`dbops health`: the health of the databases."""

import click
from dbops.v1 import health_pb2, resources_pb2

from dbops_client.cli import protobuf_json, tables, watch_health
from dbops_client.cli.options import global_options
from dbops_client.cli.session import ExitCode, Session

# A state that only a newer server knows does not count as serving.
_SERVING = frozenset({resources_pb2.Database.HEALTHY, resources_pb2.Database.DEGRADED})


_EXAMPLES = """\b
Examples:
  dbops health
  dbops health main --output json
  dbops health --watch
"""


@click.command(epilog=_EXAMPLES)
@click.argument("database", required=False)
@click.option("--watch", is_flag=True, help="Stay, and show each change until Ctrl-C.")
@global_options
@click.pass_obj
def health(session: Session, database: str | None, watch: bool) -> ExitCode:
    """Show the health of DATABASE, or of all databases, with every check.

    Exits with 1 if a database is UNHEALTHY or UNKNOWN, and with 0 if all are
    HEALTHY or DEGRADED: a degraded database serves.

    --output json prints the GetHealth response of DATABASE, or an array of the
    responses of all databases. With --watch it prints one line at each change;
    a terminal is redrawn after each probe.
    """
    with session.client() as client:
        names = (
            [database] if database is not None else [each.name for each in client.databases.list()]
        )
        # Also before a watch, which would wait for a server that is not there: this fails at once.
        healths = [client.health.get(name) for name in names]
        if watch:
            watch_health.follow(session, client, healths, tables.health_view)
        elif session.settings.output == "json":
            click.echo(
                protobuf_json.pretty(healths[0])
                if database is not None
                else protobuf_json.pretty_array(healths)
            )
        else:
            session.console().print(tables.health_view(healths))
    return _judge(healths)


def _judge(healths: list[health_pb2.DatabaseHealth]) -> ExitCode:
    return ExitCode.DONE if all(h.state in _SERVING for h in healths) else ExitCode.FAILED
