"""`dbops` itself: its groups, and how it ends."""

import sys
from importlib import import_module
from typing import Any, NoReturn

import click
from click.exceptions import NoArgsIsHelpError

from dbops_client._errors import ConfigurationError, DbopsError
from dbops_client.cli.error_messages import explain
from dbops_client.cli.options import global_options
from dbops_client.cli.session import ExitCode, Session
from dbops_client.cli.terminal import complain, let_go_of

_EPILOG = """\b
Global options go before or after the command. Exit codes:
  0    done
  1    the operation failed or was cancelled; 'dbops health': a database is
       UNHEALTHY or UNKNOWN; 'dbops import verify': there are differences;
       'dbops backup verify' and 'drill': something is not ok; 'dbops migrate
       check': there are errors, or drift
  2    wrong usage
  3    the server refused the call or cannot be reached, or the operation was
       left running
  130  ended by Ctrl-C, as --watch is
  141  nobody reads the output any more (| head)

\b
Examples:
  dbops health
  dbops health main --watch
  dbops backup restore --target-time 15m --to /srv/restored
  dbops import run app.db --database main
  dbops migrate apply main
  dbops operations list --running
  dbops --server https://dbops.example.com databases list --output json

\b
Completion in the shell (also zsh_source, fish_source):
  eval "$(_DBOPS_COMPLETE=bash_source dbops)"
"""


# Name of a command: the module of this package that has it, as an object of the module's own name.
# It is imported when the command is used.
_COMMANDS = {
    "alerts": "alerts",
    "advice": "advice",
    "backup": "backup",
    "databases": "databases",
    "health": "health",
    "import": "imports",
    "metrics": "metrics",
    "migrate": "migrate",
    "operations": "operations",
    "schedules": "schedules",
    "sessions": "sessions",
    "settings": "settings",
    "statements": "statements",
    "workers": "workers",
}


class _Root(click.Group):
    """The top group. It turns every way in which a command can end into a line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = getattr(import_module(f"dbops_client.cli.{module}"), module)
        return command

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        session = extra.setdefault("obj", Session())
        extra["standalone_mode"] = False  # click itself has two exit codes only
        try:
            code = super().main(*args, **extra)
        except NoArgsIsHelpError as error:
            error.show()
            code = ExitCode.USAGE
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else "dbops"
            code = _fail(f"{error.format_message()} See '{path} --help'", ExitCode.USAGE)
        except ConfigurationError as error:
            code = _fail(str(error), ExitCode.USAGE)
        except DbopsError as error:
            code = _fail(explain(error, session.settings), ExitCode.REFUSED)
        except click.Abort:
            code = ExitCode.INTERRUPTED
        sys.exit(code or ExitCode.DONE)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            code = super().invoke(ctx)
            # Now, because at exit Python would report a reader that is gone in its own way.
            sys.stdout.flush()
        except BrokenPipeError:
            let_go_of(sys.stdout)
            return ExitCode.BROKEN_PIPE
        return code


def _fail(line: str, code: ExitCode) -> ExitCode:
    complain(f"dbops: {line}")
    return code


@click.group(cls=_Root, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@global_options
@click.version_option(package_name="dbops-client", prog_name="dbops")
def cli() -> None:
    """Call dbopsd, the operations side of PostgreSQL."""
