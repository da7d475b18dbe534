"""The metadata of a call: the token, and what the caller adds, such as a trace context."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from dbops_client._errors import ConfigurationError

Metadata = Iterable[tuple[str, str | bytes]]
Pairs = tuple[tuple[str, str | bytes], ...]
# A callable is called before each call, so that it can renew a token that expires.
Token = str | Callable[[], str]

_KEY = re.compile(r"[0-9a-z_.-]+")
_PRINTABLE_ASCII = re.compile(r"[\x20-\x7e]*")


def bearer(token: Token | None) -> Callable[[], Pairs]:
    """Return a function that makes the metadata with `token`.

    Raises ConfigurationError for a token that cannot be sent: now for a text, at each call for what
    a callable returns.
    """
    if callable(token):
        return lambda: _carried(token())
    carried = () if token is None else _carried(token)
    return lambda: carried


def token_of(path: Path) -> Callable[[], str]:
    """Return a function that reads the token from the file at `path`, which may be replaced."""

    def read() -> str:
        try:
            # A file that is not text is refused later, by an error that does not hold its content.
            return path.read_text(encoding="utf-8", errors="replace").strip()
        except OSError as error:
            raise ConfigurationError(
                f"the token file {str(path)!r} cannot be read: {error.strerror or error}"
            ) from error

    return read


def _carried(token: str) -> Pairs:
    if not token or not _PRINTABLE_ASCII.fullmatch(token) or " " in token:
        raise ConfigurationError(
            "the token is empty or holds a space, a line break or a character beyond ASCII"
        )
    return (("authorization", f"Bearer {token}"),)


def with_extra(base: Pairs, extra: Metadata) -> Pairs:
    """Return `base` and the caller's pairs.

    Raises ConfigurationError for a pair that gRPC cannot send. gRPC would refuse it too, but its
    error prints all pairs of the call, with the token.
    """
    pairs = tuple((key.lower(), value) for key, value in extra)
    for key, value in pairs:
        if key == "authorization":
            # Such a token could cross a network in plaintext.
            raise ConfigurationError("pass credentials as token=, not as metadata")
        if not _KEY.fullmatch(key) or key.startswith("grpc-"):
            raise ConfigurationError(f"metadata key {key!r} cannot be sent")
        binary = key.endswith("-bin")
        if binary != isinstance(value, bytes):
            raise ConfigurationError(
                f"metadata {key!r}: a key that ends in -bin takes bytes, any other takes text"
            )
        if isinstance(value, str) and not _PRINTABLE_ASCII.fullmatch(value):
            raise ConfigurationError(f"metadata {key!r} holds a character beyond printable ASCII")
    return base + pairs
