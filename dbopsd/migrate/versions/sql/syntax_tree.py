"""Parse trees as libpg_query writes them: a dict for each node, with one key that names its kind.

Kinds and fields: https://github.com/pganalyze/libpg_query/blob/18-latest/protobuf/pg_query.proto
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dbopsd.migrate.versions.sql.grammar import parse_tree

Node = dict[str, Any]
Name = tuple[str, str]
"""A schema, empty where none is named, and what is in it."""

SMALL_SCRIPT_CHARS: Final = 2**16
"""Up to here a script is parsed once, and not each of its statements again."""
LARGE_STATEMENT_CHARS: Final = 2**20
"""A tree is a hundred times its statement. The only ones of that size are rows to insert."""

_WITH_QUERIES: Final = frozenset(
    {"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"}
)


@dataclass(frozen=True)
class Statement:
    """A statement of a script. `start` and `end` count characters of the script from 0."""

    kind: str
    """Such as `AlterTableStmt`."""
    node: Node
    start: int
    end: int
    parsed: str
    """The text that was parsed: the script, or the statement alone."""
    parsed_from: int
    """The character of the script that it begins with."""

    def place(self, location: int | None) -> int:
        """The character of the script at a node's `location`, which counts bytes of `parsed`."""
        if location is None or location < 0:
            return self.start
        return self.parsed_from + characters(self.parsed, location)

    def queries(self) -> Iterator[tuple[str, Node]]:
        """It, and the statements in its WITH, or that it explains, prepares or makes a table of."""
        yield from _queries(self.kind, self.node)


_REMEMBERED: Final = frozenset(
    {"AlterTableStmt", "AlterEnumStmt", "CreateEnumStmt", "VariableSetStmt"}
)


@dataclass
class Script:
    """What is known of a script when one of its statements is looked at."""

    transactional: bool
    ledger_schema: str
    """The schema of the ledger in the database that it is for."""
    _before: dict[str, list[Statement]] = field(default_factory=dict)
    _created: dict[str, set[str]] = field(default_factory=dict)
    """The schemas of relations, by their names."""

    def pass_over(self, statement: Statement, created: Iterable[Name]) -> None:
        """Go on to the next statement. `created`: the relations that this one creates."""
        if statement.kind in _REMEMBERED:
            self._before.setdefault(statement.kind, []).append(statement)
        for schema, name in created:
            self._created.setdefault(name, set()).add(schema)

    def before(self, kind: str) -> Sequence[Statement]:
        """The statements of one of the kinds `_REMEMBERED` before this one."""
        return self._before.get(kind, ())

    def creates(self, name: Name) -> bool:
        """Whether a statement before this one creates the relation."""
        schemas = self._created.get(name[1], ())
        return any(same_name(name, (schema, name[1])) for schema in schemas)


def parse(text: str) -> list[Node]:
    """The statements of a text, each with its extent in bytes, as `RawStmt`.

    Raises `SyntaxProblem`, `RecursionError`.
    """
    # As JSON: as messages of protobuf they nest a hundred levels, which fifty `||` use up.
    found: list[Node] = json.loads(parse_tree(text)).get("stmts", [])
    return found


def parse_statement(text: str) -> tuple[str, Node]:
    """The kind and the node of a single statement. Raises `SyntaxProblem`, `RecursionError`."""
    found = parse(text)
    return unwrapped(found[0]["stmt"]) if found else ("", {})


def characters(text: str, count: int) -> int:
    """How many characters the first `count` bytes of a text in UTF-8 are."""
    if text.isascii():
        return count
    return len(text.encode()[:count].decode(errors="ignore"))


def unwrapped(node: Node) -> tuple[str, Node]:
    """The kind of a node, and its fields."""
    ((kind, fields),) = node.items()
    return kind, fields


def nodes(items: list[Node] | None, kind: str) -> Iterator[Node]:
    """The fields of those nodes of a list that are of the kind."""
    for item in items or ():
        if kind in item:
            yield item[kind]


def strings(items: list[Node] | None) -> list[str]:
    """The texts of a list of strings, such as the parts of a qualified name."""
    return [node.get("sval", "") for node in nodes(items, "String")]


def relation_name(relation: Node) -> Name:
    """The name of a `RangeVar`."""
    return relation.get("schemaname", ""), relation.get("relname", "")


def qualified(parts: list[str]) -> Name:
    """The name that has these parts."""
    return (parts[-2] if len(parts) > 1 else "", parts[-1] if parts else "")


def same_name(one: Name, other: Name) -> bool:
    """Whether two names may be of one thing: a schema may be left out."""
    return one[1] == other[1] and (one[0] == other[0] or not one[0] or not other[0])


def type_name(column: Node) -> str:
    """The type of a `ColumnDef` without its schema, such as `int4`, `varchar`, `bigserial`."""
    parts = strings(column.get("typeName", {}).get("names"))
    return parts[-1] if parts else ""


def alter_commands(statement: Statement, *subtypes: str) -> Iterator[Node]:
    """The commands of an ALTER TABLE that are of these kinds."""
    for command in nodes(statement.node.get("cmds"), "AlterTableCmd"):
        if command.get("subtype") in subtypes:
            yield command


def option(items: list[Node] | None, name: str) -> Node | None:
    """The `DefElem` of that name."""
    return next((each for each in nodes(items, "DefElem") if each.get("defname") == name), None)


def is_on(element: Node | None) -> bool:
    """Whether an option is given, and not turned off."""
    if element is None:
        return False
    if "arg" not in element:
        return True
    _, value = unwrapped(element["arg"])
    text = str(value.get("sval", value.get("boolval", value.get("ival", "")))).lower()
    return text not in ("false", "off", "no", "0")


def _queries(kind: str, node: Node) -> Iterator[tuple[str, Node]]:
    yield kind, node
    if kind in _WITH_QUERIES:
        for table in nodes(node.get("withClause", {}).get("ctes"), "CommonTableExpr"):
            yield from _queries(*unwrapped(table["ctequery"]))
    elif kind in ("ExplainStmt", "CreateTableAsStmt", "PrepareStmt", "DeclareCursorStmt"):
        if query := node.get("query"):
            yield from _queries(*unwrapped(query))
    elif kind == "CopyStmt" and (query := node.get("query")):
        yield from _queries(*unwrapped(query))
