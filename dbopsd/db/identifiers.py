"""Names and texts as they stand in SQL that is put together, as DDL is."""

from psycopg import sql

MAX_BYTES = 63
"""How long a name may be in PostgreSQL, in bytes of UTF-8: NAMEDATALEN - 1."""


def quoted(*parts: str) -> str:
    """A quoted name, `"public"."users"` of two parts."""
    return sql.Identifier(*parts).as_string()


def literal(text: str) -> str:
    """A string as a literal, whatever `standard_conforming_strings` is. It has no NUL."""
    # A tenth of the time that the driver takes, which matters where there are thousands.
    escaped = text.replace("'", "''")
    if "\\" not in escaped:
        return f"'{escaped}'"
    escaped = escaped.replace("\\", "\\\\")
    return f" E'{escaped}'"
