"""What statements do that run outside transactions, as far as it matters when one is cut off."""

from dataclasses import dataclass
from typing import Final

from dbopsd.db.identifiers import quoted
from dbopsd.migrate.versions.sql.lexer import words
from dbopsd.migrate.versions.sql.statements import SyntaxProblem
from dbopsd.migrate.versions.sql.syntax_tree import (
    Node,
    nodes,
    parse_statement,
    qualified,
    relation_name,
    strings,
)

# The parser writes a tree down by recursion: 50,000 levels need the 8 MiB of a usual stack
# (measured), and this length has 5,000 at most. Statements of these kinds are far shorter.
_LONGEST_CHARS: Final = 10_000


@dataclass(frozen=True)
class Name:
    """The name of a relation. `schema`: empty where the search path decides."""

    schema: str
    name: str

    @property
    def parts(self) -> tuple[str, ...]:
        """The name with its schema, if it has one."""
        return (self.schema, self.name) if self.schema else (self.name,)

    def __str__(self) -> str:
        return quoted(*self.parts)


@dataclass(frozen=True)
class IndexBuild:
    """CREATE INDEX. `index`: empty where the server chooses the name."""

    table: Name
    index: str
    concurrently: bool
    if_not_exists: bool


@dataclass(frozen=True)
class IndexDrop:
    """DROP INDEX CONCURRENTLY, which takes one index."""

    index: Name


@dataclass(frozen=True)
class IndexRebuild:
    """REINDEX. `kind` is INDEX, TABLE, SCHEMA, DATABASE or SYSTEM; the last two need no name."""

    kind: str
    name: Name | None


@dataclass(frozen=True)
class PartitionDetach:
    """ALTER TABLE … DETACH PARTITION … CONCURRENTLY."""

    parent: Name
    partition: Name


@dataclass(frozen=True)
class SettingChange:
    """SET or RESET, which holds for the rest of the file."""


@dataclass(frozen=True)
class Repeatable:
    """What may be done twice, such as VACUUM."""


StatementKind = (
    IndexBuild | IndexDrop | IndexRebuild | PartitionDetach | SettingChange | Repeatable | None
)

_FIRST_WORDS: Final = frozenset(
    {"ALTER", "CHECKPOINT", "CLUSTER", "CREATE", "DISCARD", "DROP", "SELECT"}
    | {"REINDEX", "RESET", "SET", "VACUUM", "ANALYZE", "ANALYSE"}
)
_REPEATABLE: Final = frozenset(
    {
        "AlterDatabaseStmt",
        "AlterSystemStmt",
        "CheckPointStmt",
        "ClusterStmt",
        "DiscardStmt",
        "VacuumStmt",
    }
)


_SET_CONFIG: Final = {("", "set_config"), ("pg_catalog", "set_config")}


def read_kind(text: str) -> StatementKind:
    """What the statement is; None: nothing of these, or the grammar does not know."""
    if len(text) > _LONGEST_CHARS or next(words(text, 0, len(text)), "") not in _FIRST_WORDS:
        return None
    try:
        kind, node = parse_statement(text)
    except (SyntaxProblem, RecursionError):
        return None
    if kind in _REPEATABLE:
        return Repeatable()
    if kind == "VariableSetStmt":
        return SettingChange()
    read = _READERS.get(kind)
    return read(node) if read else None


def _read_select(node: Node) -> StatementKind:
    """Of `SELECT set_config(…)`, as dumps have it, and nothing besides."""
    targets = [each.get("val", {}) for each in nodes(node.get("targetList"), "ResTarget")]
    calls = [each["FuncCall"] for each in targets if "FuncCall" in each]
    names = {qualified(strings(call.get("funcname"))) for call in calls}
    only = "fromClause" not in node and len(calls) == len(targets)
    return SettingChange() if only and names and names <= _SET_CONFIG else None


def _read_index_build(node: Node) -> StatementKind:
    return IndexBuild(
        Name(*relation_name(node["relation"])),
        node.get("idxname", ""),
        bool(node.get("concurrent")),
        bool(node.get("if_not_exists")),
    )


def _read_drop(node: Node) -> StatementKind:
    names = [strings(each.get("items")) for each in nodes(node.get("objects"), "List")]
    if not node.get("concurrent") or len(names) != 1:
        return None
    return IndexDrop(Name(*qualified(names[0])))


def _read_rebuild(node: Node) -> StatementKind:
    kind = node["kind"].removeprefix("REINDEX_OBJECT_")
    if kind == "SCHEMA":
        return IndexRebuild(kind, Name("", node.get("name", "")))
    relation = node.get("relation")
    return IndexRebuild(kind, Name(*relation_name(relation)) if relation else None)


def _read_detach(node: Node) -> StatementKind:
    for command in nodes(node.get("cmds"), "AlterTableCmd"):
        detached = command.get("def", {}).get("PartitionCmd", {})
        if detached.get("concurrent"):
            parent, partition = node["relation"], detached["name"]
            return PartitionDetach(Name(*relation_name(parent)), Name(*relation_name(partition)))
    return None


_READERS: Final = {
    "AlterTableStmt": _read_detach,
    "DropStmt": _read_drop,
    "IndexStmt": _read_index_build,
    "ReindexStmt": _read_rebuild,
    "SelectStmt": _read_select,
}
