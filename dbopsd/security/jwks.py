"""An issuer's public keys, from a file or a URL, both reloaded."""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import jwt

from dbopsd.errors import ConfigurationError
from dbopsd.security.errors import JwtKeysUnavailable, JwtKeyUnknown
from dbopsd.security.files import signature

_log = logging.getLogger(__name__)

_FETCH_TIMEOUT_S: Final = 5.0
_MAX_BYTES: Final = 1 << 20
# How old keys from a URL may get before they are asked for again.
_MAX_AGE_S: Final = 300.0
# Anybody can send the names of keys that do not exist; the issuer must not feel it.
_LEAST_PAUSE_S: Final = 10.0
# `oct` is a shared secret, which has no place among public keys.
_PUBLIC: Final = ("RSA", "EC", "OKP")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key, and the one algorithm that it is for where its issuer says so."""

    key: Any
    algorithm: str | None


_Keys = dict[str | None, SigningKey]


class Jwks:
    """The keys of `source`, a path or a URL. `clock` gives seconds, from any moment on."""

    def __init__(self, source: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._path = None if source.startswith(("http://", "https://")) else Path(source)
        self._signature = signature([self._path] if self._path else [])
        self._keys: _Keys = {}
        self._fetched_at: float | None = None
        self._asked_at: float | None = None
        self._fetching: asyncio.Task[None] | None = None
        self.version = 0
        """Another number whenever the keys have changed."""

    def load(self) -> None:
        """Read the file; a URL is not asked yet. Raises `ConfigurationError`."""
        if self._path is not None:
            self._use(_read(self._path))

    def refresh_file(self) -> None:
        """Take the file's present content if it has changed and has keys in it. Blocks."""
        if self._path is None:
            return
        present = signature([self._path])
        if present == self._signature:
            return
        self._signature = present
        try:
            self._use(_read(self._path))
        except ConfigurationError as exc:
            _log.warning("the changed JWKS is not taken, the keys before it stay: %s", exc)

    async def refresh_url(self) -> None:
        """Ask the URL if its keys have got old."""
        old = self._fetched_at is None or self._clock() - self._fetched_at >= _MAX_AGE_S
        if self._path is None and old:
            await self._ask()

    async def key(self, key_id: str | None) -> SigningKey:
        """The key of that id. Raises `JwtKeyUnknown`, or `JwtKeysUnavailable`.

        A JWT that names none is checked with the only key there is.
        """
        found = self._find(key_id)
        if found is None and self._path is None:
            await self._ask()
            found = self._find(key_id)
            if found is None and not self._keys:
                raise JwtKeysUnavailable
        if found is None:
            raise JwtKeyUnknown
        return found

    async def close(self) -> None:
        """Let go of a request that is still running."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    def _find(self, key_id: str | None) -> SigningKey | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    def _use(self, keys: _Keys) -> None:
        self._keys = keys
        self.version += 1

    async def _ask(self) -> None:
        """One request for all who wait, and none so soon after the last."""
        if self._fetching is None or self._fetching.done():
            now = self._clock()
            if self._asked_at is not None and now - self._asked_at < _LEAST_PAUSE_S:
                return
            self._asked_at = now
            self._fetching = asyncio.create_task(self._fetch(), name="jwks")
        # Shielded: a caller that hangs up must not take it away from the others.
        await asyncio.shield(self._fetching)

    async def _fetch(self) -> None:
        try:
            body = await _get(self._source)
            keys = _parse(body)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            cause = str(exc) or type(exc).__name__
            _log.warning("the JWKS %s cannot be fetched, old keys stay: %s", self._source, cause)
            return
        self._fetched_at = self._clock()
        self._use(keys)


async def _get(url: str) -> bytes:
    timeout = aiohttp.ClientTimeout(total=_FETCH_TIMEOUT_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        # A redirection would be to a place that nobody configured.
        session.get(url, allow_redirects=False) as response,
    ):
        if response.status != 200:
            raise ValueError(f"it answers {response.status}")
        body = bytearray()
        async for chunk in response.content.iter_chunked(1 << 16):
            body += chunk
            if len(body) > _MAX_BYTES:
                raise ValueError("it is larger than a MiB")
        return bytes(body)


def _read(path: Path) -> _Keys:
    try:
        return _parse(path.read_bytes())
    except OSError as exc:
        problem = f"'{path}' cannot be read: {(exc.strerror or 'unknown').lower()}"
    except ValueError as exc:
        problem = f"'{path}': {exc}"
    raise ConfigurationError("auth.jwt.jwks", problem)


def _parse(body: bytes) -> _Keys:
    """The keys for signatures, by their ids. Raises ValueError where there is none."""
    try:
        content: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    entries = content.get("keys") if isinstance(content, dict) else None
    keys: _Keys = {}
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or entry.get("kty") not in _PUBLIC:
            continue
        # A private key among them is somebody's mistake, and not to be handled here.
        if entry.get("use", "sig") != "sig" or "d" in entry:
            continue
        key_id = entry.get("kid")
        try:
            key = jwt.PyJWK(entry).key
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue  # of a kind that is not known here; the others may be
        keys[key_id if isinstance(key_id, str) else None] = SigningKey(key, entry.get("alg"))
    if not keys:
        raise ValueError("it has no public key for signatures in it")
    return keys
