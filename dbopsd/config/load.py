"""Reading the configuration from its file and the environment."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings.sources import EnvSettingsSource, TomlConfigSettingsSource

from dbopsd.config.root import ENV_PREFIX, Config
from dbopsd.errors import ConfigurationError

# Read by the command line, not a key of the file.
CONFIG_FILE_VARIABLE = "DBOPSD_CONFIG"


def load_config(path: Path | None = None) -> Config:
    """Read the configuration from the file at `path`, if given, and the environment over it.

    Raises `ConfigurationError`, its text one line that names every problem.
    """
    where = str(path) if path else "environment"
    values = _merge(_read_toml(path) if path else {}, _read_environment())
    try:
        return Config.model_validate(values)
    except ValidationError as exc:
        problems = "; ".join(_describe(error) for error in exc.errors())
        raise ConfigurationError(where, problems) from None


def _read_toml(path: Path) -> dict[str, object]:
    if not path.is_file():
        raise ConfigurationError(str(path), "no such file")
    try:
        return dict(TomlConfigSettingsSource(Config, toml_file=path)())
    except (OSError, ValueError) as exc:
        cause = exc.strerror if isinstance(exc, OSError) else f"not TOML: {exc}"
        raise ConfigurationError(str(path), str(cause)) from None


def _read_environment() -> dict[str, object]:
    # pydantic-settings passes over a variable whose first level it does not know.
    for variable in sorted(os.environ):
        if not variable.startswith(ENV_PREFIX) or variable == CONFIG_FILE_VARIABLE:
            continue
        section = variable.removeprefix(ENV_PREFIX).split("__")[0].lower()
        if section not in Config.model_fields:
            raise ConfigurationError(
                variable, f"unknown key '{section}'{_suggest(section, Config.model_fields)}"
            )
    try:
        return dict(EnvSettingsSource(Config)())
    except ValueError as exc:
        # Names the field, and not its value as the cause does.
        raise ConfigurationError("environment", str(exc)) from None


def _merge(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _describe(error: ErrorDetails) -> str:
    """One problem, with its key as it stands in the file and never with the value of a secret."""
    location = [str(part) for part in error["loc"]]
    key = ".".join(location)
    if error["type"] == "extra_forbidden":
        return f"unknown key '{key}'{_suggest(location[-1], _siblings(location[:-1]))}"
    if error["type"] == "missing":
        return f"'{key}' is missing"
    text = error["msg"].removeprefix("Value error, ")
    return f"'{key}': {text}" if key else text


def _siblings(location: list[str]) -> list[str]:
    """The keys that a table at `location` may have."""
    model: type[BaseModel] = Config
    for part in location:
        field = model.model_fields.get(part)
        if field is None:
            continue  # the free key of a dict, such as a database's name
        for candidate in (field.annotation, *get_args(field.annotation)):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                model = candidate
    return list(model.model_fields)


def _suggest(word: str, known: Mapping[str, object] | list[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean '{close[0]}'?" if close else ""
