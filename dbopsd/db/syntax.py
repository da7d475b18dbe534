"""What the server's own grammar says of a text, without anything of it being run."""

from dataclasses import dataclass
from typing import Final

import psycopg

from dbopsd.db.statement import Statement

# A message Parse that holds more than one statement is parsed whole, and then refused for that.
# https://www.postgresql.org/docs/current/protocol-flow.html, "Extended Query"
_FIRST: Final = "SELECT 1;"
TWO_STATEMENTS: Final = Statement(f"{_FIRST} {_FIRST}", "PARSE")
_SYNTAX_ERROR: Final = "42601"


@dataclass(frozen=True, slots=True)
class SyntaxRefusal:
    """A syntax error. `position` counts characters of the text from 0; None: it is not known."""

    message: str
    position: int | None


def parse_only(text: str) -> Statement:
    """What makes the server parse `text` and nothing else, sent by the extended protocol."""
    return Statement(f"{_FIRST} {text}", "PARSE")


def refusal(error: psycopg.Error, expected: str | None) -> SyntaxRefusal | None:
    """What an answer to `parse_only` says. `expected`: the answer to `TWO_STATEMENTS`.

    Raises `error` where it is about something else.
    """
    message = error.diag.message_primary or ""
    if error.sqlstate != _SYNTAX_ERROR:
        raise error
    position = error.diag.statement_position
    if position is None:
        return None if message == expected else SyntaxRefusal(message, None)
    return SyntaxRefusal(message, max(int(position) - len(_FIRST) - 2, 0))
