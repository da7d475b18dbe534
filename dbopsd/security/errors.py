"""Errors of authentication and authorisation. None contains a credential or a part of one."""

from dataclasses import dataclass, field
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class Unauthenticated(DbopsError):
    """Nobody knows who calls. Each reason is a class of its own below this one."""

    reason: ClassVar[str] = "UNAUTHENTICATED"
    code: ClassVar[StatusCode] = StatusCode.UNAUTHENTICATED
    text: ClassVar[str] = "the caller is not known"

    @property
    def message(self) -> str:
        return self.text


class CredentialMissing(Unauthenticated):
    """The call came without any."""

    reason: ClassVar[str] = "CREDENTIAL_MISSING"
    text: ClassVar[str] = (
        "this call needs a credential: send `authorization: Bearer …` with a token or a JWT, or "
        "use a client certificate, as configured in [auth]"
    )


class CredentialMalformed(Unauthenticated):
    """The header is none of the kind that is taken here."""

    reason: ClassVar[str] = "CREDENTIAL_MALFORMED"
    text: ClassVar[str] = "the header `authorization` is not one `Bearer` and one token"


class CredentialChanged(Unauthenticated):
    """It is good, and stands for others or other roles than when the stream began."""

    reason: ClassVar[str] = "CREDENTIAL_CHANGED"
    text: ClassVar[str] = (
        "the roles of the credential have changed since the stream began: call again"
    )


class TokenUnknown(Unauthenticated):
    """No token of that hash is configured."""

    reason: ClassVar[str] = "TOKEN_UNKNOWN"
    text: ClassVar[str] = "the token is not known here: it was mistyped, or taken back"


class TokenExpired(Unauthenticated):
    """Its `expire_time` has passed."""

    reason: ClassVar[str] = "TOKEN_EXPIRED"
    text: ClassVar[str] = "the token has expired: `dbopsd token new` makes another"


class JwtInvalid(Unauthenticated):
    """It cannot be read, or its signature is not the issuer's."""

    reason: ClassVar[str] = "JWT_INVALID"
    text: ClassVar[str] = (
        "the JWT is not one that the issuer signed, or lacks a claim: exp, iss, aud, its name, "
        "which has no slash and at most 200 characters"
    )


class JwtExpired(Unauthenticated):
    """Its time has passed."""

    reason: ClassVar[str] = "JWT_EXPIRED"
    text: ClassVar[str] = "the JWT has expired: ask its issuer for a new one"


class JwtNotYetValid(Unauthenticated):
    """Its time has not come."""

    reason: ClassVar[str] = "JWT_NOT_YET_VALID"
    text: ClassVar[str] = "the JWT is not valid yet: do the clocks of issuer and daemon agree?"


class JwtWrongAudience(Unauthenticated):
    """It was made for somebody else."""

    reason: ClassVar[str] = "JWT_WRONG_AUDIENCE"
    text: ClassVar[str] = "the JWT was not made for this daemon: its `aud` is another"


class JwtWrongIssuer(Unauthenticated):
    """Somebody else made it."""

    reason: ClassVar[str] = "JWT_WRONG_ISSUER"
    text: ClassVar[str] = "the JWT is of another issuer: its `iss` is not the configured one"


class JwtKeyUnknown(Unauthenticated):
    """It was signed with a key that the issuer does not publish."""

    reason: ClassVar[str] = "JWT_KEY_UNKNOWN"
    text: ClassVar[str] = "the JWT was signed with a key that its issuer does not publish"


class CertificateUnknown(Unauthenticated):
    """The client's certificate is good, and no name in it is configured."""

    reason: ClassVar[str] = "CERTIFICATE_UNKNOWN"
    text: ClassVar[str] = "no name in the client's certificate is one of [auth.certificates]"


@dataclass(eq=False)
class JwtKeysUnavailable(DbopsError):
    """The issuer's keys could not be read once since the start."""

    reason: ClassVar[str] = "JWT_KEYS_UNAVAILABLE"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE

    @property
    def message(self) -> str:
        return (
            "the keys of the JWT issuer cannot be fetched: retry later, and see the daemon's log "
            "for the cause"
        )


@dataclass(eq=False)
class RoleMissing(DbopsError):
    """The caller is known, and may not do this."""

    reason: ClassVar[str] = "ROLE_MISSING"
    code: ClassVar[StatusCode] = StatusCode.PERMISSION_DENIED

    caller: str
    role: str
    database: str = ""

    @property
    def message(self) -> str:
        where = f" on database '{self.database}'" if self.database else ""
        return f"'{self.caller}' lacks the role {self.role}{where}, which this needs"

    @property
    def metadata(self) -> dict[str, str]:
        named = {"database": f"databases/{self.database}"} if self.database else {}
        return {"role": self.role, **named}


@dataclass(eq=False)
class TooManyCalls(DbopsError):
    """One caller has more calls running than it may."""

    reason: ClassVar[str] = "TOO_MANY_CALLS"
    code: ClassVar[StatusCode] = StatusCode.RESOURCE_EXHAUSTED

    limit: int

    @property
    def message(self) -> str:
        return (
            f"{self.limit} calls of this caller are running, as many as may at once: "
            "wait for one to end; [server] max_calls_per_client allows more"
        )


@dataclass(eq=False)
class RequestMissing(DbopsError):
    """A call was begun, and its request did not come."""

    reason: ClassVar[str] = "REQUEST_MISSING"
    code: ClassVar[StatusCode] = StatusCode.DEADLINE_EXCEEDED

    timeout_s: float

    @property
    def message(self) -> str:
        return (
            f"the call's request did not arrive within {self.timeout_s:g} s, or too many calls of "
            "this address wait for theirs"
        )


@dataclass(eq=False)
class PathOutsideRoots(DbopsError):
    """A path of a request leads out of the directories that requests may name."""

    reason: ClassVar[str] = "PATH_OUTSIDE_ROOTS"
    code: ClassVar[StatusCode] = StatusCode.INVALID_ARGUMENT

    path: str
    roots: tuple[str, ...] = field(default=())

    @property
    def message(self) -> str:
        inside = ", ".join(self.roots) or "none is configured"
        return f"path '{self.path}' is not inside the directories that are allowed: {inside}"

    @property
    def metadata(self) -> dict[str, str]:
        return {"path": self.path}


@dataclass(eq=False)
class NotARegularFile(DbopsError):
    """A path of a request names something else than a file with content."""

    reason: ClassVar[str] = "NOT_A_REGULAR_FILE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    path: str
    kind: str

    @property
    def message(self) -> str:
        return f"'{self.path}' is a {self.kind}, not a regular file"

    @property
    def metadata(self) -> dict[str, str]:
        return {"path": self.path}
