"""The commands `dbops` and `dbopsd`, run in the process of the test, without starting Python anew.

Tests of the commands as programs start them: `tests/e2e/test_dbops.py`, `test_command.py` and
`test_bad_start.py`.
"""

import os
from dataclasses import dataclass

from click.testing import CliRunner, Result
from dbops_client.cli.root import cli as dbops

from dbopsd.__main__ import cli as dbopsd


@dataclass(frozen=True)
class Ended:
    """How the command ended."""

    code: int
    out: str
    err: str


def run_dbops(server: str, *arguments: str) -> Ended:
    """Run `dbops` against a server, without a terminal, to its end."""
    invoke = CliRunner().invoke
    return _ended(invoke(dbops, ["--server", server, *arguments], env={"DBOPS_TOKEN": None}))


def check_config(config_file: object = None, **environment: str) -> Ended:
    """Run `dbopsd check-config`, which starts nothing; of the environment it has what is given."""
    arguments = [] if config_file is None else ["--config", str(config_file)]
    foreign = dict.fromkeys(name for name in os.environ if name.startswith("DBOPSD_"))
    result = CliRunner().invoke(
        dbopsd, ["check-config", *arguments], prog_name="dbopsd", env={**foreign, **environment}
    )
    return _ended(result)


def _ended(result: Result) -> Ended:
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)
