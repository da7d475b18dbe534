"""The statements of a text as PostgreSQL's own grammar has them."""

from dataclasses import dataclass

import postgast

from dbopsd.migrate.versions.sql.lexer import SqlStatement, skip_blanks

__all__ = ["SqlStatement", "SyntaxProblem", "split"]


@dataclass(eq=False)
class SyntaxProblem(Exception):
    """The grammar refuses the text. A newer server may know what the grammar does not."""

    message: str
    """The parser's own, such as `syntax error at or near "tabel"`."""
    position: int | None
    """The character at which it was found, from 0; None: it is not known."""

    def __str__(self) -> str:
        return self.message


def split(text: str) -> list[SqlStatement]:
    """The statements, of which the last may lack its semicolon. Raises `SyntaxProblem`.

    `text` has no NUL, which would end it. Takes milliseconds a megabyte, without the GIL.
    """
    try:
        found = postgast.split(text)
    except postgast.PgQueryError as error:
        # In spite of its documentation, it counts characters, from 1.
        position = error.cursorpos - 1 if error.cursorpos > 0 else None
        raise SyntaxProblem(error.message, position) from error
    statements: list[SqlStatement] = []
    end = 0
    for statement in found:
        start = text.index(statement, _next_start(text, end))
        end = start + len(statement)
        trimmed = statement.rstrip(" \t\n\r\f\v")
        statements.append(SqlStatement(trimmed, start, start + len(trimmed)))
    return statements


def _next_start(text: str, end: int) -> int:
    """Where the statement begins that follows one: a comment between them may have its text."""
    start = skip_blanks(text, end)
    while text.startswith(";", start):
        start = skip_blanks(text, start + 1)
    return start
