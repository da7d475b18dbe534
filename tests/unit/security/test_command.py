"""`dbopsd token new`."""

import tomllib
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from dbopsd.config import AuthConfig
from dbopsd.security.command import token
from dbopsd.security.tokens import hash_token, read_tokens


def run(*arguments):
    return CliRunner().invoke(token, ["new", *arguments])


def test_the_token_is_on_standard_output_and_nowhere_else():
    result = run("--name", "ci", "--role", "OPERATOR", "--database", "main=ADMIN")
    assert result.exit_code == 0
    made = result.stdout.removesuffix("\n")
    assert made not in result.stderr
    tables = AuthConfig.model_validate(tomllib.loads(result.stderr)["auth"]).tokens
    assert tables["ci"].hash == hash_token(made)
    assert (tables["ci"].role, tables["ci"].databases) == ("OPERATOR", {"main": "ADMIN"})
    assert tables["ci"].expire_time is None


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90d", timedelta(days=90)),
        ("2w", timedelta(weeks=2)),
        ("12h", timedelta(hours=12)),
        ("5m", timedelta(minutes=5)),
    ],
)
def test_how_long_it_is_good_for(text, length):
    result = run("--name", "ci", "--role", "VIEWER", "--expires", text)
    (table,) = tomllib.loads(result.stderr)["auth"]["tokens"].values()
    assert abs(table["expire_time"] - datetime.now(UTC) - length) < timedelta(seconds=10)


def test_it_is_added_to_a_file(tmp_path):
    path = tmp_path / "tokens.toml"
    result = run("--name", "ci", "--role", "VIEWER", "--append", str(path))
    assert result.exit_code == 0
    assert result.stderr == f"added to {path}\n"
    assert read_tokens(path)["ci"].hash == hash_token(result.stdout.strip())
    again = run("--name", "ci", "--role", "VIEWER", "--append", str(path))
    assert (again.exit_code, again.stdout) == (2, "")
    assert again.stderr == f"dbopsd: {path}: has a token 'ci' already: take it out first\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--role", "VIEWER"],
        ["--name", "ci"],
        ["--name", "c i", "--role", "VIEWER"],
        ["--name", "ci", "--role", "viewer"],
        ["--name", "ci", "--database", "main"],
        ["--name", "ci", "--database", "main=OWNER"],
        ["--name", "ci", "--role", "VIEWER", "--expires", "0d"],
        ["--name", "ci", "--role", "VIEWER", "--expires", "1y"],
        ["--name", "ci", "--role", "VIEWER", "--expires", "-1d"],
        ["--name", "ci", "--role", "VIEWER", "--expires", "99999w9"],
    ],
)
def test_wrong_usage_makes_nothing(arguments):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "dbops_" not in result.stderr
