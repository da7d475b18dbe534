"""What statements do that run outside transactions, as far as it matters when one is cut off."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dbopsd.db.identifiers import quoted
from dbopsd.migrate.versions.sql.lexer import words
from dbopsd.migrate.versions.sql.statements import SyntaxProblem
from dbopsd.migrate.versions.sql.syntax_tree import (
    Node,
    is_on,
    nodes,
    option,
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
    unique: bool = False
    keys: int = 1
    """How many columns and expressions it is by."""
    only: bool = False
    """Of a partitioned table: without its partitions."""
    known: tuple[int, ...] | None = None
    """The indexes of the table before it, by their oids; None: they were not looked at."""

    @property
    def chooses_name(self) -> bool:
        """Whether the server chooses the name."""
        return not self.index


@dataclass(frozen=True)
class IndexDrop:
    """DROP INDEX CONCURRENTLY, which takes one index."""

    index: Name
    known: tuple[int, ...] | None = None
    """What its name stood for before it, by its oid; None: it was not looked at."""


@dataclass(frozen=True)
class IndexRebuild:
    """REINDEX. `kind` is INDEX, TABLE, SCHEMA, DATABASE or SYSTEM; the last two need no name."""

    kind: str
    name: Name | None
    concurrently: bool


@dataclass(frozen=True)
class PartitionDetach:
    """ALTER TABLE … DETACH PARTITION … CONCURRENTLY."""

    parent: Name
    partition: Name


@dataclass(frozen=True)
class ExistenceChange:
    """CREATE or DROP of a database, a tablespace or a subscription, which are no relations."""

    kind: str
    """DATABASE, TABLESPACE or SUBSCRIPTION."""
    name: str
    created: bool


@dataclass(frozen=True)
class PublicationChange:
    """ALTER SUBSCRIPTION … ADD PUBLICATION or DROP PUBLICATION."""

    subscription: str
    publications: tuple[str, ...]
    added: bool


@dataclass(frozen=True)
class SettingChange:
    """SET or RESET, which holds for the rest of the file."""


@dataclass(frozen=True)
class Repeatable:
    """What may be done twice, such as VACUUM."""


StatementKind = (
    IndexBuild
    | IndexDrop
    | IndexRebuild
    | PartitionDetach
    | ExistenceChange
    | PublicationChange
    | SettingChange
    | Repeatable
    | None
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
        bool(node.get("unique")),
        len(node.get("indexParams", ())),
        only=not node["relation"].get("inh"),
    )


def _read_drop(node: Node) -> StatementKind:
    names = [strings(each.get("items")) for each in nodes(node.get("objects"), "List")]
    if not node.get("concurrent") or len(names) != 1:
        return None
    return IndexDrop(Name(*qualified(names[0])))


def _read_rebuild(node: Node) -> StatementKind:
    kind = node["kind"].removeprefix("REINDEX_OBJECT_")
    concurrently = is_on(option(node.get("params"), "concurrently"))
    if kind == "SCHEMA":
        return IndexRebuild(kind, Name("", node.get("name", "")), concurrently)
    relation = node.get("relation")
    return IndexRebuild(kind, Name(*relation_name(relation)) if relation else None, concurrently)


def _read_detach(node: Node) -> StatementKind:
    for command in nodes(node.get("cmds"), "AlterTableCmd"):
        detached = command.get("def", {}).get("PartitionCmd", {})
        if detached.get("concurrent"):
            parent, partition = node["relation"], detached["name"]
            return PartitionDetach(Name(*relation_name(parent)), Name(*relation_name(partition)))
    return None


def _read_existence(kind: str, field: str, *, created: bool) -> Callable[[Node], StatementKind]:
    return lambda node: ExistenceChange(kind, node.get(field, ""), created)


def _read_subscription(node: Node) -> StatementKind:
    change = node.get("kind", "").removeprefix("ALTER_SUBSCRIPTION_")
    if change not in ("ADD_PUBLICATION", "DROP_PUBLICATION"):
        # What it sets, and what it takes over from its publisher, it may again.
        return Repeatable()
    names = tuple(strings(node.get("publication")))
    return PublicationChange(node.get("subname", ""), names, change == "ADD_PUBLICATION")


_READERS: Final = {
    "AlterSubscriptionStmt": _read_subscription,
    "AlterTableStmt": _read_detach,
    "CreatedbStmt": _read_existence("DATABASE", "dbname", created=True),
    "CreateSubscriptionStmt": _read_existence("SUBSCRIPTION", "subname", created=True),
    "CreateTableSpaceStmt": _read_existence("TABLESPACE", "tablespacename", created=True),
    "DropdbStmt": _read_existence("DATABASE", "dbname", created=False),
    "DropSubscriptionStmt": _read_existence("SUBSCRIPTION", "subname", created=False),
    "DropTableSpaceStmt": _read_existence("TABLESPACE", "tablespacename", created=False),
    "DropStmt": _read_drop,
    "IndexStmt": _read_index_build,
    "ReindexStmt": _read_rebuild,
    "SelectStmt": _read_select,
}
