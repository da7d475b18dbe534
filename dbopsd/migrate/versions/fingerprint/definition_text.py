"""One text for definitions that differ in parentheses alone.

`a BETWEEN 1 AND 2 AND b` is stored as an AND in another: `((a >= 1 AND a <= 2) AND b)`.
Read again, as from a dump, it is one AND of three, for the grammar takes what stands first in an
AND into it (`makeAndExpr` of PostgreSQL's gram.y; `makeOrExpr` alike).
"""

import re
from dataclasses import dataclass, field
from typing import Final

_TOKEN: Final = re.compile(
    r"""E'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|[()]|[^\W\d][\w$]*|[^\s\w()'"]+|\d[\w.]*""",
    re.DOTALL,
)
_CONNECTIVES: Final = frozenset({"AND", "OR"})
_QUERY: Final = frozenset({"SELECT", "WITH", "VALUES"})


@dataclass(slots=True)
class _Group:
    """What stands in a pair of parentheses."""

    start: int
    is_first: bool
    """Whether it is what others begin with."""
    connectives: set[str] = field(default_factory=set)
    first_word: str = ""


def without_nested_connectives(definition: str) -> str:
    """`definition` without the parentheses around an AND that an AND begins with; so with OR."""
    if "((" not in definition:
        return definition
    dropped: list[int] = []
    groups: list[_Group] = []
    closed: tuple[int, _Group] | None = None
    for match in _TOKEN.finditer(definition):
        text = match.group()
        if closed is not None and text in _CONNECTIVES:
            end, group = closed
            if group.is_first and group.connectives == {text} and group.first_word not in _QUERY:
                dropped += (group.start, end)
        closed = None
        if text == ")" and groups:
            closed = match.start(), groups.pop()
            continue
        if groups:
            groups[-1].first_word = groups[-1].first_word or text
            if text in _CONNECTIVES:
                groups[-1].connectives.add(text)
        if text == "(":
            is_first = definition.endswith("(", 0, match.start())
            groups.append(_Group(match.start(), is_first))
    pieces, position = [], 0
    for each in sorted(dropped):
        pieces.append(definition[position:each])
        position = each + 1
    return "".join(pieces) + definition[position:]
