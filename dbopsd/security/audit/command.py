"""`dbopsd audit`: verify and print the audit log."""

import json
import sys
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import click

from dbopsd.config import CONFIG_FILE_VARIABLE, load_config
from dbopsd.errors import DbopsError
from dbopsd.security.audit.verify import Report
from dbopsd.security.audit.verify import verify as verify_log

EXIT_BROKEN = 1
EXIT_CANNOT_SAY = 2

_config_option = click.option(
    "--config",
    "-c",
    "config_file",
    type=click.Path(path_type=Path),
    envvar=CONFIG_FILE_VARIABLE,
    show_envvar=True,
    help="The configuration, which has the path of the log.",
)
_path_argument = click.argument("path", type=click.Path(path_type=Path), required=False)


@click.group()
def audit() -> None:
    """Verify and print the audit log."""


@audit.command()
@_path_argument
@_config_option
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def verify(path: Path | None, config_file: Path | None, output: str) -> None:
    """Check that no record of the log was changed, added or removed.

    PATH is the current file, audit.jsonl. Default: the path in the configuration. The daemon may
    be running. Exit codes: 0 whole; 1 broken, with the place and the problem; 2 the log does not
    exist or cannot be read.
    """
    log = path or _configured(config_file)
    try:
        report = verify_log(log)
    except DbopsError as exc:
        _cannot_say(exc)
    if output == "json":
        click.echo(json.dumps({"whole": report.whole, "path": str(log), **asdict(report)}))
    else:
        _tell(log, report)
    if not report.whole:
        sys.exit(EXIT_BROKEN)


@audit.command()
@_path_argument
@_config_option
@click.option(
    "--lines",
    "-n",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many records to print.",
)
def tail(path: Path | None, config_file: Path | None, lines: int) -> None:
    """Print the newest records of the current file, one per line.

    The records are not verified; use `verify` for that.
    """
    log = path or _configured(config_file)
    try:
        with log.open(encoding="ascii", errors="replace") as file:
            newest = deque(file, lines)
    except OSError as exc:
        click.echo(f"dbopsd: {log}: {exc.strerror}", err=True)
        sys.exit(EXIT_CANNOT_SAY)
    for line in newest:
        click.echo(_for_people(line))


def _configured(config_file: Path | None) -> Path:
    try:
        config = load_config(config_file)
    except DbopsError as exc:
        _cannot_say(exc)
    return config.audit.path_in(config.server.state_dir)


def _cannot_say(exc: DbopsError) -> NoReturn:
    click.echo(f"dbopsd: {exc}", err=True)
    sys.exit(EXIT_CANNOT_SAY)


def _tell(log: Path, report: Report) -> None:
    for problem in report.problems:
        where = f"{problem.file} line {problem.line}" if problem.line else problem.file
        number = f", record {problem.sequence}" if problem.sequence else ""
        click.echo(f"{problem.kind}: {where}{number}: {problem.text}")
    for note in report.notes:
        click.echo(f"note: {note}")
    click.echo(
        f"{log}: {'whole' if report.whole else 'BROKEN'}; "
        f"records {report.first} to {report.last} in {report.files} files"
    )


def _for_people(line: str) -> str:
    try:
        fields: dict[str, Any] = dict(json.loads(line))
    except (ValueError, TypeError):
        return f"(not a record) {line.rstrip()[:200]!r}"
    words = [str(fields.get(key) or "-") for key in ("time", "event", "caller", "peer", "method")]
    resource = fields.get("resource")
    words += [str(name) for name in resource.values()] if isinstance(resource, dict) else []
    words += [str(fields[key]) for key in ("status", "reason", "operation") if fields.get(key)]
    # A forged line can contain control characters, which a terminal would obey.
    return "".join(char if char.isprintable() else "?" for char in " ".join(words))
