"""What a store is: a small contract that every kind of store keeps."""

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

Content: TypeAlias = bytes | bytearray | memoryview

# Of URLs, file names and shells alike; no part begins with a dot.
_PART: Final = r"[A-Za-z0-9_=+-][A-Za-z0-9._=+-]{0,199}"
_KEY: Final = re.compile(rf"{_PART}(/{_PART})*")
_MAX_KEY_BYTES: Final = 900

MOST_BYTES: Final = 16 * 2**20
"""What is read of an object by whoever does not know better how large it may be."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object of a store. `modified_at`: by the store's clock, in seconds since 1970."""

    key: str
    size_bytes: int
    modified_at: float


class Store(ABC):
    """Objects by key. An object is created whole, once, and never changed.

    Keys are paths of `A-Z a-z 0-9 . _ = + -` without leading dots. After `create` returned, the
    object survives the loss of power. Every method raises `StoreUnavailable`, `StoreFull` or
    `StoreDenied` where the store does.
    """

    url: str
    """Where it is, without a secret."""

    @abstractmethod
    async def create(self, key: str, content: Content) -> None:
        """Create an object. Raises `ObjectExists` if it is there, whatever its content.

        Of two that create the same object at the same moment, one wins. Whether one that raises
        another error, or is cancelled, has created it is not known.
        """

    @abstractmethod
    async def read(self, key: str, most_bytes: int = MOST_BYTES) -> bytes:
        """The whole content. Raises `ObjectMissing`, and `ObjectTooLarge` for more than that.

        Who can write to the store must not fill the memory of who reads from it.
        """

    @abstractmethod
    async def info(self, key: str) -> ObjectInfo | None:
        """The object; None if there is none."""

    @abstractmethod
    def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """All objects whose key begins with `prefix`, a whole number of parts, in any order.

        `prefix` is empty or ends with '/'.
        """

    @abstractmethod
    async def folders(self, prefix: str = "") -> Sequence[str]:
        """The parts that follow `prefix` in keys which have another one after it, in order.

        It takes no longer where there is much in them. `prefix` is as that of `list`.
        """

    @abstractmethod
    async def delete(self, key: str) -> None:
        """Delete an object; one that is not there is no error."""

    async def close(self) -> None:
        """Let go of what it holds."""
        return


def check_key(key: str) -> str:
    """`key` itself. Raises ValueError if it is none."""
    if not _KEY.fullmatch(key) or len(key) > _MAX_KEY_BYTES:
        raise ValueError(f"no key of an object: {key!r}")
    return key


def check_prefix(prefix: str) -> str:
    """`prefix` itself. Raises ValueError unless it is empty, or a key with '/' at its end."""
    if prefix:
        if not prefix.endswith("/"):
            raise ValueError(f"no prefix of keys: {prefix!r}")
        check_key(prefix[:-1])
    return prefix
