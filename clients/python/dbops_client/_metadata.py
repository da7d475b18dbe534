"""What goes along with each call: the token, and what the caller adds (trace context, say)."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from dbops_client._errors import ConfigurationError

Metadata = Iterable[tuple[str, str | bytes]]
Pairs = tuple[tuple[str, str | bytes], ...]
# A callable is asked before each call, so that a token which expires can be renewed.
Token = str | Callable[[], str]

_KEY = re.compile(r"[0-9a-z_.-]+")
_PRINTABLE_ASCII = re.compile(r"[\x20-\x7e]*")


def bearer(token: Token | None) -> Callable[[], Pairs]:
    """Return what makes the metadata that carries `token`.

    Raises ConfigurationError if nothing can carry it: at once for a text, at each call for what a
    callable returns.
    """
    if callable(token):
        return lambda: _carried(token())
    carried = () if token is None else _carried(token)
    return lambda: carried


def token_of(path: Path) -> Callable[[], str]:
    """Return what reads the token in the file at `path`, anew each time: it may be replaced."""

    def read() -> str:
        try:
            # What is no text is refused as a token, and not by an error that holds the content.
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

    Raises ConfigurationError for a pair that gRPC cannot send.

    Checked here because gRPC's own refusal prints every pair of the call, the token among them.
    """
    pairs = tuple((key.lower(), value) for key, value in extra)
    for key, value in pairs:
        if key == "authorization":
            # It would go around the rule that a token never crosses a network in plaintext.
            raise ConfigurationError("credentials are given as token=, not as metadata")
        if not _KEY.fullmatch(key) or key.startswith("grpc-"):
            raise ConfigurationError(f"metadata key {key!r} cannot be sent")
        binary = key.endswith("-bin")
        if binary != isinstance(value, bytes):
            raise ConfigurationError(
                f"metadata {key!r}: bytes go under a key that ends in -bin, text under any other"
            )
        if isinstance(value, str) and not _PRINTABLE_ASCII.fullmatch(value):
            raise ConfigurationError(f"metadata {key!r} holds a character beyond printable ASCII")
    return base + pairs
