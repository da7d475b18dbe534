"""Read the configuration from its file and the environment."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings.sources import EnvSettingsSource, TomlConfigSettingsSource

from dbopsd.config.origins import Origins, variables
from dbopsd.config.root import Config
from dbopsd.errors import ConfigurationError


def load_config(path: Path | None = None) -> Config:
    """Read the configuration from the file at `path`, if given, and the environment over it.

    Raises `ConfigurationError`, its text one line that names every problem and where it stands.
    """
    origins = Origins(
        file=str(path) if path else "",
        in_file=_read_toml(path) if path else {},
        in_environment=_read_environment(),
    )
    try:
        return Config.model_validate(_merge(origins.in_file, origins.in_environment))
    except ValidationError as exc:
        problems = [(_where(error, origins), _describe(error)) for error in exc.errors()]
    # Side by side what stands in one place, which is then named once.
    by_place: dict[str, list[str]] = {}
    for where, what in problems:
        by_place.setdefault(where, []).append(what)
    (first, whats), *others = by_place.items()
    rest = [f"{where}: {'; '.join(what)}" for where, what in others]
    raise ConfigurationError(first, "; ".join([*whats, *rest]))


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
    for variable, (section, *_) in variables().items():
        if section not in Config.model_fields:
            raise ConfigurationError(
                variable, f"unknown key '{section}'{_suggest(section, Config.model_fields)}"
            )
    source = EnvSettingsSource(Config)
    everything = source.env_vars
    try:
        return dict(source())
    except ValueError:
        # Its words name the section alone, so each is read by itself; and its cause has the value.
        for variable in variables():
            source.env_vars = {variable.lower(): everything[variable.lower()]}
            try:
                source()
            except ValueError:
                raise ConfigurationError(variable, "not JSON, which a table is given as") from None
        raise ConfigurationError("environment", "a table in it is not JSON") from None


def _merge(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _where(error: ErrorDetails, origins: Origins) -> str:
    location = [str(part) for part in error["loc"]]
    if error["type"] == "missing":
        return origins.of_missing(location)
    return origins.of_value(location)


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
    return [field.alias or name for name, field in model.model_fields.items()]


def _suggest(word: str, known: Mapping[str, object] | list[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean '{close[0]}'?" if close else ""
