"""Views as PostgreSQL 15 writes them, turned into what later majors write.

Up to 15 a view's query carries two hidden relations, and so every column is written with its
relation even where there is only one: `SELECT t.a FROM t` is `SELECT a FROM t` since 16. That goes
for the outermost query alone; in others, columns have their relation on every major.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<blank>\s+)|(?P<string>E'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*')|(?P<quoted>"(?:[^"]|"")*")"""
    r"""|(?P<word>[^\W\d][\w$]*)|(?P<number>[\d.]+)|(?P<cast>::)|(?P<other>.)""",
    re.DOTALL,
)
_QUERY: Final = frozenset({"SELECT", "WITH", "VALUES"})
_SET_OPERATION: Final = frozenset({"UNION", "INTERSECT", "EXCEPT"})
_AFTER_FROM: Final = frozenset(
    {"WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "OFFSET", "LIMIT", "FETCH", "FOR", ";"}
)
_SORTS: Final = frozenset({"ORDER", "PARTITION"})
_FRAMES: Final = frozenset({"ROWS", "RANGE", "GROUPS"})
_AFTER_SORTED: Final = _AFTER_FROM | _FRAMES | {",", ")", "ASC", "DESC", "NULLS", "USING"}


@dataclass(frozen=True, slots=True)
class _Token:
    """What is no blank. `depth`: the parentheses around it; `queries`: how many hold a query."""

    text: str
    start: int
    depth: int
    queries: int
    is_name: bool


def without_table_prefixes(definition: str) -> str:
    """`definition`, with its columns unprefixed where later majors leave the prefix out."""
    tokens = _tokens(definition)
    clause = _from_clause(tokens)
    relation = _only_relation(tokens[clause.start : clause.stop])
    if not relation:
        return definition
    sorted_by = _sorted_by(tokens)
    outputs = dict(_outputs(tokens[: clause.start - 1], relation))
    pieces, end = [], 0
    for index in _prefixes(tokens, clause, relation):
        column = tokens[index + 2].text
        # Without it, a name to sort by would be that of another output.
        if index not in sorted_by or outputs.get(column, column) == column:
            pieces.append(definition[end : tokens[index].start])
            end = tokens[index + 2].start
    return "".join(pieces) + definition[end:]


def _tokens(definition: str) -> list[_Token]:
    tokens: list[_Token] = []
    parentheses: list[bool] = []
    for match in _TOKEN.finditer(definition):
        if match.lastgroup == "blank":
            continue
        text = match.group()
        if tokens and tokens[-1].text == "(":
            parentheses.append(text in _QUERY)
        if text == ")" and parentheses:
            parentheses.pop()
        # The server writes keywords in capitals, and names in capitals in quotes.
        is_name = match.lastgroup == "quoted" or (match.lastgroup == "word" and not text.isupper())
        tokens.append(_Token(text, match.start(), len(parentheses), sum(parentheses), is_name))
    return tokens


def _from_clause(tokens: Sequence[_Token]) -> range:
    """What is between FROM and the next clause; empty: there is none, or several queries."""
    outer = [(index, each.text) for index, each in enumerate(tokens) if each.depth == 0]
    start = next((index + 1 for index, text in outer if text == "FROM"), len(tokens))
    if any(text in _SET_OPERATION for _, text in outer):
        start = len(tokens)
    stop = next((index for index, text in outer if index >= start and text in _AFTER_FROM), start)
    return range(start, stop)


def _only_relation(clause: Sequence[_Token]) -> str:
    """By what name its columns go; empty: there are several relations, or none."""
    outer = [each for each in clause if each.depth == 0]
    if any(each.text in (",", "JOIN") for each in outer):
        return ""
    if len(clause) > 1 and clause[0].text == "(" and clause[1].text not in _QUERY:
        return ""
    names = []
    for each in outer:
        if each.text == "TABLESAMPLE":
            break
        if each.is_name:
            names.append(each.text)
    return names[-1] if names else ""


def _prefixes(tokens: Sequence[_Token], clause: range, relation: str) -> Iterator[int]:
    """Where the name of the relation stands before one of its columns in the outermost query."""
    for index in range(1, len(tokens) - 3):
        name, dot, column, after = tokens[index : index + 4]
        if (
            index not in clause
            and name.text == relation
            and name.queries == 0
            and dot.text == "."
            and column.is_name
            # A schema may have the name too: of a function, a type or a collation.
            and after.text != "("
            and tokens[index - 1].text not in (".", "::", "COLLATE")
        ):
            yield index


def _sorted_by(tokens: Sequence[_Token]) -> set[int]:
    """Where an item begins of what is sorted or partitioned by, if it is a column and no more."""
    found = set()
    sorting: dict[int, bool] = {}
    for index in range(2, len(tokens) - 3):
        before, last, each = tokens[index - 2 : index + 1]
        if last.text == "BY":
            sorting[each.depth] = before.text in _SORTS
        elif last.text == "(":
            sorting[each.depth] = tokens[index - 3].text == "DISTINCT" and before.text == "ON"
        elif last.text != ",":
            continue
        if sorting.get(each.depth) and tokens[index + 3].text in _AFTER_SORTED:
            found.add(index)
    return found


def _outputs(tokens: Sequence[_Token], relation: str) -> Iterator[tuple[str, str]]:
    """The name of each output column, and the column of the relation that it is; empty: none."""
    outer = [each.text if each.depth == 0 else "" for each in tokens]
    start = outer.index("SELECT") + 1
    if outer[start : start + 2] == ["DISTINCT", "ON"]:
        start = outer.index(")", start) + 1
    elif outer[start : start + 1] == ["DISTINCT"]:
        start += 1
    item: list[str] = []
    for text in (*outer[start:], ","):
        if text != ",":
            item.append(text)
            continue
        # `relation.column` or `relation.column AS name`.
        plain = len(item) in (3, 5) and item[:2] == [relation, "."]
        yield item[-1], item[2] if plain else ""
        item = []
