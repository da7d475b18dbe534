"""SQLite's DDL in tokens: what no PRAGMA tells of CHECKs, deferral and conditions."""

import re
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<blank>\s+|--[^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<string>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
    |(?P<word>[^\W\d][\w$]*)
    |(?P<other>\d[\w.]*|.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """A token, where it is, and in how many parentheses."""

    text: str
    word: str
    """Its text in capitals where it is an unquoted word; else empty."""
    start: int
    end: int
    depth: int


def tokens(sql: str) -> list[Token]:
    """All but blanks and comments."""
    found: list[Token] = []
    depth = 0
    for match in _TOKEN.finditer(sql):
        if match["blank"]:
            continue
        text = match[0]
        depth -= text == ")"
        word = text.upper() if match["word"] else ""
        found.append(Token(text, word, match.start(), match.end(), depth))
        depth += text == "("
    return found


def checks(create_table: str) -> list[str]:
    """The expressions of all CHECKs, in their order."""
    found = []
    every = tokens(create_table)
    for at, token in enumerate(every[:-1]):
        if token.word == "CHECK" and every[at + 1].text == "(" and token.depth == 1:
            opening = every[at + 1]
            closing = next(
                each for each in every[at + 2 :] if each.text == ")" and each.depth == opening.depth
            )
            found.append(create_table[opening.end : closing.start])
    return found


def deferred_references(create_table: str) -> int:
    """How many foreign keys are DEFERRABLE INITIALLY DEFERRED."""
    words = [token.word or token.text for token in tokens(create_table)]
    count = 0
    for at in range(len(words) - 2):
        if words[at : at + 3] == ["DEFERRABLE", "INITIALLY", "DEFERRED"]:
            count += words[at - 1] != "NOT"
    return count


def condition(create_index: str) -> str:
    """What stands after an index's WHERE; empty where nothing does."""
    for token in tokens(create_index):
        if token.word == "WHERE" and token.depth == 0:
            return create_index[token.end :].strip()
    return ""


def mentions(expression: str, name: str) -> bool:
    """Whether an expression names a column."""
    unquoted = {token.text.strip('"`[]').replace('""', '"').lower() for token in tokens(expression)}
    return name.lower() in unquoted
