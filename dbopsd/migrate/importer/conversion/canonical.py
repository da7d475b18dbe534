"""One form for the rows of which PostgreSQL keeps the meaning and not the bytes.

What the conversions send comes back byte for byte, jsonb too, so that rows are compared as they
are. Where they differ nevertheless, this tells whether they mean the same.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dbopsd.migrate.importer.conversion.json_texts import JSONB_VERSION
from dbopsd.migrate.importer.conversion.json_validity import canonical_json
from dbopsd.migrate.importer.conversion.postgres_type import read_type
from dbopsd.migrate.importer.conversion.rows import join_row, split_row

Kind = str
"""The name of a type that has a canonical form; empty: its bytes are compared as they are."""


def kinds(types: Sequence[str]) -> tuple[Kind, ...]:
    """The kinds of columns of these types, as DDL writes them."""
    names = (read_type(each).name for each in types)
    return tuple(name if name in _CANONICAL else "" for name in names)


def key_kinds(types: Sequence[str]) -> tuple[Kind, ...]:
    """As `kinds`, of a key's columns: one form for all that PostgreSQL's `=` takes for the same.

    A row of which an upsert finds the key keeps it as it was. What a collation takes for the same
    is not told here.
    """
    names = (read_type(each).name for each in types)
    return tuple(name if name in _CANONICAL or name in _EQUAL else "" for name in names)


def canonicalise(row: bytes, kinds_: Sequence[Kind]) -> bytes:
    """The row with all its fields in their canonical form."""
    if not any(kinds_):
        return row
    return join_row(
        [
            field if field is None else canonical_field(field, kind)
            for field, kind in zip(split_row(row), kinds_, strict=True)
        ]
    )


def canonical_field(field: bytes, kind: Kind) -> bytes:
    """One field in its canonical form."""
    return _FORMS[kind](field) if kind else field


def _jsonb(field: bytes) -> bytes:
    return JSONB_VERSION + canonical_json(field[1:].decode()).encode()


def _character(field: bytes) -> bytes:
    # Blanks at the end mean nothing in character(n).
    return field.rstrip(b" ")


def _numeric(field: bytes) -> bytes:
    # All but the scale.
    return field[:6] + bytes(2) + field[8:]


def _floating(field: bytes) -> bytes:
    negative_zero = b"\x80" + bytes(len(field) - 1)
    return bytes(len(field)) if field == negative_zero else field


_CANONICAL: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "jsonb": _jsonb,
    "character": _character,
}
_EQUAL: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "numeric": _numeric,
    "double precision": _floating,
    "real": _floating,
}
_FORMS: Final = {**_CANONICAL, **_EQUAL}
