"""Conversions to numeric and numeric(p,s)."""

from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dbopsd.migrate.importer.conversion import numeric_wire
from dbopsd.migrate.importer.conversion.base import (
    Bad,
    Conversion,
    Payload,
    Reason,
    Vector,
    numbers,
    true_mask,
    valid_mask,
)
from dbopsd.migrate.importer.conversion.decimals import DECIMAL, Plain, read_decimal
from dbopsd.migrate.importer.conversion.values import Text, Value
from dbopsd.migrate.importer.model.plan import PlannedColumn

# A decimal number of so many digits is the shortest one of the double next to it.
_TELLING_DIGITS: Final = 15
_SIMPLE: Final = r"^-?[0-9]+(\.[0-9]+)?$"
_SIMPLE_LENGTH: Final = _TELLING_DIGITS + 1
_POWERS: Final = np.array([10**power for power in range(20)], np.uint64)

_Numbers = np.ndarray[Any, np.dtype[np.int64]]
_Mask = np.ndarray[Any, np.dtype[np.bool_]]


class Numeric(Conversion):
    """Integers; reals by their shortest decimal; texts that are a decimal literal."""

    name = "numeric"
    types: ClassVar = {"numeric": pa.binary()}

    def __init__(self, column: PlannedColumn) -> None:
        super().__init__(column)
        self._precision: int | None = None
        self._scale = 0
        if self.type.arguments:
            self._precision, self._scale = (*self.type.arguments, 0)[:2]

    def convert_value(self, value: Value) -> Payload | Bad:
        match value:
            case float():
                if value in (float("inf"), float("-inf")):
                    return self._infinity(negative=value < 0)
                number = read_decimal(repr(value).encode())
                return (
                    Bad(Reason.OUT_OF_RANGE) if number is None else self._fitting(number.shortest())
                )
            case int():
                return self._fitting(Plain(value < 0, str(abs(value)).lstrip("0"), 0))
            case Text() if DECIMAL.fullmatch(value):
                number = read_decimal(value)
                return Bad(Reason.OUT_OF_RANGE) if number is None else self._fitting(number)
            case _:
                return Bad(Reason.NOT_A_NUMBER)

    def _infinity(self, *, negative: bool) -> Payload | Bad:
        if self._precision is not None:
            return Bad(Reason.OUT_OF_RANGE, self._largest(negative=negative))
        return numeric_wire.NEGATIVE_INFINITY if negative else numeric_wire.POSITIVE_INFINITY

    def _largest(self, *, negative: bool) -> Payload:
        assert self._precision is not None  # noqa: S101
        digits = "9" * self._precision + "0" * -self._scale
        return numeric_wire.encode(Plain(negative, digits, max(0, self._scale)))

    def _fitting(self, number: Plain) -> Payload | Bad:
        if self._precision is None:
            return numeric_wire.encode(number)
        if not number.digits:
            return numeric_wire.encode(Plain(negative=False, digits="", scale=max(0, self._scale)))
        if number.before_point > self._precision - self._scale:
            return Bad(Reason.OUT_OF_RANGE, self._largest(negative=number.negative))
        # The digits that PostgreSQL would round away.
        beyond = number.scale - self._scale
        if beyond > 0 and number.digits.rjust(beyond, "0")[-beyond:].strip("0"):
            return Bad(Reason.INEXACT, self._rounded(number))
        return numeric_wire.encode(number.at_scale(max(0, self._scale)))

    def _rounded(self, number: Plain) -> Payload:
        assert self._precision is not None  # noqa: S101
        digits = tuple(map(int, number.digits))
        context = Context(prec=len(digits) + self._precision + 2, rounding=ROUND_HALF_UP)
        exact = Decimal((int(number.negative), digits, -number.scale))
        rounded = exact.quantize(Decimal((0, (1,), -self._scale)), context=context)
        nearest = read_decimal(format(rounded, "f").encode())
        if nearest is None or nearest.before_point > self._precision - self._scale:
            return self._largest(negative=number.negative)
        return numeric_wire.encode(nearest)

    def array(self, storage_class: str, values: pa.Array) -> Vector:
        if storage_class == "blob" or self._scale < 0:
            return super().array(storage_class, values)
        there = valid_mask(values)
        if storage_class == "integer":
            found = np.where(there, numbers(values), 0)
            scales = np.zeros(len(found), np.int64)
            good = found != np.iinfo(np.int64).min
        elif storage_class == "real":
            found, scales, good = _shortest(np.where(there, numbers(values), 0.0))
        else:
            found, scales, good = _simple(values)
        good &= there
        shown = scales
        if self._precision is not None:
            found, scales, fits = _at_scale(found, scales, self._precision, self._scale)
            good &= fits
            shown = np.full(len(found), self._scale)
        found, scales = np.where(good, found, 0), np.where(good, scales, 0)
        payloads = numeric_wire.encode_array(found, scales, shown, ~good)
        return Vector(payloads, np.flatnonzero(there & ~good))


def _shortest(found: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[_Numbers, _Numbers, _Mask]:
    """The shortest decimals of doubles, where they have few digits: number, scale, whether."""
    result = np.zeros(len(found), np.int64)
    scales = np.zeros(len(found), np.int64)
    good = np.zeros(len(found), bool)
    rest = np.flatnonzero(np.abs(found) < 10.0**_TELLING_DIGITS)
    for scale in range(_TELLING_DIGITS):
        candidates = found[rest]
        # Wrong by less than one half, and the division, of two exact numbers, tells.
        scaled = np.rint(candidates * 10.0**scale)
        hit = (scaled / 10.0**scale == candidates) & (np.abs(scaled) < 10.0**_TELLING_DIGITS)
        rows = rest[hit]
        result[rows] = scaled[hit]
        scales[rows] = scale
        good[rows] = True
        rest = rest[~hit]
        if not len(rest):
            break
    return result, scales, good


def _simple(values: pa.Array) -> tuple[_Numbers, _Numbers, _Mask]:
    """The texts that are short decimals without an exponent: number, scale, whether."""
    lengths = pc.binary_length(values)
    short = pc.and_(
        pc.match_substring_regex(values, _SIMPLE), pc.less_equal(lengths, _SIMPLE_LENGTH)
    ).fill_null(False)
    texts = pc.if_else(short, values, b"0")
    points = numbers(pc.find_substring(texts, b"."))
    digits = pc.replace_substring(texts, b".", b"").view(pa.string()).cast(pa.int64())
    after = numbers(pc.binary_length(texts)) - 1 - points
    scales = np.where(points < 0, 0, after).astype(np.int64)
    return numbers(digits), scales, true_mask(short)


def _at_scale(
    found: _Numbers, scales: _Numbers, precision: int, scale: int
) -> tuple[_Numbers, _Numbers, _Mask]:
    """The numbers with no more than `scale` digits after the point, and whether they fit so."""
    whole = np.clip(precision - scale + scales, 0, len(_POWERS) - 1)
    fits = np.abs(found).view(np.uint64) < _POWERS[whole]
    fits |= precision - scale + scales >= len(_POWERS)
    beyond = _POWERS[np.clip(scales - scale, 0, len(_POWERS) - 1)].astype(np.int64)
    fits &= found % beyond == 0
    return found // beyond, np.minimum(scales, scale), fits
