"""How SQL that is put together names PostgreSQL's own types, functions and collations.

Never by a bare name: of functions with one name PostgreSQL takes the one that fits best, in
whatever schema of the search_path it is, and anybody who may create one can have it fit better.
Operators have no such form where they have a precedence, or are a part of a word as in IN and IS
DISTINCT FROM: the sessions that run this SQL have them from pg_catalog (`db.dsn.CATALOG_ONLY`).
"""

from typing import Final

from dbopsd.migrate.importer.conversion.postgres_type import read_type

TYPES: Final = {
    "boolean": "bool",
    "smallint": "int2",
    "integer": "int4",
    "bigint": "int8",
    "real": "float4",
    "double precision": "float8",
    "character varying": "varchar",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
    **{name: name for name in ("numeric", "text", "bytea", "date", "json", "jsonb", "uuid")},
}
"""The types that columns become, as `read_type` has them, with their names in pg_catalog."""

FUNCTIONS: Final = frozenset(
    {
        *("abs", "age", "ascii", "avg", "booland_statefunc", "boolor_statefunc", "btrim", "count"),
        *("cume_dist", "date_larger", "date_smaller", "date_trunc", "decode", "dense_rank"),
        *("encode", "extract", "first_value", "float8larger", "float8smaller", "floor"),
        *("gen_random_uuid", "int4larger", "int4smaller", "int8larger", "int8smaller", "lag"),
        *("last_value", "lead", "left", "length", "like_escape", "lower", "lpad", "ltrim", "max"),
        *("min", "now", "numeric_larger", "numeric_smaller", "octet_length", "percent_rank"),
        *("rank", "regexp_replace", "repeat", "replace", "right", "round", "row_number", "rtrim"),
        *("string_agg", "strpos", "substr", "sum", "text_larger", "text_smaller", "time_larger"),
        *("time_smaller", "timestamp_larger", "timestamp_smaller", "timestamptz_larger"),
        *("timestamptz_smaller", "timezone", "to_char", "trunc", "upper", "uuid_send"),
    }
)
"""The functions of pg_catalog that the definitions of a published import may call by name.

`extract`, `like_escape` and `timezone` are what EXTRACT, ESCAPE and AT TIME ZONE call.
"""


def qualified_type(written: str) -> str:
    """`pg_catalog.varchar(20)` of `character varying(20)`. Raises KeyError."""
    read = read_type(written)
    arguments = f"({','.join(map(str, read.arguments))})" if read.arguments else ""
    return f"pg_catalog.{TYPES[read.name]}{arguments}"
