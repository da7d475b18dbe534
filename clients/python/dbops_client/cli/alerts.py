"""`dbops alerts`: what is wrong, who need not hear of it, and whether anybody would."""

from datetime import UTC, datetime

import click
from dbops.v1 import metrics_pb2
from rich.text import Text

from dbops_client.cli import protobuf_json
from dbops_client.cli.alert_views import alert_line, alert_view, channel_view, silence_view
from dbops_client.cli.metric_options import Span, label_option
from dbops_client.cli.options import global_options
from dbops_client.cli.session import ExitCode, Session

_STATES = {
    "firing": ("FIRING",),
    "pending": ("PENDING",),
    "silenced": ("SILENCED",),
    "all": ("FIRING", "PENDING", "SILENCED", "RESOLVED"),
}
_EXAMPLES = """\b
Examples:
  dbops alerts list
  dbops alerts list main --state all
  dbops alerts silence DeadRows --for 2h --reason 'a load runs' --database main
  dbops alerts test
"""


@click.group(epilog=_EXAMPLES)
@global_options
def alerts() -> None:
    """Show and silence alerts, and test who hears of them."""


@alerts.command("list")
@click.argument("database", required=False)
@click.option(
    "--state",
    type=click.Choice(list(_STATES), case_sensitive=False),
    help="Only alerts in that state; all: also those that were resolved within a day.  "
    "[default: firing, pending and silenced]",
)
@global_options
@click.pass_obj
def list_alerts(session: Session, database: str | None, state: str | None) -> ExitCode:
    """List the alerts of DATABASE, or of all databases, with what to do about each.

    --output json prints a ListAlerts response that holds all pages.
    """
    states = _STATES[state] if state else ()
    with session.client() as client:
        listed = list(client.alerts.list(database, states=states, page_size=1000))
    session.print(metrics_pb2.ListAlertsResponse(alerts=listed), lambda: alert_view(listed))
    return ExitCode.DONE


@alerts.command("watch")
@click.argument("database", required=False)
@global_options
@click.pass_obj
def watch(session: Session, database: str | None) -> ExitCode:
    """Show the alerts of DATABASE, or of all databases, and each change, until Ctrl-C.

    Each is a line. --output json prints one alert a line.
    """
    with session.client() as client, client.alerts.watch(database) as changes:
        console = session.console()
        for change in changes:
            if change.caught_up:
                continue
            if session.settings.output == "json":
                click.echo(protobuf_json.line(change.alert))
            else:
                line = alert_line(change.alert, datetime.now(UTC))
                console.print(Text(line), soft_wrap=True)
                console.file.flush()
    return ExitCode.DONE


@alerts.command("silence")
@click.argument("name")
@click.option("--for", "for_s", type=Span(), required=True, help="For how long: 30m, 2h, 3d.")
@click.option("--reason", required=True, help="Why, in one line.")
@click.option("--database", help="Only of this database.  [default: every one]")
@label_option("alerts")
@click.option(
    "--validate-only", is_flag=True, help="Change nothing; tell whether it could be done."
)
@global_options
@click.pass_obj
def silence(
    session: Session,
    name: str,
    for_s: float,
    reason: str,
    database: str | None,
    labels: tuple[tuple[str, str], ...],
    validate_only: bool,
) -> ExitCode:
    """Notify nobody of the alerts NAME for a time; '*' means every alert.

    They are listed all the same. --output json prints the silence.
    """
    with session.client() as client:
        made = client.alerts.silence(
            name,
            for_s=for_s,
            reason=reason,
            database=database,
            labels=dict(labels),
            validate_only=validate_only,
        )
    session.print(made, lambda: silence_view([made]))
    return ExitCode.DONE


@alerts.command("silences")
@global_options
@click.pass_obj
def list_silences(session: Session) -> ExitCode:
    """List the silences that are in force.

    --output json prints a ListSilences response that holds all pages.
    """
    with session.client() as client:
        listed = list(client.alerts.silences(page_size=1000))
    response = metrics_pb2.ListSilencesResponse(silences=listed)
    session.print(response, lambda: silence_view(listed))
    return ExitCode.DONE


@alerts.command("unsilence")
@click.argument("id")
@global_options
@click.pass_obj
def unsilence(session: Session, id: str) -> ExitCode:  # noqa: A002 - as the option is called
    """End the silence ID before its time."""
    with session.client() as client:
        client.alerts.unsilence(id)
    return ExitCode.DONE


@alerts.command("test")
@click.argument("channels", nargs=-1)
@global_options
@click.pass_obj
def test(session: Session, channels: tuple[str, ...]) -> ExitCode:
    """Send a message through CHANNELS, or through every channel.

    Exits with 1 if one did not take it, or if there is none. --output json prints how
    each answered.
    """
    with session.client() as client:
        response = client.alerts.test(channels)
    session.print(response, lambda: channel_view(response), defaults=True)
    delivered = [each.delivered for each in response.results]
    return ExitCode.DONE if delivered and all(delivered) else ExitCode.FAILED
