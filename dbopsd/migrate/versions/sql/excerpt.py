"""What a message may show of a script: the beginning of a statement, and no values of variables."""

from typing import Final

from dbopsd.migrate.versions.model.migration_file import Script
from dbopsd.migrate.versions.sql.lexer import quotes

_MOST_CHARS: Final = 60
# Of a statement of megabytes no more is looked at.
_LOOKED_AT: Final = 1_000
# A shorter one is no secret, and may stand in any word.
_LEAST_VALUE_CHARS: Final = 4


def excerpt(statement: str, script: Script | None = None) -> str:
    """Its first words, in one line of some 60 characters, without comments.

    `'…'` stands for what strings hold: a password, or somebody's data. Values of the variables of
    `script` are as in `without_values`.
    """
    text = statement[:_LOOKED_AT]
    if script is not None:
        text = without_values(text, script)
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


def without_values(text: str, script: Script) -> str:
    """Put a script's placeholders back where `text` has their configured values."""
    placeholders = {
        script.text[each.start : each.end].strip("'\""): each.placeholder
        for each in script.replaced
    }
    for value in sorted(placeholders, key=len, reverse=True):
        if len(value) >= _LEAST_VALUE_CHARS:
            text = text.replace(value, placeholders[value])
    return text


def _shown(quote: str) -> str:
    if quote.startswith('"'):
        return quote
    return "'…'" if quote.startswith(("'", "$")) else " "
