"""`[auth]`: authentication and roles."""

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
    """The roles that a credential grants."""

    role: RoleName | None = None
    """The role for every database. Unset: only the roles in `databases`."""

    databases: dict[str, RoleName] = Field(default_factory=dict)
    """Roles for single databases, which override `role`: `{ main = "ADMIN" }`."""

    @model_validator(mode="after")
    def _grants_something(self) -> Self:
        if self.role is None and not self.databases:
            raise ValueError("needs a role, or databases with a role each")
        return self


class TokenConfig(_Grant):
    """`[auth.tokens.NAME]`: a bearer token. `dbopsd token new` generates one and its table."""

    hash: Annotated[str, AfterValidator(_hash)]
    """`sha256:` and the SHA-256 of the token in hexadecimal. The token itself is not stored."""

    expire_time: AwareDatetime | None = None
    """When the token expires, such as `2027-01-31T00:00:00Z`. Unset: never."""


class CertificateConfig(_Grant):
    """`[auth.certificates.NAME]`: a client certificate, by DNS name, URI or common name."""


class JwtConfig(Section):
    """`[auth.jwt]`: JSON Web Tokens from an identity provider, as bearer tokens."""

    issuer: Annotated[str, Field(min_length=1)]
    """The required value of the claim `iss`."""

    audience: Annotated[str, Field(min_length=1)]
    """The required value of the claim `aud`, or one of its values."""

    jwks: Annotated[str, AfterValidator(_jwks)]
    """The issuer's public keys: the path of a JWKS file, reloaded when it changes, or a URL.

    A URL is fetched every five minutes, and when a key is unknown. `http://` is allowed only for
    this machine.
    """

    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = (
        "RS256",
        "PS256",
        "ES256",
        "EdDSA",
    )
    """The accepted signature algorithms."""

    leeway_s: Annotated[float, Field(ge=0, le=300)] = 30.0
    """The allowed clock difference between the issuer and the daemon, in seconds."""

    name_claim: Annotated[str, Field(min_length=1)] = "sub"
    """The claim with the caller's name, used in the audit log and elsewhere."""

    roles_claim: Annotated[str, Field(min_length=1)] = "roles"
    """The claim with the roles, a list or a string: `OPERATOR`, or `OPERATOR:main` for one
    database.

    `realm_access.roles` means `roles` in `realm_access`. Unknown roles are ignored.
    """

    role_map: dict[str, str] = Field(default_factory=dict)
    """The issuer's names for roles: `{ dba = "ADMIN", dev = "VIEWER:main" }`."""

    @field_validator("role_map")
    @classmethod
    def _grants(cls, value: dict[str, str]) -> dict[str, str]:
        for name, grant in value.items():
            if not _GRANT.fullmatch(grant):
                raise ValueError(f"has '{grant}' for '{name}', which is not ROLE or ROLE:database")
        return value


class AuthConfig(Section):
    """`[auth]`: authentication and the roles `VIEWER`, `OPERATOR` and `ADMIN`.

    If nothing is configured here, everyone who can reach a listener has full access.
    """

    tokens: dict[str, TokenConfig] = Field(default_factory=dict)
    """Bearer tokens, by the name of their holder."""

    tokens_file: Path | None = None
    """A file with more `[auth.tokens.NAME]` tables, reloaded when it changes.

    `dbopsd token new --append` writes to it. Only its owner may have write permission.
    """

    jwt: JwtConfig | None = None
    """JSON Web Tokens from an identity provider."""

    certificates: dict[str, CertificateConfig] = Field(default_factory=dict)
    """Client certificates signed by `server.tls.client_ca`, by one of their names."""

    anonymous: RoleName | None = None
    """The role of callers without a credential. Unset: none, if any credential is configured.

    A role above `VIEWER` counts as no authentication on addresses beyond loopback.
    """

    open_services: tuple[OpenService, ...] = ("health",)
    """Services without a credential: `health`, `reflection`, `channelz`. Others need `VIEWER`.

    `health` is `grpc.health.v1` and, over HTTP, `/livez` and `/readyz`. It reveals the names of
    databases only to callers with `VIEWER` on them.
    """

    @property
    def configured(self) -> bool:
        """Whether any credential is configured."""
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
