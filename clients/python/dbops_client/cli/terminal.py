"""Standard output and error: a terminal, a file or a pipe."""

import os
import sys
from typing import IO, NoReturn

import click
from rich.console import Console

# Wide enough that a table in a file or a pipe keeps a row on a line; COLUMNS says otherwise.
_UNBOUNDED_WIDTH = 240


class StandardOutput(Console):
    """A console that lets a broken pipe be seen, where rich would exit with 1: "unhealthy" here."""

    def on_broken_pipe(self) -> NoReturn:
        self.quiet = True
        raise BrokenPipeError


class StandardError(Console):
    """A console whose reader may go away: notes are lost then, and the command goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        let_go_of(self.file)


def let_go_of(stream: IO[str]) -> None:
    """Give what is still buffered a place to go, or Python complains about it at exit: 120."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def standard_output() -> Console:
    """Return a console on the standard output of this moment."""
    console = StandardOutput(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        return StandardOutput(highlight=False, width=_UNBOUNDED_WIDTH)
    return console


def standard_error() -> Console:
    """Return a console on the standard error of this moment, for what is not the result."""
    console = StandardError(stderr=True, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        return StandardError(stderr=True, highlight=False, width=_UNBOUNDED_WIDTH)
    return console


def complain(text: str) -> None:
    """Say something on standard error, on one line; whether or not somebody is there to read it."""
    try:
        click.echo(plain(text), err=True)
    except BrokenPipeError:
        let_go_of(sys.stderr)


def can_redraw(console: Console) -> bool:
    """Whether a display may be redrawn in place. FORCE_COLOR makes no terminal of a file."""
    return console.file.isatty() and not console.is_dumb_terminal


def plain(text: str) -> str:
    """Return `text` on one line and without control characters, which could drive the terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
