"""SQLite's string functions."""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from dbopsd.db.identifiers import literal
from dbopsd.migrate.importer.translate.budget import join
from dbopsd.migrate.importer.translate.convert import as_text, whole
from dbopsd.migrate.importer.translate.types import (
    Arguments,
    Function,
    Kind,
    NotTranslatable,
    Typed,
    null,
    text,
)

# As far as PostgreSQL's regular expressions count.
_MOST_DIGITS: Final = 255
_FIRST_GROUP: Final = literal("\\1").strip()
_SIGNED: Final = literal("-\\1").strip()
_FORMAT: Final = re.compile(r"%%|%0?\d*[ds]|%|[^%]+", re.DOTALL)


def _texts(arguments: Arguments) -> list[str]:
    return [as_text(each).sql for each in arguments]


def _length(arguments: Arguments) -> Typed:
    (value,) = arguments
    if value.kind is Kind.BYTES:
        sql = f"pg_catalog.octet_length({value.sql})"
    else:
        sql = f"pg_catalog.length({as_text(value).sql})"
    return Typed(sql, Kind.INTEGER, "integer", nonnegative=True)


def _cased(name: str) -> Callable[[Arguments], Typed]:
    def translate(arguments: Arguments) -> Typed:
        value = as_text(arguments[0])
        if name == "lower" and value.sql.startswith("pg_catalog.upper(pg_catalog.encode("):
            return replace(value, sql=value.sql.removeprefix("pg_catalog.upper(").removesuffix(")"))
        # SQLite changes ASCII's letters only.
        return Typed(
            f'pg_catalog.{name}({value.sql} COLLATE pg_catalog."C")', Kind.TEXT, digits=value.digits
        )

    return translate


def _trimmed(name: str) -> Callable[[Arguments], Typed]:
    def translate(arguments: Arguments) -> Typed:
        sqls = _texts(arguments)
        return Typed(f"pg_catalog.{name}({', '.join([*sqls, literal(' ')][:2])})", Kind.TEXT)

    return translate


def _substr(arguments: Arguments) -> Typed:
    value, start = arguments[0], whole(arguments[1])
    if value.kind is not Kind.BYTES:
        value = as_text(value)
    elif not value.volatile:
        # Of an empty blob it is NULL.
        value = replace(value, sql=f"nullif({value.sql}, ''::pg_catalog.bytea)")
    first = start.constant
    if isinstance(first, int) and first < 0:
        if value.kind is Kind.BYTES or len(arguments) == 2:
            return _from_the_end(value, arguments, first)
        return _among_the_last(value, arguments, -first)
    if isinstance(first, int) or start.nonnegative:
        place = (
            start.sql
            if start.type != "bigint" or first is not None
            else f"{start.sql}::pg_catalog.int4"
        )
    else:
        raise NotTranslatable("substr()", f"{start.sql} may be negative, and count from the end")
    length = f", {_count(arguments)}" if len(arguments) > 2 else ""
    digits = value.digits and len(arguments) == 2 and first == 1
    return Typed(f"pg_catalog.substr({value.sql}, {place}{length})", value.kind, digits=digits)


def _from_the_end(value: Typed, arguments: Arguments, first: int) -> Typed:
    if value.kind is Kind.BYTES or len(arguments) > 2:
        raise NotTranslatable("substr()", "it counts a blob from its end")
    return Typed(f"pg_catalog.right({value.sql}, {-first})", Kind.TEXT)


def _among_the_last(value: Typed, arguments: Arguments, first: int) -> Typed:
    """Some of the last `first` characters, from the first of these on."""
    count = _count(arguments)
    kept = value.sql if count >= first else f"pg_catalog.left({value.sql}, {count - first})"
    return Typed(f"pg_catalog.right({kept}, {min(count, first)})", Kind.TEXT)


def _count(arguments: Arguments) -> int:
    """The third argument of substr()."""
    count = arguments[2].constant
    if not isinstance(count, int) or count < 0:
        raise NotTranslatable("substr()", "its length is not certainly a number from 0 on")
    return count


def _instr(arguments: Arguments) -> Typed:
    if Kind.BYTES in {each.kind for each in arguments}:
        raise NotTranslatable("instr()", "it is about a blob")
    sql = f"pg_catalog.strpos({', '.join(_texts(arguments))})"
    return Typed(sql, Kind.INTEGER, "integer", nonnegative=True)


def _replace(arguments: Arguments) -> Typed:
    value, wanted, _ = arguments
    # Where there is nothing to look for SQLite gives back the value as it is, a number too.
    if not wanted.constant and (value.kind is not Kind.TEXT or arguments[2].constant is None):
        raise NotTranslatable("replace()", "what it looks for may be an empty text")
    return Typed(f"pg_catalog.replace({', '.join(_texts(arguments))})", Kind.TEXT)


def _unicode(arguments: Arguments) -> Typed:
    return Typed(
        f"nullif(pg_catalog.ascii({as_text(arguments[0]).sql}), 0)", Kind.INTEGER, "integer"
    )


def _char(arguments: Arguments) -> Typed:
    characters = []
    for each in arguments:
        if not isinstance(each.constant, int) or not 0 <= each.constant <= sys.maxunicode:
            raise NotTranslatable("char()", f"{each.sql} is no literal of a character's number")
        characters.append(chr(each.constant))
    return text("".join(characters))


def _printf(arguments: Arguments) -> Typed:
    shape = arguments[0].constant
    if not isinstance(shape, str):
        raise NotTranslatable("printf()", "its format is no literal")
    values = list(arguments[1:])
    parts: list[str] = []
    for word in _FORMAT.findall(shape):
        if word == "%%" or not word.startswith("%"):
            parts.append(text(word.replace("%%", "%")).sql)
            continue
        if not values:
            raise NotTranslatable("printf()", "its format asks for more values")
        parts.append(_formatted(word, values.pop(0)))
    if values:
        raise NotTranslatable("printf()", "it has values that its format does not ask for")
    return Typed(f"({join(' || ', parts or [text('').sql])})", Kind.TEXT)


def _formatted(word: str, value: Typed) -> str:
    width = word[1:-1]
    if word == "%s":
        return f"coalesce({as_text(value).sql}, '')"
    found = whole(value) if word.endswith("d") else null()
    if found.kind is Kind.INTEGER and not width:
        return f"coalesce({found.sql}, 0)::pg_catalog.text"
    padded = width.startswith("0") and len(width) <= len("0255")
    if found.kind is Kind.INTEGER and padded and int(width) <= _MOST_DIGITS:
        digits = int(width)
        zeros = f"('{'0' * digits}' || coalesce({found.sql}, 0)::pg_catalog.text)"
        # Those zeros go that are too many, and a sign goes before the others.
        pattern = f"'^0{{0,{digits}}}(.{{{digits},}})$'"
        sql = f"pg_catalog.regexp_replace({zeros}, {pattern}, {_FIRST_GROUP})"
        return (
            sql if found.nonnegative else f"pg_catalog.regexp_replace({sql}, '^(0*)-', {_SIGNED})"
        )
    raise NotTranslatable(f"'{word}' in printf()", "it is not known here")


TEXT_FUNCTIONS: Final[dict[str, Function]] = {
    "char": (1, 20, _char),
    "format": (1, 100, _printf),
    "instr": (2, 2, _instr),
    "length": (1, 1, _length),
    "lower": (1, 1, _cased("lower")),
    "ltrim": (1, 2, _trimmed("ltrim")),
    "printf": (1, 100, _printf),
    "replace": (3, 3, _replace),
    "rtrim": (1, 2, _trimmed("rtrim")),
    "substr": (2, 3, _substr),
    "substring": (2, 3, _substr),
    "trim": (1, 2, _trimmed("btrim")),
    "unicode": (1, 1, _unicode),
    "upper": (1, 1, _cased("upper")),
}
