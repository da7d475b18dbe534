"""Create bearer tokens and hash them."""

import hashlib
import hmac
import logging
import secrets
import stat
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from dbopsd.config import AuthConfig, TokenConfig
from dbopsd.errors import ConfigurationError
from dbopsd.security.caller import Caller, Role
from dbopsd.security.errors import TokenExpired, TokenUnknown
from dbopsd.security.files import signature

_log = logging.getLogger(__name__)

# So that people and secret scanners see what was found in a log or a repository.
_PREFIX: Final = "dbops_"
_RANDOM_BYTES: Final = 32


def new_token() -> str:
    """A token with 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def hash_token(token: str) -> str:
    """As it stands in the configuration. Plain SHA-256: there is nothing in 256 bits to guess."""
    return "sha256:" + _digest(token)


@dataclass(frozen=True, slots=True)
class _Token:
    digest: str
    caller: Caller
    expires_at: float | None


class Tokens:
    """The tokens that are known. `clock` gives seconds since 1970."""

    def __init__(
        self, config: AuthConfig, from_file: Mapping[str, TokenConfig], clock: Callable[[], float]
    ) -> None:
        self._config = config
        self._clock = clock
        self._signature = signature([config.tokens_file] if config.tokens_file else [])
        self._by_digest = _by_digest({**from_file, **config.tokens})

    @classmethod
    def load(cls, config: AuthConfig, clock: Callable[[], float] = time.time) -> "Tokens":
        """Read the file, if there is one. Raises `ConfigurationError`."""
        return cls(config, _read_file(config), clock)

    def find(self, token: str) -> Caller:
        """Whose token it is. Raises `TokenUnknown` or `TokenExpired`."""
        digest = _digest(token)
        found = self._by_digest.get(digest)
        if found is None or not hmac.compare_digest(found.digest, digest):
            raise TokenUnknown
        if found.expires_at is not None and self._clock() >= found.expires_at:
            raise TokenExpired
        return found.caller

    def refresh(self) -> None:
        """Take the file's present content if it has changed and is right. Blocks.

        A file that is gone has taken its tokens with it; one that cannot be read, or that is half
        written, has not.
        """
        path = self._config.tokens_file
        if path is None:
            return
        present = signature([path])
        if present == self._signature:
            return
        self._signature = present
        if present == (None,):
            _log.warning("auth.tokens_file '%s' is gone, and its tokens with it", path)
            self._by_digest = _by_digest(self._config.tokens)
            return
        try:
            from_file = _read_file(self._config)
        except ConfigurationError as exc:
            _log.warning("the changed tokens are not taken, those before them stay: %s", exc)
            return
        self._by_digest = _by_digest({**from_file, **self._config.tokens})
        _log.info("the changed auth.tokens_file is in use: %d tokens", len(from_file))


def read_tokens(path: Path) -> dict[str, TokenConfig]:
    """The `[auth.tokens.NAME]` tables of the file. Raises `ConfigurationError`."""
    where = "auth.tokens_file"
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        cause = (exc.strerror or "unknown").lower()
        raise ConfigurationError(where, f"'{path}' cannot be read: {cause}") from None
    except ValueError:
        raise ConfigurationError(where, f"'{path}' is not UTF-8") from None
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        problem = f"'{path}' may be written by others, who could let themselves in: chmod 600"
        raise ConfigurationError(where, problem)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigurationError(where, f"'{path}' is not TOML: {exc}") from None
    auth = content.get("auth", {})
    if content.keys() - {"auth"} or not isinstance(auth, dict) or auth.keys() - {"tokens"}:
        problem = f"'{path}' has something else in it than [auth.tokens.NAME] tables"
        raise ConfigurationError(where, problem)
    try:
        return AuthConfig.model_validate(auth).tokens
    except ValidationError as exc:
        first = exc.errors()[0]
        key = ".".join(str(part) for part in ("auth", *first["loc"]))
        text = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(where, f"'{path}', '{key}': {text}") from None


def grants(databases: Mapping[str, str]) -> tuple[tuple[str, Role], ...]:
    """The roles on single databases, as a `Caller` has them."""
    return tuple((database, Role[name]) for database, name in sorted(databases.items()))


def _read_file(config: AuthConfig) -> dict[str, TokenConfig]:
    if config.tokens_file is None:
        return {}
    tokens = read_tokens(config.tokens_file)
    hashes = {token.hash for token in config.tokens.values()}
    for name, token in tokens.items():
        if name in config.tokens or token.hash in hashes:
            problem = f"'{config.tokens_file}' has '{name}', which is configured already"
            raise ConfigurationError("auth.tokens_file", problem)
    return tokens


def _by_digest(tokens: Mapping[str, TokenConfig]) -> dict[str, _Token]:
    known = {}
    for name, token in tokens.items():
        digest = token.hash.removeprefix("sha256:")
        role = None if token.role is None else Role[token.role]
        expires_at = None if token.expire_time is None else token.expire_time.timestamp()
        caller = Caller(name, role, grants(token.databases), "token")
        known[digest] = _Token(digest, caller, expires_at)
    return known


def _digest(token: str) -> str:
    # Header values are text of any kind.
    return hashlib.sha256(token.encode("utf-8", errors="backslashreplace")).hexdigest()
