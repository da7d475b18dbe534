"""Parses a declared SQLite type: the family of types that it asks for."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Family(Enum):
    """What a column is meant to hold, whatever it does hold."""

    BOOLEAN = "boolean"
    SMALLINT = "smallint"
    INTEGER = "integer"
    DOUBLE = "double"
    NUMERIC = "numeric"
    TEXT = "text"
    BYTES = "bytes"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIME = "time"
    JSON = "json"
    JSONB = "jsonb"
    UUID = "uuid"
    BY_VALUES = ""
    """Nothing is declared, or nothing that is known: what is found decides."""


_FAMILIES: Final[dict[Family, tuple[str, ...]]] = {
    Family.BOOLEAN: ("BOOL", "BOOLEAN"),
    Family.SMALLINT: ("SMALLINT", "INT2", "TINYINT"),
    Family.INTEGER: (
        *("INT", "INTEGER", "MEDIUMINT", "INT4", "INT8", "BIGINT", "UNSIGNED BIG INT"),
        *("UNSIGNED INT", "UNSIGNED INTEGER", "UNSIGNED BIGINT"),
    ),
    Family.DOUBLE: ("REAL", "DOUBLE", "DOUBLE PRECISION", "FLOAT", "FLOAT4", "FLOAT8"),
    Family.NUMERIC: ("NUMERIC", "DECIMAL", "NUMBER", "MONEY", "DEC"),
    Family.TEXT: (
        *("TEXT", "CLOB", "CHAR", "VARCHAR", "VARCHAR2", "CHARACTER", "CHARACTER VARYING"),
        *("VARYING CHARACTER", "NCHAR", "NATIVE CHARACTER", "NVARCHAR", "NVARCHAR2", "STRING"),
        *("LONGTEXT", "MEDIUMTEXT", "TINYTEXT", "NTEXT", "CITEXT"),
    ),
    Family.BYTES: (
        *("BLOB", "BYTEA", "BINARY", "VARBINARY", "LONGBLOB", "MEDIUMBLOB", "TINYBLOB", "IMAGE"),
    ),
    Family.DATE: ("DATE",),
    Family.TIMESTAMP: (
        *("DATETIME", "TIMESTAMP", "TIMESTAMPTZ", "DATETIME2", "SMALLDATETIME"),
        *("TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITHOUT TIME ZONE", "DATETIMEOFFSET"),
    ),
    Family.TIME: ("TIME", "TIME WITHOUT TIME ZONE"),
    Family.JSON: ("JSON",),
    Family.JSONB: ("JSONB",),
    Family.UUID: ("UUID", "GUID", "UNIQUEIDENTIFIER"),
}
_BY_NAME: Final = {name: family for family, names in _FAMILIES.items() for name in names}
_ARGUMENTS: Final = re.compile(r"\(([^()]*)\)")
_MAX_PRECISION: Final = 1000
"""PostgreSQL's own limit of numeric(precision, scale)."""


@dataclass(frozen=True)
class Declared:
    """A declared type taken apart."""

    family: Family
    arguments: tuple[int, ...] = ()

    @property
    def precision(self) -> tuple[int, int] | None:
        """Precision and scale of a NUMERIC(p,s) that PostgreSQL can have as it is."""
        if self.family is not Family.NUMERIC or not self.arguments:
            return None
        precision, scale = (*self.arguments, 0)[:2]
        fits = 1 <= precision <= _MAX_PRECISION and 0 <= scale <= precision
        return (precision, scale) if fits else None


def read_declared(declared: str) -> Declared:
    """What `VARCHAR(20) CHARACTER SET utf8` means: the longest beginning that is a known name."""
    match = _ARGUMENTS.search(declared)
    words = _ARGUMENTS.sub(" ", declared).upper().split()
    for length in range(len(words), 0, -1):
        family = _BY_NAME.get(" ".join(words[:length]))
        if family is not None:
            return Declared(family, _numbers(match[1]) if match else ())
    return Declared(Family.BY_VALUES)


def _numbers(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if all(part.isascii() and part.isdigit() for part in parts):
        return tuple(map(int, parts))
    return ()
