"""What a run of the command works with: its settings, its client, its terminal."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Literal

from rich.console import Console

from dbops_client._address import DEFAULT_TARGET
from dbops_client._channel import DEFAULT_TIMEOUT_S
from dbops_client._metadata import token_of
from dbops_client._sync.client import DbopsClient
from dbops_client.cli.terminal import standard_error, standard_output

OutputFormat = Literal["table", "json"]


class ExitCode(IntEnum):
    """How the command ends, for the program that started it."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    # Also of an operation that was left running: a script must not take it for done.
    REFUSED = 3
    # 128 and the signal's number, as shells have it: Ctrl-C, and a reader that went away (`|
    # head`).
    INTERRUPTED = 130
    BROKEN_PIPE = 141


@dataclass
class Settings:
    """The global options, gathered from before and after the command's name."""

    server: str = DEFAULT_TARGET
    # One of the two at most.
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    tls: bool | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S
    output: OutputFormat = "table"


def connect(settings: Settings) -> DbopsClient:
    """Make the client that the settings describe; raises ConfigurationError."""
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
    """One run of the command. What it touches outside itself is handed in, by tests too."""

    connect: Callable[[Settings], DbopsClient] = connect
    console: Callable[[], Console] = standard_output
    # Where progress and notes go: standard output is the result's.
    notes: Callable[[], Console] = standard_error
    settings: Settings = field(default_factory=Settings)

    def client(self) -> DbopsClient:
        """Make a client; the caller closes it."""
        return self.connect(self.settings)
