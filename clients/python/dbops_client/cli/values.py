"""Measured values for people."""

import math
from collections.abc import Callable, Iterable

_MINUTE_S = 60
_HOUR_S = 60 * _MINUTE_S
_DAY_S = 24 * _HOUR_S


def formatter(unit: str, values: Iterable[float]) -> Callable[[float], str]:
    """Return a function that writes numbers of the UCUM code `unit`.

    `values` belong together: a value and its thresholds. UCUM has `1` for ratios and for plain
    numbers: they are ratios if one of them has a fraction, which a count never has.
    """
    if unit.endswith("/s"):
        of = unit.removesuffix("/s")
        amount = count if of == "1" else formatter(of, values)
        return lambda value: f"{amount(value)}/s"
    if unit == "s":
        return duration
    if unit == "By":
        return size
    if unit == "1":
        return count if all(_is_whole(value) for value in values) else percent
    if unit.startswith("{"):  # an annotation, such as {connection}: a count of these
        return count
    return lambda value: f"{value:g} {unit}".rstrip()


def duration(value_s: float) -> str:
    """Return a time in seconds with three digits, or in two units."""
    magnitude = abs(value_s)
    if not math.isfinite(value_s):
        return f"{value_s:g}"
    if magnitude < 0.9995:
        return f"{value_s * 1000:.3g} ms"
    if magnitude < 2 * _MINUTE_S:
        return f"{value_s:.3g} s"
    if magnitude < 2 * _HOUR_S:
        return _two_units(value_s, _MINUTE_S, "min", 1, "s")
    if magnitude < 2 * _DAY_S:
        return _two_units(value_s, _HOUR_S, "h", _MINUTE_S, "min")
    return _two_units(value_s, _DAY_S, "d", _HOUR_S, "h")


def size(value_bytes: float) -> str:
    """Return a number of bytes, in units of 1024."""
    if not math.isfinite(value_bytes):
        return f"{value_bytes:g}"
    if abs(value_bytes) < 1024:
        return f"{value_bytes:.0f} B"
    value = value_bytes
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024
        if abs(value) < 1024:
            return f"{value:.1f} {unit}"
    return f"{value / 1024:.1f} PiB"


def percent(ratio: float) -> str:
    """Return a ratio in percent."""
    return f"{ratio * 100:.1f} %" if math.isfinite(ratio) else f"{ratio:g}"


def count(number: float) -> str:
    """Return a plain number, or a large one with four digits."""
    for size_of_unit, unit in ((1e9, "G"), (1e6, "M")):
        if math.isfinite(number) and abs(number) >= size_of_unit:
            return f"{number / size_of_unit:.4g} {unit}"
    return f"{number:,.0f}" if _is_whole(number) else f"{number:g}"


def _two_units(value_s: float, large_s: int, large: str, small_s: int, small: str) -> str:
    sign = "-" if value_s < 0 else ""
    whole, rest_s = divmod(abs(round(value_s)), large_s)
    return f"{sign}{whole} {large} {rest_s // small_s} {small}"


def _is_whole(value: float) -> bool:
    return math.isfinite(value) and value == int(value)
