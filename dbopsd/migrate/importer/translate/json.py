"""SQLite's functions about JSON: https://sqlite.org/json1.html."""

import re
from typing import Final

from dbopsd.db.identifiers import literal
from dbopsd.migrate.importer.translate.types import (
    Arguments,
    Function,
    Kind,
    NotTranslatable,
    Typed,
    boolean,
    text,
)

_PATH: Final = re.compile(r"\$((?:\.(?:[A-Za-z_][A-Za-z0-9_]*|\"[^\"\\\\]+\")|\[\d+\])*)")


_STEP: Final = re.compile(r"\.\"([^\"]+)\"|\.([A-Za-z0-9_]+)|\[(\d+)\]")


def _json_valid(arguments: Arguments) -> Typed:
    (value,) = arguments
    if value.kind not in {Kind.JSON, Kind.JSONB}:
        problem = "it is a column of text in PostgreSQL; json or jsonb holds valid JSON only"
        raise NotTranslatable(f"json_valid({value.sql})", problem)
    # What is there is valid. Of NULL it is NULL, as in SQLite from 3.45 on; it was 0 before.
    return boolean(f"({value.sql} IS NOT NULL OR NULL)")


def _json_extract(arguments: Arguments) -> Typed:
    value, path = arguments
    if value.kind not in {Kind.JSON, Kind.JSONB}:
        raise NotTranslatable(
            "json_extract()", f"{value.sql} is a {value.kind.value} in PostgreSQL"
        )
    match = _PATH.fullmatch(path.constant) if isinstance(path.constant, str) else None
    if match is None or not match[1]:
        raise NotTranslatable("json_extract()", "its path is no simple literal")
    steps = [next(part for part in step if part) for step in _STEP.findall(match[1])]
    wanted = ", ".join(literal(step).strip() for step in steps)
    return Typed(f"({value.sql} #>> ARRAY[{wanted}])", Kind.JSON_PART)


def json_arrow(value: Typed, path: Typed) -> Typed:
    """`value ->> path`."""
    constant = path.constant
    if isinstance(constant, int):
        path = text(f"$[{constant}]")
    elif isinstance(constant, str) and not constant.startswith("$"):
        path = text(f'$."{constant}"')
    return _json_extract([value, path])


JSON_FUNCTIONS: Final[dict[str, Function]] = {
    "json_extract": (2, 2, _json_extract),
    "json_valid": (1, 1, _json_valid),
}
