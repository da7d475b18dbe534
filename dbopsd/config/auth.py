"""`[auth]`: who calls, and what they may."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, Field, field_validator, model_validator

from dbopsd.config.values import RESOURCE_ID, Section, is_loopback

RoleName = Literal["VIEWER", "OPERATOR", "ADMIN"]
OpenService = Literal["health", "reflection", "channelz"]
# Those that sign with a private key: with HS256 everybody who can check a JWT could make one.
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]

# Names reach logs, spans and the audit log as they are.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
_CERTIFICATE_NAME = re.compile(r"[!-~]{1,255}")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_GRANT = re.compile(rf"(?:VIEWER|OPERATOR|ADMIN)(?::{RESOURCE_ID.pattern})?")


def _hash(value: str) -> str:
    if not _HASH.fullmatch(value):
        # Never repeated: it may be the token itself.
        raise ValueError("is not sha256:… with 64 hexadecimal digits, as `dbopsd token new` says")
    return value


def _jwks(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme == "http" and not is_loopback(f"{parts.hostname}:0"):
        raise ValueError("is fetched in clear from another machine: anybody between could sign")
    if parts.scheme in ("http", "https"):
        if not parts.hostname or parts.username is not None or parts.password is not None:
            raise ValueError("is not a URL such as https://issuer.example/jwks.json")
    elif "://" in value or not Path(value).is_absolute():
        raise ValueError("is neither an https:// URL nor the path of a file from / on")
    return value


class _Grant(Section):
    """What a credential lets its holder do."""

    role: RoleName | None = None
    """What its holder may do to every database. Unset: nothing, but for `databases`."""

    databases: dict[str, RoleName] = Field(default_factory=dict)
    """What its holder may do to single databases, over `role`: `{ main = "ADMIN" }`."""

    @model_validator(mode="after")
    def _grants_something(self) -> Self:
        if self.role is None and not self.databases:
            raise ValueError("needs a role, or databases with a role each")
        return self


class TokenConfig(_Grant):
    """`[auth.tokens.NAME]`: a bearer token; `dbopsd token new` makes one and writes its table."""

    hash: Annotated[str, AfterValidator(_hash)]
    """`sha256:` and the SHA-256 of the token, in hexadecimal. The token itself is kept nowhere."""

    expire_time: AwareDatetime | None = None
    """From when on it is refused, such as `2027-01-31T00:00:00Z`. Unset: never."""


class CertificateConfig(_Grant):
    """`[auth.certificates.NAME]`: a client certificate, by a DNS or URI name or its common name."""


class JwtConfig(Section):
    """`[auth.jwt]`: JSON Web Tokens of an identity provider, as bearer tokens."""

    issuer: Annotated[str, Field(min_length=1)]
    """What the claim `iss` must be."""

    audience: Annotated[str, Field(min_length=1)]
    """What the claim `aud` must be, or have in it."""

    jwks: Annotated[str, AfterValidator(_jwks)]
    """The issuer's public keys: the path of a JWKS file, read again when it changes, or its URL.

    A URL is asked every five minutes, and when a key is not known yet. `http://` only to this
    machine.
    """

    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = (
        "RS256",
        "PS256",
        "ES256",
        "EdDSA",
    )
    """The signatures taken."""

    leeway_s: Annotated[float, Field(ge=0, le=300)] = 30.0
    """By how much the clocks of the issuer and the daemon may differ, in seconds."""

    name_claim: Annotated[str, Field(min_length=1)] = "sub"
    """The claim that names the caller, in the audit log and elsewhere."""

    roles_claim: Annotated[str, Field(min_length=1)] = "roles"
    """The claim with the roles, a list or a text: `OPERATOR`, or `OPERATOR:main` for one database.

    `realm_access.roles` looks for `roles` in `realm_access`. What is no role is passed over.
    """

    role_map: dict[str, str] = Field(default_factory=dict)
    """The issuer's own names for roles: `{ dba = "ADMIN", dev = "VIEWER:main" }`."""

    @field_validator("role_map")
    @classmethod
    def _grants(cls, value: dict[str, str]) -> dict[str, str]:
        for name, grant in value.items():
            if not _GRANT.fullmatch(grant):
                raise ValueError(f"has '{grant}' for '{name}', which is not ROLE or ROLE:database")
        return value


class AuthConfig(Section):
    """`[auth]`: who calls, and what they may: `VIEWER`, `OPERATOR`, `ADMIN`.

    With nothing configured here everybody who reaches a listener may do everything.
    """

    tokens: dict[str, TokenConfig] = Field(default_factory=dict)
    """Bearer tokens, by the name of who has it."""

    tokens_file: Path | None = None
    """A file with further `[auth.tokens.NAME]` tables, read again when it changes.

    `dbopsd token new --append` writes it. Only its owner may be able to write to it.
    """

    jwt: JwtConfig | None = None
    """JSON Web Tokens of an identity provider."""

    certificates: dict[str, CertificateConfig] = Field(default_factory=dict)
    """Client certificates signed by `server.tls.client_ca`, by a name that stands in them."""

    anonymous: RoleName | None = None
    """What callers without a credential may do. Unset: nothing where a credential is configured.

    More than `VIEWER` counts as no authentication on addresses beyond loopback.
    """

    open_services: tuple[OpenService, ...] = ("health",)
    """What needs no credential: `health`, `reflection`, `channelz`; else each needs `VIEWER`.

    `health` is `grpc.health.v1` and, over HTTP, `/livez` and `/readyz`. The names of databases are
    told there only to callers with `VIEWER` on them.
    """

    @property
    def configured(self) -> bool:
        """Whether there is any credential that could be asked for."""
        return bool(self.tokens or self.tokens_file or self.jwt or self.certificates)

    @field_validator("tokens")
    @classmethod
    def _token_names(cls, value: dict[str, TokenConfig]) -> dict[str, TokenConfig]:
        for name in value:
            if not _NAME.fullmatch(name):
                raise ValueError("has a name that is not 1 to 100 letters, digits and -_.@+")
        if len({token.hash for token in value.values()}) < len(value):
            raise ValueError("has one hash under two names")
        return value

    @field_validator("certificates")
    @classmethod
    def _certificate_names(
        cls, value: dict[str, CertificateConfig]
    ) -> dict[str, CertificateConfig]:
        for name in value:
            if not _CERTIFICATE_NAME.fullmatch(name):
                raise ValueError("has a name that is empty, too long, or has spaces in it")
        return value

    def database_names(self) -> set[str]:
        """Every database that a grant names."""
        grants = (*self.tokens.values(), *self.certificates.values())
        named = {name for grant in grants for name in grant.databases}
        mapped = self.jwt.role_map.values() if self.jwt else ()
        return named | {name for _, _, name in (each.partition(":") for each in mapped) if name}
