"""Comparisons as SQLite makes them: https://sqlite.org/datatype3.html#comparison_expressions.

What PostgreSQL would compare in another way is refused, or written so that it does not.
"""

import math
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from dbopsd.migrate.importer.conversion.instants import (
    DAY_US,
    FIRST_US,
    read_number,
    read_time,
    read_timestamp,
)
from dbopsd.migrate.importer.model.source_schema import Affinity
from dbopsd.migrate.importer.translate.convert import BITS, number, typed_json
from dbopsd.migrate.importer.translate.types import (
    MOMENTS,
    NUMBERS,
    Clock,
    Kind,
    NotTranslatable,
    Typed,
    boolean,
    number_of,
    text,
    truth,
)

EQUAL: Final = "="
SAME: Final = "IS NOT DISTINCT FROM"
OTHER: Final = "IS DISTINCT FROM"
ORDERINGS: Final = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
"""Each with what it is when the operands change places."""
_NUMERIC: Final = frozenset({Affinity.INTEGER, Affinity.REAL, Affinity.NUMERIC})
_WORDS: Final = {
    **dict.fromkeys(("t", "true", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("f", "false", "no", "n", "off", "0"), False),
}
# Beyond it a double does not hold every integer, and an integer column may have one that it does.
_EXACT: Final = 2**53

Pair = tuple[str, str]


def compare(operator: str, left: Typed, right: Typed) -> Typed:
    """One of `= <> < <= > >=`, SAME and OTHER. Raises `NotTranslatable`."""
    if Kind.NULL in {left.kind, right.kind}:
        return _with_null(operator, left, right)
    first, second = pair(operator, left, right)
    volatile = left.volatile or right.volatile
    return replace(boolean(f"({first} {operator} {second})"), volatile=volatile)


def pair(operator: str, left: Typed, right: Typed) -> Pair:
    """The two sides, so that PostgreSQL's operator compares them as SQLite's does."""
    left, right = typed_json(left), typed_json(right)
    kinds = {left.kind, right.kind}
    if kinds <= NUMBERS:
        if operator in ORDERINGS and Affinity.TEXT in {left.affinity, right.affinity}:
            raise NotTranslatable(
                f"{left.sql} and {right.sql}", "SQLite has numbers as texts there"
            )
        return _plain(left), _plain(right)
    if Kind.BOOLEAN in kinds:
        return _booleans(left, right) if left.kind is Kind.BOOLEAN else _swapped(left, right)
    if kinds & MOMENTS:
        if left.kind in MOMENTS:
            return _moments(operator, left, right)
        second, first = _moments(ORDERINGS.get(operator, operator), right, left)
        return first, second
    if kinds == {Kind.TEXT}:
        return _texts(operator, left, right)
    if Kind.TEXT in kinds and kinds & NUMBERS:
        if left.kind is Kind.TEXT:
            return _text_and_number(operator, left, right)
        second, first = _text_and_number(ORDERINGS.get(operator, operator), right, left)
        return first, second
    if left.kind is right.kind and left.kind in {Kind.BYTES, Kind.TIME, Kind.UUID}:
        return _alike(operator, left, right)
    if left.kind in {Kind.TIME, Kind.UUID, Kind.JSON_PART} and right.constant is not None:
        return left.sql, _beside(operator, left, right)
    if right.kind in {Kind.TIME, Kind.UUID, Kind.JSON_PART} and left.constant is not None:
        return _beside(operator, right, left), right.sql
    raise _apart(left, right)


def without_column(value: Typed) -> Typed:
    """A value that has no say in how it is compared: an element of IN."""
    return replace(value, affinity=None, collation=None, explicit=False)


def collation_of(left: Typed, right: Typed) -> str:
    """By which of the two texts are compared: https://sqlite.org/datatype3.html#collation."""
    for value in (left, right):
        if value.explicit:
            return value.collation or "BINARY"
    for value in (left, right):
        if value.collation is not None:
            return value.collation
    return "BINARY"


def under(collation: str, sql: str, *, ordered: bool) -> str:
    """A text so that PostgreSQL compares it as that collation of SQLite's does."""
    match collation.upper():
        case "NOCASE":
            return f'pg_catalog.lower({sql} COLLATE pg_catalog."C")'
        case "RTRIM":
            sql = f"pg_catalog.rtrim({sql}, ' ')"
        case "BINARY":
            pass
        case _:
            raise NotTranslatable(f"COLLATE {collation}", "it is an application's own collation")
    return f'({sql} COLLATE pg_catalog."C")' if ordered else sql


def _with_null(operator: str, left: Typed, right: Typed) -> Typed:
    other = right if left.kind is Kind.NULL else left
    if operator == SAME:
        return truth(value=True) if other.kind is Kind.NULL else boolean(f"({other.sql} IS NULL)")
    if operator == OTHER:
        if other.kind is Kind.NULL:
            return truth(value=False)
        return boolean(f"({other.sql} IS NOT NULL)")
    return boolean("NULL::pg_catalog.bool")


def _apart(left: Typed, right: Typed) -> NotTranslatable:
    kinds = f"{left.kind.value} and {right.kind.value}"
    return NotTranslatable(f"{left.sql} and {right.sql}", f"PostgreSQL does not compare {kinds}")


def _swapped(left: Typed, right: Typed) -> Pair:
    second, first = _booleans(right, left)
    return first, second


def _plain(value: Typed) -> str:
    """A number; a real constant as a decimal, which every type of number compares exactly."""
    constant = value.constant
    if isinstance(constant, float) and math.isfinite(constant):
        return repr(constant) if constant >= 0 else f"({constant!r})"
    return value.sql


def _booleans(left: Typed, right: Typed) -> Pair:
    if right.kind is Kind.BOOLEAN:
        return left.sql, right.sql
    if right.constant in BITS:
        return left.sql, str(bool(right.constant)).lower()
    if right.kind in NUMBERS:
        return number(left).sql, _plain(right)
    if left.column and left.affinity and isinstance(right.constant, str):
        word = _WORDS.get(right.constant.lower())
        if word is not None:
            return left.sql, str(word).lower()
    raise _apart(left, right)


def _alike(operator: str, left: Typed, right: Typed) -> Pair:
    if left.kind is Kind.UUID and operator in ORDERINGS:
        raise NotTranslatable(left.sql, "texts and blobs of UUIDs have orders of their own")
    return left.sql, right.sql


def _beside(operator: str, left: Typed, right: Typed) -> str:
    """A constant beside a time of day, a UUID or a part of a JSON."""
    constant = right.constant
    if not isinstance(constant, str):
        raise _apart(left, right)
    if left.kind is Kind.TIME:
        if read_time(constant.encode()) is None:
            raise NotTranslatable(right.sql, "it is no time of day")
        return f"{right.sql}::pg_catalog.time"
    if operator in ORDERINGS:
        raise NotTranslatable(left.sql, f"a {left.kind.value} has no such order in SQLite")
    if left.kind is Kind.UUID:
        try:
            return f"'{uuid.UUID(constant)}'::pg_catalog.uuid"
        except ValueError as error:
            raise NotTranslatable(right.sql, "it is no UUID") from error
    shown_otherwise = constant in {"true", "false"} or constant[:1] in {"{", "["}
    if number_of(constant) is not None or shown_otherwise:
        raise NotTranslatable(right.sql, "a number or a truth in the JSON may be shown like that")
    return right.sql


def _texts(operator: str, left: Typed, right: Typed) -> Pair:
    _refuse_mixed(operator, left, right)
    ordered = operator in ORDERINGS
    collation = collation_of(left, right)
    first, second = (_canonical(each, beside) for each, beside in ((left, right), (right, left)))
    return under(collation, first, ordered=ordered), under(collation, second, ordered=ordered)


def _canonical(value: Typed, beside: Typed) -> str:
    """A constant as the number it becomes beside a column of numbers, where it is an integer."""
    if not isinstance(value.constant, str) or beside.affinity not in _NUMERIC:
        return value.sql
    found = number_of(value.constant)
    if found is None:
        return value.sql
    if isinstance(found, float):
        raise NotTranslatable(value.sql, "it becomes a real beside such a column")
    return text(str(found)).sql


def _refuse_mixed(operator: str, left: Typed, right: Typed) -> None:
    """Refuse texts that may be numbers in SQLite, where that makes a difference."""
    if not (left.mixed or right.mixed):
        numeric = left.affinity in _NUMERIC or right.affinity in _NUMERIC
        if numeric and operator in ORDERINGS:
            for value in (left, right):
                if isinstance(value.constant, str) and number_of(value.constant) is not None:
                    raise NotTranslatable(value.sql, "it becomes a number beside such a column")
        return
    mixed, other = (left, right) if left.mixed else (right, left)
    if operator in ORDERINGS:
        problem = "SQLite has numbers in it too, which come before all texts there"
        raise NotTranslatable(mixed.sql, problem)
    both = other.mixed and mixed.affinity in _NUMERIC and other.affinity in _NUMERIC
    literal = isinstance(other.constant, str) and (
        mixed.affinity in _NUMERIC or number_of(other.constant) is None
    )
    if not both and not literal:
        raise NotTranslatable(
            f"{left.sql} and {right.sql}", "one may be a number in SQLite where the other is a text"
        )


def _text_and_number(operator: str, left: Typed, right: Typed) -> Pair:
    constant = right.constant
    integral = left.affinity in {Affinity.INTEGER, Affinity.NUMERIC}
    if integral and isinstance(constant, float) and constant.is_integer():
        constant = int(constant) if abs(constant) < _EXACT else constant
    if isinstance(constant, int):
        if left.affinity is Affinity.TEXT and right.affinity is None:
            return _texts(operator, left, text(str(constant)))
        if integral and operator not in ORDERINGS:
            return left.sql, text(str(constant)).sql
    if isinstance(left.constant, str) and right.affinity in _NUMERIC:
        found = number_of(left.constant)
        if isinstance(found, int):
            return str(found) if found >= 0 else f"({found})", _plain(right)
        if found is not None and math.isfinite(found):
            return repr(found) if found >= 0 else f"({found!r})", _plain(right)
    if left.digits and right.affinity in _NUMERIC:
        return f"{left.sql}::pg_catalog.int8", _plain(right)
    raise NotTranslatable(
        f"{left.sql} and {right.sql}", "SQLite compares a text with a number there"
    )


def _moments(operator: str, left: Typed, right: Typed) -> Pair:
    """A date or a timestamp to the left."""
    if left.kind is Kind.TIMESTAMPTZ and not left.unit:
        problem = "SQLite compares the texts, of whatever time zone they are"
        raise NotTranslatable(left.sql, problem)
    if right.kind in MOMENTS:
        if right.kind is left.kind and left.unit == right.unit:
            return left.sql, right.sql
        raise NotTranslatable(
            f"{left.sql} and {right.sql}", "SQLite has them in different forms and compares those"
        )
    if right.moment is not None:
        return left.sql, _shown(operator, left, right)
    constant = right.constant
    if isinstance(constant, str) and not left.unit:
        return left.sql, _literal(operator, left, constant)
    if isinstance(constant, int | float) and left.unit and left.kind is Kind.TIMESTAMPTZ:
        micros = read_number(constant, left.unit)
        if micros is not None:
            return left.sql, _instant(micros)
    raise _apart(left, right)


def _shown(operator: str, left: Typed, right: Typed) -> str:
    """What a date function shows, as the type to the left."""
    shown = right.moment
    fitting = {Clock.EPOCH} if left.unit == "s" else {Clock.DATE, Clock.SECONDS}
    if shown is not None and left.unit in {"", "s"} and shown.clock in fitting:
        if left.kind is Kind.DATE and shown.clock is Clock.DATE:
            return f"{shown.sql}::pg_catalog.date"
        if shown.clock is Clock.DATE:
            _refuse_midnight(operator, left)
        if left.kind is Kind.TIMESTAMP:
            return shown.sql
        if left.kind is Kind.TIMESTAMPTZ:
            return f"({shown.sql} AT TIME ZONE 'UTC')"
    raise _apart(left, right)


def _literal(operator: str, left: Typed, constant: str) -> str:
    found = read_timestamp(constant.encode())
    if found is None or not found.exact:
        raise NotTranslatable(f"'{constant}'", "it is no date and no timestamp")
    only_date = len(constant) == len("2024-01-31")
    if left.kind is Kind.DATE:
        if not only_date:
            raise NotTranslatable(f"'{constant}'", f"it is compared with the date {left.sql}")
        return f"'{constant}'::pg_catalog.date"
    if only_date:
        _refuse_midnight(operator, left)
    if found.offset_us is not None:
        raise NotTranslatable(f"'{constant}'", f"{left.sql} has no time zone")
    return f"{text(constant).sql}::pg_catalog.timestamp"


def _refuse_midnight(operator: str, left: Typed) -> None:
    """A date is less than each of its times in SQLite, and midnight in PostgreSQL."""
    if operator not in {"<", ">="}:
        problem = f"{left.sql} {operator} a date without a time differs at midnight"
        raise NotTranslatable(left.sql, problem)


def _instant(micros: int) -> str:
    if not micros >= FIRST_US:
        raise NotTranslatable("a timestamp", "it is before the year 1")
    moment = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(
        days=micros // DAY_US, microseconds=micros % DAY_US
    )
    return f"'{moment.isoformat(sep=' ')}'::pg_catalog.timestamptz"
