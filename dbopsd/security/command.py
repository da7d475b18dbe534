"""`dbopsd token`: create bearer tokens."""

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, get_args

import click
from pydantic import ValidationError

from dbopsd.config import AuthConfig, RoleName, TokenConfig
from dbopsd.errors import DbopsError
from dbopsd.security.token_file import append_token, to_toml
from dbopsd.security.tokens import hash_token, new_token

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_ROLES: Final = get_args(RoleName)


def _duration(_context: click.Context, _option: click.Parameter, value: str | None) -> Any:
    """Parse `90d` as a timedelta."""
    if value is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,4})([mhdw])", value, re.ASCII)
    if match is None:
        raise click.BadParameter("must be a number and m, h, d or w, such as 90d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _grants(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> Any:
    """Parse every `main=ADMIN` into one dict."""
    granted = {}
    for value in values:
        database, separator, role = value.partition("=")
        if not separator or role not in _ROLES:
            raise click.BadParameter(f"must be DATABASE=ROLE with one of {', '.join(_ROLES)}")
        granted[database] = role
    return granted


@click.group("token")
def token() -> None:
    """Manage bearer tokens for callers of the daemon."""


@token.command("new")
@click.option("--name", required=True, help="The name of the caller, as in the audit log.")
@click.option("--role", type=click.Choice(_ROLES), help="The role for every database.")
@click.option(
    "--database",
    "databases",
    callback=_grants,
    multiple=True,
    metavar="DATABASE=ROLE",
    help="A role for one database, such as main=ADMIN. Repeatable.",
)
@click.option(
    "--expires",
    callback=_duration,
    metavar="DURATION",
    help="How long the token is valid, such as 90d.",
)
@click.option(
    "--append",
    "file",
    type=click.Path(path_type=Path),
    help="Add it to this file, the daemon's auth.tokens_file. No restart is needed.",
)
def new(
    name: str,
    role: RoleName | None,
    databases: dict[str, RoleName],
    expires: timedelta | None,
    file: Path | None,
) -> None:
    """Create a token. It is printed once and not stored.

    Standard output has only the token. Standard error has the table for the configuration, with
    the hash of the token.
    """
    made = new_token()
    entry: dict[str, Any] = {"hash": hash_token(made), "databases": databases}
    if role is not None:
        entry["role"] = role
    if expires is not None:
        entry["expire_time"] = datetime.now(UTC).replace(microsecond=0) + expires
    try:
        token_config: TokenConfig = AuthConfig.model_validate({"tokens": {name: entry}}).tokens[
            name
        ]
        if file is not None:
            append_token(file, name, token_config)
    except ValidationError as exc:
        problem = exc.errors()[0]["msg"].removeprefix("Value error, ")
        raise click.UsageError(f"the token {problem}") from None
    except DbopsError as exc:
        click.echo(f"dbopsd: {exc}", err=True)
        sys.exit(2)
    if file is None:
        click.echo(
            f"# For the configuration, or its auth.tokens_file:\n{to_toml(name, token_config)}",
            err=True,
            nl=False,
        )
    else:
        click.echo(f"added to {file}", err=True)
    click.echo(made)
