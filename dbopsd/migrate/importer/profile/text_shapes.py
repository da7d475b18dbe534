"""The shapes of texts, and the patterns by which SQLite counts them."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from decimal import Decimal
from typing import Final

from dbopsd.migrate.importer.model.source_profile import TextShapes

_DATE: Final = rb"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK: Final = rb"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?"
_ZONE: Final = rb" ?(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)"
_HEX: Final = b"[0-9A-Fa-f]"
_UUID: Final = b"%b{32}|%b{8}(?:-%b{4}){3}-%b{12}" % ((_HEX,) * 4)
_NUMBER: Final = rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
# In the order of the fields of TextShapes; JSON takes a parser.
_SHAPES: Final = re.compile(
    b"(?P<date>%b)|" % _DATE
    + b"(?P<naive_timestamp>%b[ T]%b)|" % (_DATE, _CLOCK)
    + b"(?P<zoned_timestamp>%b[ T]%b%b)|" % (_DATE, _CLOCK, _ZONE)
    + b"(?P<time>%b)|" % _CLOCK
    + b"(?P<boolean>(?i:t|f|true|false|yes|no|y|n|on|off|0|1))|"
    + rb"(?P<uuid>%b|\{(?:%b)\})|" % (_UUID, _UUID)
    + rb"(?P<json>[\[{].*)|"
    + b"(?P<number>%b)" % _NUMBER,
    re.DOTALL,
)
_ZEROS: Final = b" T0:."
_COUNTS: Final = tuple(each.name for each in fields(TextShapes) if each.name != "examples")
_DIGIT: Final = re.compile(rb"[0-9]")
_MOST_PATTERNS: Final = 8
_MOST_EXAMPLES: Final = 5
_EXAMPLE_CHARACTERS: Final = 80
# Of short values that come again and again.
_REMEMBERED: Final = 10_000
_REMEMBERED_BYTES: Final = 64

INSTANTS: Final = frozenset({"date", "naive_timestamp", "zoned_timestamp"})


def shape_of(value: bytes) -> str:
    """The name of the field of `TextShapes` that a value counts for."""
    found = _SHAPES.fullmatch(value)
    name = found.lastgroup if found else None
    if name == "json" and not _is_json(value):
        return "other"
    return name or "other"


def count_shapes(values: Iterable[bytes]) -> TextShapes:
    """Count the shapes of values one by one."""
    counts: Counter[str] = Counter()
    examples: list[str] = []
    remembered: dict[bytes, str] = {}
    for value in values:
        shape = remembered.get(value)
        if shape is None:
            shape = shape_of(value)
            if len(value) <= _REMEMBERED_BYTES and len(remembered) < _REMEMBERED:
                remembered[value] = shape
        counts[shape] += 1
        if shape == "naive_timestamp" and is_midnight(value):
            counts["midnights"] += 1
        elif shape == "other" and len(examples) < _MOST_EXAMPLES:
            whole = value[: 4 * _EXAMPLE_CHARACTERS].decode(errors="replace")
            example = whole[:_EXAMPLE_CHARACTERS]
            examples.extend([] if example in examples else [example])
    return TextShapes(**counts, examples=tuple(examples))


def add_shapes(one: TextShapes, other: TextShapes) -> TextShapes:
    """The sum of two counts."""
    sums = {name: getattr(one, name) + getattr(other, name) for name in _COUNTS}
    return TextShapes(**sums, examples=(one.examples + other.examples)[:_MOST_EXAMPLES])


def is_midnight(value: bytes) -> bool:
    """Whether a timestamp without a zone has no time of day."""
    return not value[10:].strip(_ZEROS)


def patterns_of(values: Iterable[bytes]) -> dict[str, str]:
    """The shape of each GLOB pattern that dates and timestamps among the values have.

    The most frequent ones; no value has two of them. What a pattern does not tell is whether there
    is such a day.
    """
    found = Counter(value for value in map(_pattern, values) if value is not None)
    return {pattern.decode(): shape for (pattern, shape), _ in found.most_common(_MOST_PATTERNS)}


def pattern_bytes(pattern: str) -> int:
    """How long the values are that have this pattern."""
    return len(pattern.replace("[0-9]", "0"))


def decimal_digits(value: bytes) -> tuple[int, int] | None:
    """How many digits a decimal literal needs before the point and after it; None: it is none."""
    if not re.fullmatch(_NUMBER, value):
        return None
    return digits_of(Decimal(value.decode()))


def digits_of(number: Decimal) -> tuple[int, int]:
    """How many digits a number needs before the point and after it."""
    before, _, after = f"{number:f}".lstrip("-").partition(".")
    return len(before.lstrip("0")), len(after.rstrip("0"))


def _pattern(value: bytes) -> tuple[bytes, str] | None:
    shape = shape_of(value)
    return (_DIGIT.sub(b"[0-9]", value), shape) if shape in INSTANTS else None


def _is_json(value: bytes) -> bool:
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return False
    return True
