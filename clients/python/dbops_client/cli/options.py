"""The global options, which go before or after the command; the last one wins."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from dbops_client._address import DEFAULT_TARGET
from dbops_client._channel import DEFAULT_TIMEOUT_S
from dbops_client.cli.session import Session

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _keep(setting: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value is None:
            return
        source = context.get_parameter_source(parameter.name or "")
        if context.parent is not None and source is ParameterSource.ENVIRONMENT:
            # The root has read the environment, and an option before the command overrides it.
            return
        setattr(context.ensure_object(Session).settings, setting, value)

    return keep


def _keep_credential(
    setting: str, other: str
) -> Callable[[click.Context, click.Parameter, Any], None]:
    """Keep one of two settings that exclude each other: an option overrides the environment."""

    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value is None:
            return
        settings = context.ensure_object(Session).settings
        source = context.get_parameter_source(parameter.name or "")
        if source is ParameterSource.ENVIRONMENT and (
            context.parent is not None or getattr(settings, other) is not None
        ):
            return
        setattr(settings, other, None)
        setattr(settings, setting, value)

    return keep


_FILE = click.Path(path_type=Path)

# In the order of the help text.
_OPTIONS = (
    click.option(
        "--server",
        metavar="ADDRESS",
        envvar="DBOPS_SERVER",
        show_envvar=True,
        expose_value=False,
        callback=_keep("server"),
        help=f"Address of dbopsd: host, host:port or https://host.  [default: {DEFAULT_TARGET}]",
    ),
    click.option(
        "--token",
        metavar="TOKEN",
        envvar="DBOPS_TOKEN",
        show_envvar=True,
        expose_value=False,
        callback=_keep_credential("token", "token_file"),
        help="Your token. Anybody on this machine can read a command line in the process list: "
        "prefer the environment variable, or --token-file.",
    ),
    click.option(
        "--token-file",
        type=_FILE,
        envvar="DBOPS_TOKEN_FILE",
        show_envvar=True,
        expose_value=False,
        callback=_keep_credential("token_file", "token"),
        help="File with the token. It is read before each call, so it may be replaced.",
    ),
    click.option(
        "--tls/--plaintext",
        default=None,
        expose_value=False,
        callback=_keep("tls"),
        help="Require TLS or plaintext.  [default: TLS for an https:// address, or with --ca or "
        "--cert]",
    ),
    click.option(
        "--ca",
        type=_FILE,
        expose_value=False,
        callback=_keep("ca"),
        help="PEM file of the certificate authorities to trust. Turns on TLS.",
    ),
    click.option(
        "--cert",
        type=_FILE,
        expose_value=False,
        callback=_keep("certificate"),
        help="PEM file of your client certificate. Turns on TLS, and needs --key.",
    ),
    click.option(
        "--key",
        type=_FILE,
        expose_value=False,
        callback=_keep("key"),
        help="PEM file of the client certificate's private key.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        expose_value=False,
        callback=_keep("timeout_s"),
        help=f"How long to wait for the answer to a call.  [default: {DEFAULT_TIMEOUT_S:g}]",
    ),
    click.option(
        "--output",
        type=click.Choice(["table", "json"]),
        expose_value=False,
        callback=_keep("output"),
        help="A table for people, or the response as protobuf JSON.  [default: table]",
    ),
)


def global_options(command: _Command) -> _Command:
    """Add the global options to a command or group. Their values go to `Session.settings`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
