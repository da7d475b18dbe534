"""The rows that are on one side only, told by their hashes.

Hashes of 64 bits are taken for what they are of, as a `Digest` takes them.
"""

from typing import Any, Final

import numpy as np

from dbopsd.migrate.importer.conversion.digest import Hashes

_MOST_BYTES: Final = 64 * 2**20

_Positions = np.ndarray[Any, np.dtype[np.int64]]


class RemainingHashes:
    """How often rows of each hash are wanted still.

    Each hash takes 16 bytes, 24 with the hashes of keys; about 40 for a moment while it is made.
    """

    def __init__(self, hashes: list[Hashes], keys: list[Hashes] | None = None) -> None:
        """The lists have what is wanted in parts, and the same rows' keys; they are emptied."""
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
        """How many are wanted still."""
        return int(self._wanted.sum())

    def count_off(self, found: Hashes) -> tuple[_Positions, _Positions]:
        """Rows of these hashes are there: those of them that were wanted, and those that were not.

        Both as positions in `found`, with that of one row for all of the same hash.
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
        """The hash of the key of each row that is wanted still; none where none were given."""
        if self._keys is None:
            return np.zeros(0, np.uint64)
        return np.repeat(self._keys, self._wanted)


def count_pairs(one: RemainingHashes, other: RemainingHashes) -> int:
    """How many rows that are wanted here have a partner there: one with the same key.

    Takes some 40 bytes for each row of either side meanwhile.
    """
    mine, my_counts = np.unique(one.keys(), return_counts=True)
    theirs, their_counts = np.unique(other.keys(), return_counts=True)
    _, here, there = np.intersect1d(mine, theirs, assume_unique=True, return_indices=True)
    return int(np.minimum(my_counts[here], their_counts[there]).sum())


class ExampleRows:
    """The first rows that are wanted: `most` of them, or fewer where they are large."""

    def __init__(self, most: int, most_bytes: int = _MOST_BYTES) -> None:
        self.rows: list[bytes] = []
        self._most = most
        self._most_bytes = most_bytes
        self._held_bytes = 0

    @property
    def full(self) -> bool:
        """Whether no more are picked."""
        return len(self.rows) >= self._most or self._held_bytes >= self._most_bytes

    def pick(self, wanted: RemainingHashes, rows: list[bytes], hashes: Hashes) -> None:
        """Take those of some rows that are wanted, which then are so no longer."""
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
