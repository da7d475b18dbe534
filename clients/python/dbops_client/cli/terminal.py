"""Standard output and error: a terminal, a file or a pipe."""

import os
import sys
from typing import IO, NoReturn

import click
from rich.console import Console

# Wide enough to keep each row of a table on one line in a file or pipe. COLUMNS overrides it.
_UNBOUNDED_WIDTH = 240


class StandardOutput(Console):
    """A console that raises BrokenPipeError; rich would exit with 1, which is "unhealthy" here."""

    def on_broken_pipe(self) -> NoReturn:
        self.quiet = True
        raise BrokenPipeError


class StandardError(Console):
    """A console that goes on without its reader: later notes are lost."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        let_go_of(self.file)


def let_go_of(stream: IO[str]) -> None:
    """Discard what is still buffered. Otherwise Python fails to flush it at exit: code 120."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def standard_output() -> Console:
    """Return a console on the present standard output."""
    console = StandardOutput(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        return StandardOutput(highlight=False, width=_UNBOUNDED_WIDTH)
    return console


def standard_error() -> Console:
    """Return a console on the present standard error, for progress and notes."""
    console = StandardError(stderr=True, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        return StandardError(stderr=True, highlight=False, width=_UNBOUNDED_WIDTH)
    return console


def complain(text: str) -> None:
    """Print one line on standard error, if anybody reads it."""
    try:
        click.echo(plain(text), err=True)
    except BrokenPipeError:
        let_go_of(sys.stderr)


def can_redraw(console: Console) -> bool:
    """Whether the console is a terminal that can be redrawn. FORCE_COLOR has no effect on this."""
    return console.file.isatty() and not console.is_dumb_terminal


def plain(text: str) -> str:
    """Return `text` on one line, without control characters, which could drive the terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
