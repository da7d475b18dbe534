"""The beginning of a statement, by which an error names it."""

from typing import Final

from dbopsd.migrate.versions.sql.lexer import quotes

_MOST_CHARS: Final = 60
# Of a statement of megabytes no more is looked at.
_LOOKED_AT: Final = 1_000


def excerpt(statement: str) -> str:
    """Its first words, in one line of some 60 characters, without comments.

    `'…'` stands for what strings hold: a password, or somebody's data.
    """
    text = statement[:_LOOKED_AT]
    pieces: list[str] = []
    passed = 0
    for start, end in quotes(text):
        pieces += (text[passed:start], _shown(text[start:end]))
        passed = end
    line = " ".join("".join((*pieces, text[passed:])).split())
    line = "".join(char for char in line if char.isprintable())
    if len(line) <= _MOST_CHARS:
        return line if len(statement) <= _LOOKED_AT else f"{line} …"
    cut = line[:_MOST_CHARS]
    return f"{cut.rpartition(' ')[0] or cut} …"


def _shown(quote: str) -> str:
    if quote.startswith('"'):
        return quote
    return "'…'" if quote.startswith(("'", "$")) else " "
