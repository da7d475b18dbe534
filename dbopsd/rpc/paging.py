"""Pages of a list that is ordered by a key, as AIP-158 has them.

A page token is the last key of the page before, so a list that changes in between neither repeats
nor skips an entry, and any replica of the daemon understands it. Its digest makes a token of
another list, or one made up, an error and not a strange page.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from dbopsd.errors import InvalidField

DEFAULT_PAGE_SIZE: Final = 100
MAX_PAGE_SIZE: Final = 1000
_DIGEST_BYTES: Final = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page; `next_page_token` is empty on the last one."""

    items: Sequence[T]
    next_page_token: str


def paginate(
    items: Sequence[T], *, key: Callable[[T], str], of: str, page_size: int, page_token: str
) -> Page[T]:
    """The page of `items`, ordered by `key`, that follows `page_token`.

    `of` names the list, to distinguish its tokens from those of other lists. A `page_size` of 0 is
    100, and above 1000 is 1000. Raises `InvalidField` for `page_size` and `page_token`.
    """
    size = checked_size(page_size)
    if page_token:
        after = read_token(page_token, of)
        items = [item for item in items if key(item) > after]
    page = items[:size]
    more = len(items) > size
    return Page(page, write_token(key(page[-1]), of) if more else "")


def checked_size(page_size: int) -> int:
    """How many entries a page holds at most, for what a request says. Raises `InvalidField`."""
    if page_size < 0:
        raise InvalidField("page_size", "is less than 0")
    return min(page_size, MAX_PAGE_SIZE) or DEFAULT_PAGE_SIZE


def write_token(key: str, of: str) -> str:
    """The token of the page that follows the entry with that key."""
    raw = key.encode()
    return base64.urlsafe_b64encode(_digest(raw, of) + raw).decode().rstrip("=")


def read_token(token: str, of: str) -> str:
    """The key in a token that `write_token` made for the same list; raises `InvalidField`.

    The digest is no signature: who knows how can make up a token, so the key is checked like any
    other input by those to whom it is more than text.
    """
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        digest, key = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        if digest == _digest(key, of):
            return key.decode()
    except (UnicodeError, binascii.Error):
        pass
    raise foreign_token()


def foreign_token() -> InvalidField:
    """What is raised for a page token that the list did not make."""
    return InvalidField("page_token", "is not a next_page_token of this list")


def _digest(key: bytes, of: str) -> bytes:
    # The length first, so that no name and key run into another pair.
    framed = f"{len(of)}:{of}".encode() + key
    return hashlib.sha256(framed).digest()[:_DIGEST_BYTES]
