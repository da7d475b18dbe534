"""The settings, the client and the terminal of one run of the command."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Literal

import click
from google.protobuf.message import Message
from rich.console import Console, RenderableType

from dbops_client._address import DEFAULT_TARGET
from dbops_client._channel import DEFAULT_TIMEOUT_S
from dbops_client._metadata import token_of
from dbops_client._sync.client import DbopsClient
from dbops_client.cli import protobuf_json
from dbops_client.cli.terminal import standard_error, standard_output

OutputFormat = Literal["table", "json"]


class ExitCode(IntEnum):
    """The exit codes of the command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    # Also if an operation was left running: a script must not take it for done.
    REFUSED = 3
    # 128 and the number of the signal, as in shells: Ctrl-C, and a reader that is gone (`| head`).
    INTERRUPTED = 130
    BROKEN_PIPE = 141


@dataclass
class Settings:
    """The global options, wherever they are on the command line."""

    server: str = DEFAULT_TARGET
    # At most one of the two is set.
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    tls: bool | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S
    output: OutputFormat = "table"


def connect(settings: Settings) -> DbopsClient:
    """Make a client with these settings; raises ConfigurationError."""
    read = None if settings.token_file is None else token_of(settings.token_file)
    return DbopsClient(
        settings.server,
        token=read or settings.token,
        tls=settings.tls,
        ca=settings.ca,
        certificate=settings.certificate,
        key=settings.key,
        timeout_s=settings.timeout_s,
    )


@dataclass
class Session:
    """One run of the command, with its collaborators, which tests replace."""

    connect: Callable[[Settings], DbopsClient] = connect
    console: Callable[[], Console] = standard_output
    # The console for progress and notes: standard output is for the result.
    notes: Callable[[], Console] = standard_error
    settings: Settings = field(default_factory=Settings)

    def client(self) -> DbopsClient:
        """Make a client, which the caller closes."""
        return self.connect(self.settings)

    def print(
        self, message: Message, view: Callable[[], RenderableType], *, defaults: bool = False
    ) -> None:
        """Print a message on standard output: as JSON, or for people as `view` makes it.

        With `defaults`, JSON includes fields that are zero, false or empty.
        """
        if self.settings.output == "json":
            write = protobuf_json.pretty_with_defaults if defaults else protobuf_json.pretty
            click.echo(write(message))
        else:
            self.console().print(view())
