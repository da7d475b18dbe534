"""The daemon's command line: `dbopsd serve`, `worker`, `check-config`, `config-reference`, …."""

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Coroutine, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from dbopsd import app, reference
from dbopsd.app import Feature
from dbopsd.app.features import FEATURES
from dbopsd.config import CONFIG_FILE_VARIABLE, Config, load_config
from dbopsd.errors import ConfigurationError, DbopsError
from dbopsd.security.audit.command import audit
from dbopsd.security.command import token
from dbopsd.telemetry.log import set_up_logging

EXIT_CANNOT_START = 2
EXIT_LOST = 3

_LEAVE_S = 1.0

_config_option = click.option(
    "--config",
    "-c",
    "config_file",
    type=click.Path(path_type=Path),
    envvar=CONFIG_FILE_VARIABLE,
    show_envvar=True,
    help="The configuration, a TOML file. Environment variables such as DBOPSD_SECTION__KEY "
    "override its keys. A database without a dsn, or no database at all, means an embedded "
    "PostgreSQL in the state directory.",
)


def build_cli(features: Sequence[Feature] = (), *, module: str = "dbopsd") -> click.Group:
    """The command line of a daemon with these features; `python -m MODULE` starts its workers."""

    @click.group(context_settings={"help_option_names": ["-h", "--help"]})
    @click.version_option(version("dbopsd"), "--version", message="dbopsd %(version)s")
    def cli() -> None:
        """Run the operations side of PostgreSQL as one gRPC service.

        Exit codes: 0 stopped by a signal; 2 could not start, with the reason in one line.
        """

    @cli.command()
    @_config_option
    def serve(config_file: Path | None) -> None:
        """Serve until SIGTERM or Ctrl-C. A second signal does not wait for running calls.

        Runs `server.workers` worker processes, which do the work of long-running operations.
        """
        config = _prepare(config_file)
        where = ("--config", str(config_file.absolute())) if config_file else ()
        command = (sys.executable, "-m", module, "worker", *where)
        _run(app.serve(config, features=features, worker_command=command))

    @cli.command()
    @_config_option
    @click.option("--id", "worker_id", default="", hidden=True)
    @click.option("--replaces", default="", hidden=True)
    @click.option("--supervised", is_flag=True, hidden=True)
    @click.option("--embedded-dsn", default="", hidden=True)
    def worker(
        config_file: Path | None,
        worker_id: str,
        replaces: str,
        supervised: bool,
        embedded_dsn: str,
    ) -> None:
        """Run operations until SIGTERM or Ctrl-C. Other workers continue the unfinished ones.

        `dbopsd serve` starts its own workers. Start more, here or on other machines, with the same
        `server.control_url` and the same databases.

        Exit code 3: its heartbeat was missing for too long, and other workers took over.
        """
        config = _prepare(config_file)
        _run(
            app.work(
                config,
                features=features,
                worker_id=worker_id,
                replaces=replaces,
                embedded_dsn=embedded_dsn,
                supervised=supervised,
            )
        )

    @cli.command("check-config")
    @_config_option
    def check_config(config_file: Path | None) -> None:
        """Check the whole configuration without starting anything.

        Prints how many file descriptors the daemon needs, and how many it would have.
        """
        with _refusing():
            config = load_config(config_file)
            app.check_config(config, features)
        databases = ", ".join(
            f"{name} (embedded)" if database.embedded else name
            for name, database in sorted(config.databases.items())
        )
        click.echo(f"the configuration is right; databases: {databases}")
        click.echo(app.describe_descriptors(config))

    @cli.command("config-reference")
    def config_reference() -> None:
        """Print every key of the configuration, as Markdown."""
        click.echo(reference.markdown(), nl=False)

    @cli.command("alerts-reference")
    def alerts_reference() -> None:
        """Print every alert rule with its condition and its remedy, as Markdown."""
        from dbopsd.metrics.alerts import reference as alerts  # noqa: PLC0415 - seldom needed

        click.echo(alerts.markdown(), nl=False)

    @cli.command("metrics-reference")
    def metrics_reference() -> None:
        """Print every metric with its meaning, and the differences from postgres_exporter."""
        # Here, or a worker would load every collector.
        from dbopsd.metrics.reference.page import markdown  # noqa: PLC0415

        click.echo(markdown(), nl=False)

    @cli.group()
    def wal() -> None:
        """Archive WAL from the server's own machine."""

    @wal.command("push")
    @_config_option
    @click.argument("database")
    @click.argument("path", type=click.Path(path_type=Path))
    def push(config_file: Path | None, database: str, path: Path) -> None:
        """Store the WAL file PATH of DATABASE, and read it back. For `archive_command`.

        archive_command = 'dbopsd wal push --config /etc/dbopsd.toml main %p'

        DATABASE needs `wal = "archive_command"`. Exit code 0 says that the file is stored and may
        be removed; any other, that the server has to try again.
        """
        # Here, or a daemon without backups would load stores and codecs.
        from dbopsd.backup.wal_push import push_wal  # noqa: PLC0415

        with _refusing():
            config = load_config(config_file)
            asyncio.run(push_wal(config, database, path))

    @cli.group()
    def export() -> None:
        """Write what other programs read."""

    @export.command("prometheus-rules")
    @_config_option
    @click.option(
        "--output",
        "-o",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The file to write. Without it, they are printed.",
    )
    def prometheus_rules(config_file: Path | None, output: Path | None) -> None:
        """Write the alert rules for Prometheus 2.42 or newer, as the configuration has them.

        Changes for single databases are left out: Prometheus judges all by one rule.
        """
        with _refusing():
            text = app.prometheus_rules(load_config(config_file))
            if output is not None:
                _write(output, text)
                return
        click.echo(text, nl=False)

    cli.add_command(token)
    cli.add_command(audit)
    return cli


def _write(path: Path, text: str) -> None:
    """Replace the file at `path`, as a whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ConfigurationError("--output", f"'{path}': {error.strerror}") from error


def _prepare(config_file: Path | None) -> Config:
    """Load the configuration, make new files private, and set up the log."""
    with _refusing():
        config = load_config(config_file)
    os.umask(0o077)
    set_up_logging(config.telemetry)
    return config


def _run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main`, then exit the process with its status."""

    async def run_main() -> int:
        status = 0
        try:
            await main
        except DbopsError as exc:
            status = _complain(exc)
        # Threads that wait for an unavailable control store would keep the process alive.
        leaving = threading.Timer(_LEAVE_S, os._exit, (status,))
        leaving.daemon = True
        leaving.start()
        return status

    sys.exit(asyncio.run(run_main()))


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Exit with one line and an exit code on a `DbopsError`."""
    try:
        yield
    except DbopsError as exc:
        sys.exit(_complain(exc))


def _complain(exc: DbopsError) -> int:
    """Print the error and return its exit code."""
    click.echo(f"dbopsd: {exc}", err=True)
    return EXIT_LOST if isinstance(exc, app.LostWorker) else EXIT_CANNOT_START


cli = build_cli(FEATURES)


def main() -> None:
    """Run the command line."""
    cli(prog_name="dbopsd")


if __name__ == "__main__":
    main()
