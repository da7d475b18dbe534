"""Parse a PostgreSQL type as written in DDL."""

import re
from dataclasses import dataclass
from typing import Final

_ALIASES: Final = {
    "int2": "smallint",
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "decimal": "numeric",
    "bool": "boolean",
    "varchar": "character varying",
    "char": "character",
    "bpchar": "character",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
}
_ARGUMENTS: Final = re.compile(r"\(\s*(-?\d+)\s*(?:,\s*(-?\d+)\s*)?\)")
# A float(p) of so many binary digits at most is a real.
_REAL_PRECISION: Final = 24


@dataclass(frozen=True)
class PostgresType:
    """`timestamp(3)` has the name `timestamp without time zone` and the arguments (3,)."""

    name: str
    """As `format_type` spells it; a type that is not known here keeps its spelling."""
    arguments: tuple[int, ...] = ()


def read_type(type_: str) -> PostgresType:
    """What `numeric(10,2)`, `VARCHAR(20)` or `timestamp (3) with time zone` mean."""
    match = _ARGUMENTS.search(type_)
    arguments = tuple(int(part) for part in match.groups() if part is not None) if match else ()
    name = " ".join(_ARGUMENTS.sub(" ", type_).lower().split())
    if name == "float":
        real = bool(arguments) and arguments[0] <= _REAL_PRECISION
        return PostgresType("real" if real else "double precision")
    if name in ("char", "character") and not arguments:
        arguments = (1,)
    return PostgresType(_ALIASES.get(name, name), arguments)
