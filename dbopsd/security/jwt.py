"""Verify JSON Web Tokens and read their roles."""

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import jwt
from cachetools import TTLCache

from dbopsd.config import JwtConfig
from dbopsd.security import errors
from dbopsd.security.caller import Caller, Role
from dbopsd.security.jwks import Jwks

# How long a verified one is let in by its hash alone: a signature costs some 100 µs.
_REMEMBER_S: Final = 60.0
_REMEMBERED: Final = 4096

_GRANT: Final = re.compile(r"(VIEWER|OPERATOR|ADMIN)(?::([a-z0-9-]{1,63}))?")
_LONGEST_NAME: Final = 200


class Jwts:
    """The tokens of one issuer. `clock` gives seconds since 1970."""

    def __init__(
        self, config: JwtConfig, jwks: Jwks, clock: Callable[[], float] = time.time
    ) -> None:
        self._config = config
        self._jwks = jwks
        self._clock = clock
        self._known: TTLCache[bytes, tuple[Caller, float]] = TTLCache(
            maxsize=_REMEMBERED, ttl=_REMEMBER_S, timer=clock
        )
        self._known_with = jwks.version

    async def find(self, token: str) -> Caller:
        """Whose it is. Raises an `Unauthenticated` that says what is wrong with it."""
        if self._known_with != self._jwks.version:
            # A key that was taken back takes back what it has signed.
            self._known.clear()
            self._known_with = self._jwks.version
        digest = hashlib.sha256(token.encode("utf-8", errors="backslashreplace")).digest()
        known = self._known.get(digest)
        if known is not None:
            caller, expires_at = known
            if self._clock() < expires_at:
                return caller
        claims = await self._verify(token)
        caller = self._caller(claims)
        self._known[digest] = caller, float(claims["exp"]) + self._config.leeway_s
        return caller

    async def _verify(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise errors.JwtInvalid from None
        algorithm = header.get("alg")
        if algorithm not in self._config.algorithms:
            raise errors.JwtInvalid
        key = await self._jwks.key(header.get("kid"))
        if key.algorithm not in (None, algorithm):
            raise errors.JwtInvalid
        try:
            return jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                issuer=self._config.issuer,
                audience=self._config.audience,
                leeway=self._config.leeway_s,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise errors.JwtExpired from None
        except jwt.ImmatureSignatureError:
            raise errors.JwtNotYetValid from None
        except jwt.InvalidAudienceError:
            raise errors.JwtWrongAudience from None
        except jwt.InvalidIssuerError:
            raise errors.JwtWrongIssuer from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise errors.JwtInvalid from None

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        name = claims.get(self._config.name_claim)
        if not isinstance(name, str) or not name.isprintable() or not name.strip():
            raise errors.JwtInvalid
        # With a slash it could pass for a resource, such as the schedule that `requester` names;
        # cut off it could pass for somebody else.
        if "/" in name or len(name) > _LONGEST_NAME:
            raise errors.JwtInvalid
        everywhere: Role | None = None
        single: dict[str, Role] = {}
        for each in _texts(_claim(claims, self._config.roles_claim)):
            grant = _GRANT.fullmatch(self._config.role_map.get(each, each))
            if grant is None:
                continue
            role, database = Role[grant[1]], grant[2]
            if database is None:
                everywhere = max(role, everywhere or role)
            else:
                single[database] = max(role, single.get(database, role))
        # Several grants add up: one for a database takes nothing away from one for all.
        roles = tuple(
            (database, max(role, everywhere or role)) for database, role in sorted(single.items())
        )
        return Caller(name, everywhere, roles, "jwt")


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of that name, or the one that a path with dots leads to."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return value.split()
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
