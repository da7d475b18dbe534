"""A digest of rows that does not depend on their order: what was sent against what came back."""

import base64
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import xxhash

_BUCKETS: Final = 256
_TOP: Final = np.uint64(56)
_LONG_ROW: Final = 4096

Hashes = np.ndarray[Any, np.dtype[np.uint64]]


class Digest:
    """How many rows there are, and the sum of their hashes, in each of 256 buckets.

    A row is its tuple in a binary COPY: the number of fields, and each with its length. Its bucket
    is the first byte of its hash (xxh3, 64 bits), so that rows that differ are looked for in a few
    buckets only. Two sets of rows with the same digest are the same, as far as chance goes.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(_BUCKETS, np.uint64)
        self.sums = np.zeros(_BUCKETS, np.uint64)

    @property
    def rows(self) -> int:
        """How many rows it is of."""
        return int(self.counts.sum())

    def add_rows(self, rows: Iterable[bytes | memoryview]) -> None:
        """Add rows, each a whole tuple."""
        self._add(hashes_of(rows))

    def add_encoded(self, data: bytes, offsets: Sequence[int] | np.ndarray[Any, Any]) -> None:
        """Add the rows that lie one after the other in `data`, between `offsets`."""
        bounds = offsets.tolist() if isinstance(offsets, np.ndarray) else list(offsets)
        # A copy of a short row costs less than a view of it.
        source: Any = data if len(data) < _LONG_ROW * len(bounds) else memoryview(data)
        rows = map(source.__getitem__, map(slice, bounds[:-1], bounds[1:]))
        self._add(np.fromiter(map(xxhash.xxh3_64_intdigest, rows), np.uint64, len(bounds) - 1))

    def _add(self, hashes: Hashes) -> None:
        buckets = buckets_of(hashes)
        self.counts += np.bincount(buckets, minlength=_BUCKETS).astype(np.uint64)
        # Modulo 2**64, as unsigned numbers are added.
        np.add.at(self.sums, buckets, hashes)

    def merge(self, other: "Digest") -> None:
        """Add all rows of another one."""
        self.counts += other.counts
        self.sums += other.sums

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Digest) and not self.differing_buckets(other)

    __hash__ = None  # type: ignore[assignment]

    def differing_buckets(self, other: "Digest") -> frozenset[int]:
        """The buckets in which rows differ."""
        differ = (self.counts != other.counts) | (self.sums != other.sums)
        return frozenset(np.flatnonzero(differ).tolist())

    def to_json(self) -> str:
        """The digest as a text that JSON can hold."""
        octets = self.counts.astype("<u8").tobytes() + self.sums.astype("<u8").tobytes()
        return base64.b64encode(zlib.compress(octets)).decode()

    @classmethod
    def from_json(cls, text: str) -> "Digest":
        """The digest that `to_json` wrote."""
        octets = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<u8")
        digest = cls()
        digest.counts += octets[:_BUCKETS]
        digest.sums += octets[_BUCKETS:]
        return digest


def hashes_of(rows: Iterable[bytes | memoryview]) -> Hashes:
    """The hash of each row."""
    return np.fromiter(map(xxhash.xxh3_64_intdigest, rows), np.uint64)


def buckets_of(hashes: Hashes) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The buckets of rows with these hashes."""
    return (hashes >> _TOP).astype(np.int64)
