"""Names and texts as they stand in SQL that is put together, as DDL is."""

from psycopg import sql

MAX_BYTES = 63
"""How long a name may be in PostgreSQL, in bytes of UTF-8: NAMEDATALEN - 1."""


def quoted(*parts: str) -> str:
    """A quoted name, `"public"."users"` of two parts."""
    return sql.Identifier(*parts).as_string()


def literal(text: str) -> str:
    """A string as a literal."""
    return sql.Literal(text).as_string()
