"""The `dbops` command, run in the process of the test, where it need not start anew each time.

Tests of the command as a program start it, in `tests/e2e/test_dbops.py` and `test_command.py`.
"""

from dataclasses import dataclass

from click.testing import CliRunner
from dbops_client.cli.root import cli


@dataclass(frozen=True)
class Ended:
    """How the command ended."""

    code: int
    out: str
    err: str


def run_dbops(server: str, *arguments: str) -> Ended:
    """Run the command against a server, without a terminal, to its end."""
    result = CliRunner().invoke(cli, ["--server", server, *arguments], env={"DBOPS_TOKEN": None})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)
