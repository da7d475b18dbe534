"""The `dbopsd` command itself: what it says of itself."""

from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import pytest
from click.testing import CliRunner

from dbopsd import reference
from dbopsd.__main__ import cli
from dbopsd.metrics.reference import page as metrics_reference
from tests.e2e.conftest import Answer, run
from tests.support.daemon import clean_environment

ASKED = {
    "help": ("dbopsd", "--help"),
    "version": ("dbopsd", "--version"),
    "reference": ("dbopsd", "config-reference"),
    "metrics": ("dbopsd", "metrics-reference"),
}


@pytest.fixture(scope="module")
def answers() -> dict[str, Answer]:
    """What each command says; asked at once, for most of it is starting Python."""
    wide = {"COLUMNS": "100", "TERM": clean_environment().get("TERM", "dumb")}
    with ThreadPoolExecutor(4) as threads:
        said = threads.map(lambda command: run(*command, timeout=60, **wide), ASKED.values())
        return dict(zip(ASKED, said, strict=True))


def good(answer: Answer) -> str:
    assert (answer.code, answer.err) == (0, "")
    return answer.out


def test_help_names_every_command_and_the_exit_codes(answers: dict[str, Answer]) -> None:
    said = good(answers["help"])
    assert said.startswith("Usage: dbopsd [OPTIONS] COMMAND [ARGS]...")
    for command in ("serve", "check-config", "config-reference", "metrics-reference"):
        assert f"\n  {command} " in said
    assert "2 could not start" in " ".join(said.split())


def help_of(*command: str) -> str:
    """Asked within this process: that there is a program, the test above shows."""
    result = CliRunner().invoke(cli, command, prog_name="dbopsd")
    assert (result.exit_code, result.stderr) == (0, "")
    return " ".join(result.stdout.split())


@pytest.mark.parametrize("command", ["serve", "check-config"])
def test_help_says_where_the_configuration_comes_from(command: str) -> None:
    said = help_of(command, "--help")
    assert said.startswith(f"Usage: dbopsd {command} [OPTIONS]")
    assert "--config" in said
    assert "[env var: DBOPSD_CONFIG]" in said
    assert "DBOPSD_SECTION__KEY" in said


def test_version(answers: dict[str, Answer]) -> None:
    assert good(answers["version"]) == f"dbopsd {version('dbopsd')}\n"


def test_the_reference(answers: dict[str, Answer]) -> None:
    assert good(answers["reference"]) == reference.markdown()
    assert "as Markdown" in help_of("config-reference", "-h")
    assert good(answers["metrics"]) == metrics_reference.markdown()
    assert "differences from postgres_exporter" in help_of("metrics-reference", "-h")
