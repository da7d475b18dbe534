"""Authenticate a call by its credentials."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from dbopsd.config import AuthConfig
from dbopsd.security.caller import ANONYMOUS, Caller, Role
from dbopsd.security.certificates import Certificates
from dbopsd.security.errors import CredentialMalformed, CredentialMissing
from dbopsd.security.jwt import Jwts
from dbopsd.security.tokens import Tokens

_SCHEME: Final = "bearer "

Names = Callable[[], Iterable[str]]


def _no_names() -> Iterable[str]:
    return ()


class Authenticator:
    """Knows the callers by token, JWT or client certificate, and is asked once a call."""

    def __init__(
        self, config: AuthConfig, tokens: Tokens, certificates: Certificates, jwts: Jwts | None
    ) -> None:
        self._tokens = tokens
        self._certificates = certificates
        self._jwts = jwts
        if config.anonymous is not None:
            self._anonymous: Caller | None = Caller(ANONYMOUS.name, Role[config.anonymous])
        else:
            self._anonymous = None if config.configured else ANONYMOUS
        self._takes_credentials = config.configured

    @property
    def lets_everybody_do_everything(self) -> bool:
        """Whether there is nothing to ask: every caller is `ANONYMOUS`."""
        return self._anonymous is ANONYMOUS and not self._takes_credentials

    async def authenticate(
        self, authorization: Sequence[str], certificate_names: Names = _no_names
    ) -> Caller:
        """Who calls, with these `authorization` headers and these names in a verified certificate.

        What somebody shows must be good: a bad token is not made up for by a certificate, nor by
        what the anonymous may do. Raises `Unauthenticated`, or `JwtKeysUnavailable`.
        """
        if authorization and self._takes_credentials:
            token = _bearer(authorization)
            # A JWT is three parts with dots between; no token of ours has one.
            if self._jwts is not None and token.count(".") == 2:
                return await self._jwts.find(token)
            return self._tokens.find(token)
        if self._certificates.known:
            names = tuple(certificate_names())
            if names:
                return self._certificates.find(names)
        if self._anonymous is None:
            raise CredentialMissing
        return self._anonymous


def _bearer(authorization: Sequence[str]) -> str:
    header = authorization[0]
    token = header[len(_SCHEME) :].strip()
    if len(authorization) != 1 or header[: len(_SCHEME)].lower() != _SCHEME or not token:
        raise CredentialMalformed
    return token
