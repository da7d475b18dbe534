"""LIKE and GLOB: https://sqlite.org/lang_expr.html#the_like_glob_regexp_match_and_extract_operators."""

import re
from typing import Final

from dbopsd.db.identifiers import literal
from dbopsd.migrate.importer.translate.convert import as_text
from dbopsd.migrate.importer.translate.types import NotTranslatable, Typed, boolean, text

_GLOB: Final = re.compile(r"\*|\?|\[\^?\]?[^\]]*\]|.", re.DOTALL)


def like(value: Typed, pattern: Typed, escape: Typed | None = None, *, negated: bool) -> Typed:
    """`value LIKE pattern ESCAPE escape`: only ASCII's letters are alike. Raises."""
    value, pattern = as_text(value), as_text(pattern)
    word = "NOT ILIKE" if negated else "ILIKE"
    character = "" if escape is None else _escape(escape, pattern)
    # By the collation "C" only ASCII's letters are alike in PostgreSQL too.
    escaped = f"ESCAPE {literal(character).strip()}"
    return boolean(f'({value.sql} COLLATE pg_catalog."C" {word} {pattern.sql} {escaped})')


def _escape(escape: Typed, pattern: Typed) -> str:
    character = escape.constant
    if not isinstance(character, str) or len(character) != 1:
        raise NotTranslatable(escape.sql, "an ESCAPE has to be a literal of one character")
    if not isinstance(pattern.constant, str):
        raise NotTranslatable(pattern.sql, "a pattern with an ESCAPE has to be a literal")
    if pattern.constant.replace(character * 2, "").endswith(character):
        raise NotTranslatable(pattern.sql, "it ends with its ESCAPE")
    return character


def glob(value: Typed, pattern: Typed) -> Typed:
    """`value GLOB pattern`. Raises `NotTranslatable`."""
    value = as_text(value)
    if not isinstance(pattern.constant, str):
        raise NotTranslatable(pattern.sql, "a GLOB's pattern has to be a literal")
    parts = _GLOB.findall(pattern.constant)
    if "[" in parts:
        raise NotTranslatable(pattern.sql, "a '[' of it is never closed")
    expression = text("".join(["^", *map(_glob_part, parts), "$"]))
    return boolean(f'({value.sql} COLLATE pg_catalog."C" ~ {expression.sql})')


def _glob_part(part: str) -> str:
    """A part of a GLOB's pattern as one of an advanced regular expression."""
    if part == "*":
        return ".*"
    if part == "?":
        return "."
    if not (part.startswith("[") and len(part) > 2):
        return part if part.isalnum() or not part.isascii() or part.isspace() else f"\\{part}"
    inner, negated = part[1:-1], ""
    if inner.startswith("^"):
        inner, negated = inner[1:], "^"
    pieces: list[str] = []
    index = 0
    while index < len(inner):
        first = inner[index]
        if inner[index + 1 : index + 2] == "-" and index + 2 < len(inner):
            last = inner[index + 2]
            if last < first:
                raise NotTranslatable(part, "it goes from a character back to an earlier one")
            pieces.append(f"{_in_set(first)}-{_in_set(last)}")
            index += 3
        else:
            pieces.append(_in_set(first))
            index += 1
    return f"[{negated}{''.join(pieces)}]"


def _in_set(character: str) -> str:
    plain = character.isalnum() or not character.isascii() or character.isspace()
    return character if plain else f"\\{character}"
