"""The user's checks: SQL text cut into its statements."""

import sqlglot
from sqlglot.errors import SqlglotError

from dbopsd.errors import InvalidField


def split_statements(field: str, text: str) -> tuple[str, ...]:
    """The statements of `text`, without those that are empty. Raises `InvalidField`."""
    try:
        tokens = sqlglot.tokenize(text, dialect="postgres")
    except SqlglotError as error:
        raise InvalidField(field, f"cannot be read as SQL: {error}") from None
    found: list[str] = []
    start = 0
    for token in tokens:
        if token.token_type.name == "SEMICOLON":
            found.append(text[start : token.start])
            start = token.end + 1
    found.append(text[start:])
    return tuple(each.strip() for each in found if sqlglot.tokenize(each, dialect="postgres"))
