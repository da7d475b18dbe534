"""Encode rows as binary COPY, and find those that cannot be encoded."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pgpq import ArrowToPostgresBinaryEncoder

from dbopsd.migrate.importer.conversion.base import (
    Bad,
    Conversion,
    Payload,
    Reason,
    layout,
    put_values,
    undecided,
    valid_mask,
)
from dbopsd.migrate.importer.conversion.digest import Digest
from dbopsd.migrate.importer.conversion.registry import CONVERSIONS
from dbopsd.migrate.importer.conversion.values import (
    Batch,
    Text,
    Value,
    Values,
    literal,
    number_text,
)
from dbopsd.migrate.importer.model.plan import BadValue, PlannedColumn

_FIELD_HEADER: Final = 4
_ROW_HEADER: Final = 2
_TRAILER: Final = 2


@dataclass(frozen=True)
class Reject:
    """A value that its column cannot hold. Its row is rejected."""

    key: str
    """The key of the row, such as `id=5`."""
    column: str
    """The source's."""
    reason: str
    value: str
    """SQLite's literal of it, cut to 200 characters."""
    storage_class: str
    """`null`, `integer`, `real`, `text` or `blob`."""
    raw: bytes
    """The value whole: a blob or a text as it is, a number as text."""


@dataclass(frozen=True)
class Encoded:
    """The result of encoding a batch."""

    data: bytes
    """The rows as a binary COPY has them, without its header and its trailer."""
    rows: int
    """The number of rows in `data`."""
    digest: Digest
    """The digest of the rows in `data`."""
    rejected_rows: int = 0
    """The number of rejected rows, which are not in `data`."""
    rejects: tuple[Reject, ...] = ()
    reject_counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """How many values, by column and reason: all, also those that `rejects` leaves out."""
    changed: int = 0
    """Values of `data` that the column's policy or value map changed."""


class Encoder:
    """Makes rows of a table's columns.

    `columns` are those of the batches, in their order. `key_columns` are the source's names of the
    primary key's. Of all bad values, `max_rejects` are named at most. Raises `TypeNotSupported`.
    """

    def __init__(
        self,
        columns: Sequence[PlannedColumn],
        *,
        key_columns: Sequence[str] = (),
        max_rejects: int | None = None,
    ) -> None:
        self._columns = [
            _Column(CONVERSIONS[column.conversion](column), in_key=column.source in key_columns)
            for column in columns
        ]
        self._left = max_rejects
        fields = [
            pa.field(str(at), column.conversion.arrow) for at, column in enumerate(self._columns)
        ]
        self._schema = pa.schema(fields)

    def encode(self, batch: Batch) -> Encoded:
        """Make the rows of a batch. A row with a bad value is left out, with all of them named."""
        converted = [
            column.convert(values, batch.rows)
            for column, values in zip(self._columns, batch.columns, strict=True)
        ]
        good = np.ones(batch.rows, bool)
        for each in converted:
            good[list(each.bad)] = False
        arrays = [each.payloads for each in converted]
        changed = sum(len(each.changed) for each in converted)
        rows = batch.rows
        if not good.all():
            kept = pa.array(good)
            arrays = [array.filter(kept) for array in arrays]
            changed = sum(int(good[list(each.changed)].sum()) for each in converted)
            rows = int(good.sum())
        data = self._data(arrays, rows)
        digest = Digest()
        digest.add_encoded(data, row_offsets(arrays, rows))
        return Encoded(
            data=data,
            rows=rows,
            digest=digest,
            rejected_rows=batch.rows - rows,
            rejects=self._named(batch, converted),
            reject_counts=self._counted(converted),
            changed=changed,
        )

    def _data(self, arrays: Sequence[pa.Array], rows: int) -> bytes:
        if not arrays:
            return b"\0\0" * rows
        # One keeps what is less than a MiB to itself until it is finished: each batch has its own.
        pgpq = ArrowToPostgresBinaryEncoder(self._schema)
        pgpq.write_header()
        data = pgpq.write_batch(pa.record_batch(list(arrays), schema=self._schema))
        rest = pgpq.finish()[:-_TRAILER]
        return data + rest if rest else data

    def _named(self, batch: Batch, converted: Sequence["_Converted"]) -> tuple[Reject, ...]:
        bad = sorted(
            (row, at, reason)
            for at, each in enumerate(converted)
            for row, reason in each.bad.items()
        )
        if self._left is not None:
            bad = bad[: self._left]
            self._left -= len(bad)
        rejects = []
        for row, at, reason in bad:
            value = batch.columns[at].value(row)
            rejects.append(
                Reject(
                    key=batch.name(row),
                    column=self._columns[at].source,
                    reason=reason,
                    value=literal(value),
                    storage_class=_storage_class(value),
                    raw=_raw(value),
                )
            )
        return tuple(rejects)

    def _counted(self, converted: Sequence["_Converted"]) -> Mapping[tuple[str, str], int]:
        return {
            (column.source, reason): count
            for column, each in zip(self._columns, converted, strict=True)
            for reason, count in Counter(each.bad.values()).items()
        }


def row_offsets(
    arrays: Sequence[pa.Array], rows: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Where each row begins in what pgpq makes of the arrays, and where the last one ends."""
    lengths = np.full(rows, _ROW_HEADER + _FIELD_HEADER * len(arrays), np.int64)
    for array in arrays:
        if pa.types.is_binary(array.type):
            widths: np.ndarray[Any, np.dtype[np.int32]] | int = layout(array).lengths
        else:
            widths = 1 if pa.types.is_boolean(array.type) else array.type.bit_width // 8
        lengths += widths * valid_mask(array) if array.null_count else widths
    offsets = np.zeros(rows + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


@dataclass(frozen=True)
class _Converted:
    payloads: pa.Array
    bad: Mapping[int, str]
    """The reason, by row."""
    changed: Sequence[int]
    """The rows whose value is another than the source's."""


class _Column:
    """One column's way: its conversion, then what its policy says about what is bad."""

    def __init__(self, conversion: Conversion, *, in_key: bool) -> None:
        self.conversion = conversion
        self.source = conversion.column.source
        self._plan = conversion.column
        self._map = {key.encode(): text for key, text in conversion.column.value_map.items()}
        self._null = (Reason.NULL_IN_KEY if in_key else Reason.NULL_IN_NOT_NULL).value

    def convert(self, values: Values, rows: int) -> _Converted:
        payloads: pa.Array | None = None
        open_: list[int] = []
        for storage_class, array in values.arrays.items():
            if self._map and storage_class != "blob":
                vector = undecided(array, self.conversion.arrow)
            else:
                vector = self.conversion.array(storage_class, array)
            open_ += vector.undecided.tolist()
            payloads = (
                vector.payloads if payloads is None else pc.coalesce(payloads, vector.payloads)
            )
        if payloads is None:
            payloads = pa.nulls(rows, self.conversion.arrow)
        bad: dict[int, str] = {}
        changed: list[int] = []
        if open_:
            decided = [self._decide(row, values.value(row), bad, changed) for row in open_]
            payloads = put_values(payloads, open_, decided)
        if self._plan.not_null and payloads.null_count:
            nulls = np.flatnonzero(~valid_mask(payloads))
            for row in nulls.tolist():
                bad.setdefault(row, self._null)
        return _Converted(payloads, bad, changed)

    def _decide(
        self, row: int, value: Value, bad: dict[int, str], changed: list[int]
    ) -> Payload | None:
        if self._map:
            text = _raw(value)
            if text in self._map and not (isinstance(value, bytes) and not isinstance(value, Text)):
                changed.append(row)
                mapped = self._map[text]
                if mapped is None:
                    return None
                value = Text(mapped.encode())
        payload = self.conversion.convert_value(value)
        if not isinstance(payload, Bad):
            return payload
        instead = self._instead(payload)
        if instead is None and not (self._plan.on_bad is BadValue.NULL and not self._plan.not_null):
            bad[row] = payload.reason.value
            return None
        if row not in changed[-1:]:
            changed.append(row)
        return instead

    def _instead(self, bad: Bad) -> Payload | None:
        match self._plan.on_bad:
            case BadValue.CLAMP:
                return bad.nearest
            case BadValue.REPLACE:
                return bad.replaced
            case _:
                return None


def _storage_class(value: Value) -> str:
    match value:
        case None:
            return "null"
        case Text():
            return "text"
        case bytes():
            return "blob"
        case float():
            return "real"
        case _:
            return "integer"


def _raw(value: Value) -> bytes:
    match value:
        case None:
            return b""
        case bytes():
            return bytes(value)
        case _:
            return number_text(value).encode()
