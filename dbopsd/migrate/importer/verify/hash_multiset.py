"""Multisets of rows, by their hashes.

Rows with the same hash of 64 bits count as equal, as in a `Digest`.
"""

from typing import Any, Final

import numpy as np

from dbopsd.migrate.importer.conversion.digest import Hashes

_MOST_BYTES: Final = 64 * 2**20

_Positions = np.ndarray[Any, np.dtype[np.int64]]


class RemainingHashes:
    """How many rows of each hash have not been found yet.

    Each hash takes 16 bytes, 24 with the hashes of keys; about 40 for a moment while it is made.
    """

    def __init__(self, hashes: list[Hashes], keys: list[Hashes] | None = None) -> None:
        """`hashes` has the hashes of rows in parts, `keys` those of their keys. Empties both."""
        found = _joined(hashes)
        of_keys = None
        if keys is None:
            found.sort()
        else:
            order = np.argsort(found)
            found = found[order]
            of_keys = _joined(keys)[order]
            del order
        first = np.ones(len(found), bool)
        first[1:] = found[1:] != found[:-1]
        self._wanted = np.diff(np.flatnonzero(first), append=len(found))
        self._hashes = found[first]
        self._keys = None if of_keys is None else of_keys[first]

    @property
    def rows(self) -> int:
        """How many rows have not been found yet."""
        return int(self._wanted.sum())

    def count_off(self, found: Hashes) -> tuple[_Positions, _Positions]:
        """Count rows as found. Returns those that were expected, and those that were not.

        Both are positions in `found`. Rows of one hash share the position of one of them.
        """
        hashes, at, counts = np.unique(found, return_index=True, return_counts=True)
        places = np.searchsorted(self._hashes, hashes)
        known = places < len(self._hashes)
        known[known] = self._hashes[places[known]] == hashes[known]
        places = places[known]
        taken = np.zeros_like(counts)
        taken[known] = np.minimum(counts[known], self._wanted[places])
        self._wanted[places] -= taken[known]
        return np.sort(np.repeat(at, taken)), np.repeat(at, counts - taken)

    def keys(self) -> Hashes:
        """The key hash of each row that has not been found yet; empty if no keys were given."""
        if self._keys is None:
            return np.zeros(0, np.uint64)
        return np.repeat(self._keys, self._wanted)


def count_pairs(one: RemainingHashes, other: RemainingHashes) -> int:
    """How many rows of one side have a partner on the other side: a row with the same key.

    Takes some 40 bytes for each row of either side meanwhile.
    """
    mine, my_counts = np.unique(one.keys(), return_counts=True)
    theirs, their_counts = np.unique(other.keys(), return_counts=True)
    _, here, there = np.intersect1d(mine, theirs, assume_unique=True, return_indices=True)
    return int(np.minimum(my_counts[here], their_counts[there]).sum())


class ExampleRows:
    """The first rows that have not been found: at most `most`, fewer if they are large."""

    def __init__(self, most: int, most_bytes: int = _MOST_BYTES) -> None:
        self.rows: list[bytes] = []
        self._most = most
        self._most_bytes = most_bytes
        self._held_bytes = 0

    @property
    def full(self) -> bool:
        """Whether it takes no more rows."""
        return len(self.rows) >= self._most or self._held_bytes >= self._most_bytes

    def pick(self, wanted: RemainingHashes, rows: list[bytes], hashes: Hashes) -> None:
        """Take the rows that have not been found, and count them as found."""
        taken, _ = wanted.count_off(hashes)
        for at in taken.tolist():
            if self.full:
                return
            self.rows.append(rows[at])
            self._held_bytes += len(rows[at])


def _joined(parts: list[Hashes]) -> Hashes:
    joined = np.concatenate(parts) if parts else np.zeros(0, np.uint64)
    parts.clear()
    return joined
