"""Tells whether two rows are equal, and whether they are versions of one row."""

import struct
from collections.abc import Sequence
from typing import Final

from dbopsd.migrate.importer.conversion.canonical import (
    canonical_field,
    canonicalise,
    key_kinds,
    kinds,
)
from dbopsd.migrate.importer.model.plan import PlannedTable

_COUNT_BYTES: Final = 2
_LENGTH: Final = struct.Struct(">i")


class RowIdentity:
    """The forms in which rows of a table are compared.

    Rows are equal if their bytes are, apart from what PostgreSQL itself changes. Keys are equal if
    `=` says so, as for an upsert.
    """

    def __init__(self, table: PlannedTable) -> None:
        types = [column.type for column in table.columns]
        in_key = [column.source in table.key for column in table.columns]
        self._kinds = tuple(
            of_key if is_key else of_value
            for of_key, of_value, is_key in zip(key_kinds(types), kinds(types), in_key, strict=True)
        )
        self.keyed = bool(table.key) and sum(in_key) == len(table.key)
        """Whether a key identifies the rows: there is one, and all its columns are carried."""
        # What comes after the last column of the key need not be looked at.
        known = len(in_key) - in_key[::-1].index(True) if any(in_key) else 0
        self._key = tuple(zip(in_key[:known], self._kinds[:known], strict=True))

    @property
    def by_bytes(self) -> bool:
        """Whether rows are equal only if all their bytes are."""
        return not any(self._kinds)

    def form(self, row: bytes) -> bytes:
        """The form of a row: equal rows have the same."""
        return canonicalise(row, self._kinds)

    def forms(self, rows: Sequence[bytes]) -> Sequence[bytes]:
        """The form of each row."""
        return rows if self.by_bytes else [self.form(row) for row in rows]

    def key(self, row: bytes) -> bytes:
        """The fields of a row's key in their forms, each with its length."""
        fields = []
        at = _COUNT_BYTES
        for is_key, kind in self._key:
            (length,) = _LENGTH.unpack_from(row, at)
            start = at + _LENGTH.size
            end = start + max(length, 0)
            if is_key and kind and length >= 0:
                field = canonical_field(row[start:end], kind)
                fields.append(_LENGTH.pack(len(field)) + field)
            elif is_key:
                fields.append(row[at:end])
            at = end
        return b"".join(fields)
