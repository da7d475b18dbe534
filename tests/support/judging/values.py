"""The documented mapping of values from SQLite to PostgreSQL, written from its documentation.

A value is read as Python has it (`Text` is a TEXT value's bytes, plain bytes are a BLOB), and what
it becomes is compared with what PostgreSQL shows of a value, cast to text.
"""

import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Final


class Text(bytes):
    """A TEXT value, as the bytes that the file has."""


Value = int | float | bytes | None


@dataclass(frozen=True)
class Bad:
    """A value that its column cannot hold, and the reasons of which one is to be given."""

    reasons: frozenset[str]


@dataclass(frozen=True)
class PgType:
    """A type as `format_type()` shows it, and the unit of numbers that are times in it."""

    shown: str
    unit: str = ""

    @property
    def name(self) -> str:
        return re.sub(r"\(.*?\)", "", self.shown)

    @property
    def arguments(self) -> tuple[int, ...]:
        match = re.search(r"\((.*?)\)", self.shown)
        return tuple(map(int, match[1].split(","))) if match else ()


def bad(*reasons: str) -> Bad:
    return Bad(frozenset(reasons))


_DAY_US: Final = 86_400_000_000
_EPOCH: Final = date(1970, 1, 1)
_FIRST_US: Final = (date(1, 1, 1) - _EPOCH).days * _DAY_US
_END_US: Final = ((date(9999, 12, 31) - _EPOCH).days + 1) * _DAY_US
_DECIMAL: Final = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MOMENT: Final = re.compile(
    rb"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    rb"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?"
    rb"(?: ?([Zz]|[+-][0-9]{2}(?::?[0-9]{2})?))?)?"
)
_TIME: Final = re.compile(rb"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?")
_HEX: Final = rb"[0-9a-fA-F]"
_UUID: Final = re.compile(rb"(?:X{32}|X{8}-X{4}-X{4}-X{4}-X{12})".replace(b"X", _HEX))
_TRUE: Final = frozenset((b"t", b"true", b"yes", b"y", b"on", b"1"))
_FALSE: Final = frozenset((b"f", b"false", b"no", b"n", b"off", b"0"))
_RANGES: Final = {"smallint": 15, "integer": 31, "bigint": 63}
_UNITS_US: Final = {"s": 1_000_000, "ms": 1000, "us": 1}


def number_text(value: float) -> str:
    """The canonical text of a number."""
    return str(value) if isinstance(value, int) else repr(value).replace("inf", "Inf")


def is_decimal(value: bytes) -> bool:
    return _DECIMAL.fullmatch(value) is not None


@dataclass(frozen=True)
class Moment:
    """A date or timestamp that a text writes."""

    micros: int
    zoned: bool
    date_only: bool
    exact: bool
    """Whether it has no more digits than microseconds."""

    @property
    def midnight(self) -> bool:
        return self.micros % _DAY_US == 0 and self.exact


def moment_of(text: bytes) -> Moment | None:
    """The moment that an ISO text writes, in UTC; None where it writes none."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(match[group] or 0) for group in range(1, 7))
    if hour > 23 or minute > 59 or second > 59:
        return None
    try:
        days = (date(year, month, day) - _EPOCH).days
    except ValueError:
        return None
    fraction = (match[7] or b"").decode()
    micros = days * _DAY_US + ((hour * 60 + minute) * 60 + second) * 1_000_000
    micros += int(fraction[:6].ljust(6, "0"))
    zone = (match[8] or b"").decode()
    if zone and zone not in "Zz":
        digits = zone[1:].replace(":", "").ljust(4, "0")
        if int(digits[:2]) > 15 or int(digits[2:]) > 59:
            return None
        offset = int(digits[:2]) * 60 + int(digits[2:])
        micros += -offset * 60_000_000 if zone[0] == "+" else offset * 60_000_000
    return Moment(micros, bool(zone), match[4] is None, not fraction[6:].strip("0"))


def micros_of(value: float, unit: str) -> int | None:
    """The moment that a number stands for; None where it is out of the years."""
    if value in (float("inf"), float("-inf")):
        return None
    exact = Fraction(value)
    if unit == "julian":
        micros = round((exact - Fraction(4881175, 2)) * 86_400_000) * 1000
    else:
        # The nearest microsecond of the fraction.
        whole = int(exact)
        micros = whole * _UNITS_US[unit] + round((exact - whole) * _UNITS_US[unit])
    return micros if _FIRST_US <= micros < _END_US else None


Oracle = Callable[[str, str], bool]
"""Whether a text is valid for a type, to PostgreSQL itself."""


def expected(value: Value, to: PgType, oracle: Oracle) -> Any:
    """What a value becomes, comparable with what `arrived` gives, or `Bad`."""
    if value is None:
        return None
    if to.name in ("json", "jsonb"):
        return _json(value, to.name, oracle)
    return _EXPECTED[to.name](value, to)


def arrived(text: str | None, of: PgType) -> Any:
    """A value that PostgreSQL shows as text, in the form of `expected`."""
    return None if text is None else _ARRIVED[of.name](text)


def _boolean(value: Value, _to: PgType) -> Any:
    if isinstance(value, Text):
        folded = value.lower()
        if folded in _TRUE or folded in _FALSE:
            return folded in _TRUE
    elif isinstance(value, int | float) and value in (0, 1):
        return value == 1
    return bad("NOT_A_BOOLEAN")


def _integer(value: Value, to: PgType) -> Any:
    number = None
    if isinstance(value, int):
        number = value
    elif isinstance(value, float):
        if value in (float("inf"), float("-inf")):
            return bad("OUT_OF_RANGE", "NOT_AN_INTEGER")
        number = int(value) if value.is_integer() else None
    elif isinstance(value, Text) and re.fullmatch(rb"[+-]?[0-9]{1,40}", value):
        number = int(value)
    if number is None:
        return bad("NOT_AN_INTEGER")
    limit = 2 ** _RANGES[to.name]
    return number if -limit <= number < limit else bad("OUT_OF_RANGE", "NOT_AN_INTEGER")


def _double(value: Value, _to: PgType) -> Any:
    if isinstance(value, float):
        return struct.pack("d", value)
    if isinstance(value, int):
        return struct.pack("d", value) if abs(value) <= 2**53 else bad("INEXACT")
    return bad("NOT_A_NUMBER")


def _numeric(value: Value, to: PgType) -> Any:
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return bad("OUT_OF_RANGE") if to.arguments else Decimal(value)
    if isinstance(value, int | float):
        number = Decimal(repr(value))
    elif isinstance(value, Text) and is_decimal(value):
        number = Decimal(value.decode())
    else:
        return bad("NOT_A_NUMBER")
    number = number or Decimal(0)
    if to.arguments:
        precision, scale = (*to.arguments, 0)[:2]
        if abs(number) >= Decimal(10) ** (precision - scale):
            return bad("OUT_OF_RANGE")
        if number != round_to(number, scale):
            return bad("INEXACT")
    return number.normalize(Context(prec=200_000))


def round_to(number: Decimal, scale: int) -> Decimal:
    """The number with `scale` digits after the point."""
    return number.quantize(Decimal(1).scaleb(-scale), context=Context(prec=5000))


def _text(value: Value, to: PgType) -> Any:
    if isinstance(value, int | float):
        made = number_text(value).encode()
    elif isinstance(value, Text):
        problems = set()
        try:
            value.decode()
        except UnicodeDecodeError:
            problems.add("INVALID_UTF8")
        if 0 in value:
            problems.add("NUL_CHARACTER")
        if problems:
            return bad(*problems)
        made = bytes(value)
    else:
        return bad("BLOB_IN_TEXT")
    if to.arguments and len(made.decode()) > to.arguments[0]:
        return bad("OUT_OF_RANGE")
    return made


def _bytes(value: Value, _to: PgType) -> Any:
    assert value is not None
    return bytes(value) if isinstance(value, bytes) else number_text(value).encode()


def _date(value: Value, to: PgType) -> Any:
    micros = None
    if isinstance(value, Text):
        moment = moment_of(value)
        if moment and not moment.zoned and moment.exact:
            micros = moment.micros
    elif isinstance(value, int | float) and to.unit:
        micros = micros_of(value, to.unit)
    if micros is None or micros % _DAY_US:
        return bad("NOT_A_DATE", "OUT_OF_RANGE", "INEXACT")
    return micros


def _timestamp(value: Value, to: PgType) -> Any:
    problem = bad("NOT_A_TIMESTAMP", "OUT_OF_RANGE", "INEXACT")
    if isinstance(value, Text):
        moment = moment_of(value)
        if moment is None or not moment.exact or not _FIRST_US <= moment.micros < _END_US:
            return problem
        if moment.zoned and "without" in to.name:
            return problem
        return moment.micros
    if isinstance(value, int | float) and to.unit:
        micros = micros_of(value, to.unit)
        return problem if micros is None else micros
    return problem


def _time(value: Value, _to: PgType) -> Any:
    match = _TIME.fullmatch(value) if isinstance(value, Text) else None
    if match is None:
        return bad("NOT_A_TIME", "INEXACT", "OUT_OF_RANGE")
    hour, minute, second = (int(match[group] or 0) for group in range(1, 4))
    if hour > 23 or minute > 59 or second > 59:
        return bad("NOT_A_TIME", "OUT_OF_RANGE")
    micros = int((match[4] or b"").decode().ljust(6, "0"))
    return ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros


def _json(value: Value, name: str, oracle: Oracle) -> Any:
    if isinstance(value, int | float):
        text = number_text(value)
    elif isinstance(value, Text):
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return bad("NOT_JSON", "INVALID_UTF8")
        if "\0" in text:
            return bad("NOT_JSON", "NUL_CHARACTER")
    else:
        return bad("BLOB_IN_TEXT", "NOT_JSON")
    if not oracle(text, name):
        return bad("NOT_JSON", "NUL_CHARACTER", "OUT_OF_RANGE")
    if name == "json":
        return text.encode()
    return bad("ALTERED_BY_JSONB") if _is_altered(text) else _parsed(text)


def _is_altered(text: str) -> bool:
    """Whether jsonb keeps less than the text says: one of two equal keys, a zero without a sign."""
    altered = False

    def number(written: str) -> None:
        nonlocal altered
        altered |= written[0] == "-" and not Decimal(written)

    def members(pairs: list[tuple[str, Any]]) -> None:
        nonlocal altered
        altered |= len({key for key, _ in pairs}) < len(pairs)

    json.loads(text, parse_float=number, parse_int=number, object_pairs_hook=members, strict=False)
    return altered


def _parsed(text: str) -> str:
    """A form of JSON that is the same for what jsonb holds to be the same."""
    return json.dumps(
        json.loads(text, parse_float=_number, parse_int=_number, strict=False), sort_keys=True
    )


def _number(text: str) -> str:
    return f"number {Decimal(text).normalize(Context(prec=200_000))}"


def _uuid(value: Value, _to: PgType) -> Any:
    if isinstance(value, Text):
        written = bytes(value)
        if written[:1] == b"{" and written[-1:] == b"}":
            written = written[1:-1]
        if _UUID.fullmatch(written):
            return written.replace(b"-", b"").lower().decode()
    elif isinstance(value, bytes) and len(value) == 16:
        return value.hex()
    return bad("NOT_A_UUID")


_EXPECTED: Final[dict[str, Callable[[Value, PgType], Any]]] = {
    "boolean": _boolean,
    **dict.fromkeys(_RANGES, _integer),
    "double precision": _double,
    "numeric": _numeric,
    "text": _text,
    "character varying": _text,
    "bytea": _bytes,
    "date": _date,
    "timestamp without time zone": _timestamp,
    "timestamp with time zone": _timestamp,
    "time without time zone": _time,
    "uuid": _uuid,
}


def _shown_moment(text: str) -> int | str:
    moment = moment_of(text.encode())
    return text if moment is None else moment.micros


_ARRIVED: Final[dict[str, Callable[[str], Any]]] = {
    "boolean": lambda text: text == "true",
    **dict.fromkeys(_RANGES, int),
    "double precision": lambda text: struct.pack("d", float(text)),
    "numeric": lambda text: (Decimal(text) or Decimal(0)).normalize(Context(prec=200_000)),
    "text": str.encode,
    "character varying": str.encode,
    "bytea": lambda text: bytes.fromhex(text.removeprefix("\\x")),
    "date": _shown_moment,
    "timestamp without time zone": _shown_moment,
    "timestamp with time zone": _shown_moment,
    "time without time zone": lambda text: _time(Text(text.encode()), PgType("time")),
    "json": str.encode,
    "jsonb": _parsed,
    "uuid": lambda text: text.replace("-", ""),
}


def known(of: PgType) -> bool:
    """Whether the judge knows the type at all."""
    return of.name in _ARRIVED
