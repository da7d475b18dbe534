"""`python -m bench [NAME…]`: measure, show a report, say which bars are missed."""

import contextlib
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.markup import escape

from bench.measurement import Measurement, Row, load_measurements
from bench.report import Outcome, print_outcome, print_summary, write_json
from bench.workbench import Workbench
from tests.support.servers import PostgresServers

_WIDTH = 150


class TookTooLong(Exception):
    """A measurement did not end within its limit."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--quick", is_flag=True, help="Fewer rounds, shorter waits, smaller files.")
@click.option("--long", is_flag=True, help="What takes many minutes, too.")
@click.option(
    "--rows",
    metavar="N",
    type=click.IntRange(min=1),
    help="Rows of the table that is imported.  [default: 2,000,000, with --quick 200,000]",
)
@click.option("--strict", is_flag=True, help="Exit 1 if a bar is missed.")
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the report to FILE as JSON, too.",
)
@click.option("--list", "listed", is_flag=True, help="Name the measurements and end.")
def main(
    names: tuple[str, ...],
    quick: bool,
    long: bool,
    rows: int | None,
    strict: bool,
    output: Path | None,
    listed: bool,
) -> None:
    """Measure NAME..., or everything.

    Ratios are of one run, their two sides measured in turn. Exit codes: 0 everything was measured;
    1 something was not, or, with --strict, a bar was missed; 2 wrong usage.
    """
    known = load_measurements()
    if listed:
        for name, measurement in known.items():
            click.echo(f"{name:20}{measurement.title}")
        return
    if unknown := set(names) - set(known):
        raise click.UsageError(f"no measurement {', '.join(unknown)}; there are {', '.join(known)}")
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    began = time.monotonic()
    with _ended_by_signals(), contextlib.closing(PostgresServers()) as servers:
        outcomes = []
        at_work = partial(Workbench, servers, quick=quick, long=long, rows=rows)
        for name in names or known:
            outcomes.append(_measure(name, known[name], at_work))
            print_outcome(console, outcomes[-1])
    print_summary(console, outcomes, time.monotonic() - began)
    if output is not None:
        write_json(output, outcomes, quick=quick)
    failed = any(outcome.failure for outcome in outcomes)
    missed = any(outcome.missed for outcome in outcomes)
    sys.exit(1 if failed or (strict and missed) else 0)


def _measure(name: str, measurement: Measurement, at_work: Callable[..., Workbench]) -> Outcome:
    began = time.monotonic()
    rows: tuple[Row, ...] = ()
    failure = ""
    with _progress(name) as say:
        try:
            with at_work(say=say) as bench, _limit(measurement.limit_s):
                rows = tuple(measurement.run(bench))
        except Exception:
            # The others are measured all the same.
            failure = traceback.format_exc()
    return Outcome(name, measurement.title, time.monotonic() - began, rows, failure)


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Callable[[str], None]]:
    """Say on a terminal what goes on, and nothing elsewhere: the report is what is kept."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _what: None
        return
    with console.status(name) as status:
        yield lambda what: status.update(f"{name}: {escape(what)}")


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Raise `TookTooLong` inside once `seconds` have passed."""

    def expire(_number: int, _frame: FrameType | None) -> None:
        raise TookTooLong(f"not done within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind as Ctrl-C does, so that servers and children end with us."""

    def end(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    main(prog_name="python -m bench")
