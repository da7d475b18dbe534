"""Decimal numbers of any length, as digits: Python's integers take no text of this length."""

import re
from dataclasses import dataclass
from typing import Final

DECIMAL: Final = re.compile(rb"([+-]?)(?=\.?[0-9])([0-9]*)\.?([0-9]*)(?:[eE]([+-]?[0-9]+))?")
"""A decimal literal: its sign, the digits before and after the point, the exponent."""

MOST_BEFORE_POINT: Final = 131_072
"""How many decimal digits PostgreSQL's numeric has before the point at most."""
MOST_AFTER_POINT: Final = 16_383

_EXPONENT_DIGITS: Final = 9


@dataclass(frozen=True)
class Plain:
    """A decimal number: its digits, so many of them after the point."""

    negative: bool
    digits: str
    """Without leading zeros; empty: it is 0."""
    scale: int
    """May be more than there are digits; not negative."""

    @property
    def before_point(self) -> int:
        """How many digits stand before the point; negative: so many zeros stand after it."""
        return len(self.digits) - self.scale

    def at_scale(self, scale: int) -> "Plain":
        """The same number with so many digits after the point, which must be 0 where they go."""
        if scale >= self.scale:
            zeros = "0" * (scale - self.scale) if self.digits else ""
            return Plain(self.negative, self.digits + zeros, scale)
        return Plain(self.negative, self.digits[: scale - self.scale], scale)

    def shortest(self) -> "Plain":
        """The same number without zeros at the end of what stands after the point."""
        if not self.digits:
            return Plain(negative=False, digits="", scale=0)
        zeros = len(self.digits) - len(self.digits.rstrip("0"))
        return self.at_scale(self.scale - min(self.scale, zeros))

    def __str__(self) -> str:
        """As PostgreSQL writes it: without an exponent, and without a sign where it is 0."""
        before = self.digits[: max(0, self.before_point)]
        after = self.digits[len(before) :].rjust(self.scale, "0")
        sign = "-" if self.negative and self.digits else ""
        return f"{sign}{before or '0'}{'.' if after else ''}{after}"


def read_decimal(text: bytes) -> Plain | None:
    """The number that a decimal literal writes; None: no numeric is so large or so fine."""
    match = DECIMAL.fullmatch(text)
    assert match is not None  # noqa: S101
    sign, before, after, exponent = match.groups()
    digits = (before + after).decode().lstrip("0")
    power = (exponent or b"0").decode()
    if len(power.lstrip("+-0")) > _EXPONENT_DIGITS:
        return None
    scale = len(after) - int(power)
    if scale < 0:
        if digits and len(digits) - scale > MOST_BEFORE_POINT:
            return None
        digits, scale = digits + "0" * -scale if digits else "", 0
    if scale > MOST_AFTER_POINT or len(digits) - scale > MOST_BEFORE_POINT:
        return None
    return Plain(sign == b"-", digits, scale)
