"""How many digits numbers need, without writing each of them out."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from dbopsd.migrate.importer.source.profile_shapes import digits_of

_SCALES: Final = range(9)
MORE_DIGITS: Final = 99
"""What `scale_sql` gives for the numbers that have to be written out."""
# Two decimal numbers of up to 15 digits are never the same double.
_EXACT: Final = 10**15


def scale_sql(value: str) -> str:
    """SQL for the digits after the point of a real, as its shortest round-trip decimal has them.

    `value` is an SQL expression. If a double is k / 10^n to the last bit and k has no more than 15
    digits, that is the only decimal of 15 digits for it, and so the shortest one. The division is
    exact: both are integers that a double holds, and the quotient is rounded once.
    """
    cases = " ".join(
        f"WHEN abs({value}) < {_EXACT // 10**scale}.0"
        f" AND round({value} * {10**scale}.0) / {10**scale}.0 = {value} THEN {scale}"
        for scale in _SCALES
    )
    return f"CASE {cases} ELSE {MORE_DIGITS} END"


def scale_of(numbers: Iterable[float]) -> int:
    """The most digits after the point of any of the finite numbers, written out."""
    return max(
        (digits_of(Decimal(repr(number)))[1] for number in numbers if abs(number) != float("inf")),
        default=0,
    )


def whole_digits(numbers: Iterable[int | float | None]) -> int:
    """The most digits before the point of any of the finite numbers."""
    return max(
        (
            digits_of(Decimal(repr(number)))[0]
            for number in numbers
            if number is not None and abs(number) != float("inf")
        ),
        default=0,
    )
