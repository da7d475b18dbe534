"""The relations that statements create, lock or rename."""

from collections.abc import Iterator

from dbopsd.migrate.versions.sql.syntax_tree import (
    Name,
    Node,
    Statement,
    nodes,
    qualified,
    relation_name,
    strings,
    unwrapped,
)

# What a DROP names by the name of a relation alone.
_DROPPED = frozenset(
    {
        *("OBJECT_TABLE", "OBJECT_INDEX", "OBJECT_VIEW", "OBJECT_MATVIEW"),
        *("OBJECT_SEQUENCE", "OBJECT_FOREIGN_TABLE"),
    }
)
# What a DROP names by its table's name and then its own.
_DROPPED_OF_TABLE = frozenset({"OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY"})


def created(statement: Statement) -> Iterator[Name]:
    """The relations that it creates for certain, its indexes among them.

    What it creates only IF NOT EXISTS may be there already.
    """
    node = statement.node
    if node.get("if_not_exists"):
        return
    match statement.kind:
        case "CreateStmt" | "CreateSeqStmt":
            yield relation_name(node.get("relation") or node.get("sequence") or {})
        case "CreateForeignTableStmt":
            yield relation_name(node.get("base", {}).get("relation", {}))
        case "CreateTableAsStmt":
            yield relation_name(node["into"]["rel"])
        case "SelectStmt" if "intoClause" in node:
            yield relation_name(node["intoClause"]["rel"])
        case "ViewStmt" if not node.get("replace"):
            yield relation_name(node["view"])
        case "IndexStmt" if node.get("idxname"):
            yield relation_name(node["relation"])[0], node["idxname"]


def locked(statement: Statement) -> list[Name]:
    """The relations that it locks or changes, but for those that it only reads."""
    return list(dict.fromkeys(name for name in _locked(statement) if name[1]))


def renamed(statement: Statement) -> tuple[Name, Name] | None:
    """The old and the new name of a relation that it renames or moves."""
    node = statement.node
    if "relation" not in node:
        return None
    old = relation_name(node["relation"])
    if statement.kind == "RenameStmt" and node.get("renameType") in (
        *("OBJECT_TABLE", "OBJECT_INDEX", "OBJECT_MATVIEW", "OBJECT_VIEW"),
        "OBJECT_FOREIGN_TABLE",
    ):
        return old, (old[0], node.get("newname", ""))
    if statement.kind == "AlterObjectSchemaStmt":
        return old, (node.get("newschema", ""), old[1])
    return None


def _locked(statement: Statement) -> Iterator[Name]:
    node = statement.node
    match statement.kind:
        case "DropStmt" if node.get("removeType") in _DROPPED | _DROPPED_OF_TABLE:
            of_table = node["removeType"] in _DROPPED_OF_TABLE
            for each in node.get("objects", ()):
                parts = strings(unwrapped(each)[1].get("items"))
                yield qualified(parts[:-1] if of_table else parts)
        case "TruncateStmt" | "LockStmt":
            for relation in nodes(node.get("relations"), "RangeVar"):
                yield relation_name(relation)
        case "VacuumStmt":
            for relation in nodes(node.get("rels"), "VacuumRelation"):
                yield relation_name(relation.get("relation", {}))
        case "AlterTableStmt":
            yield from _of_alter_table(node)
        case "CreatePolicyStmt" | "AlterPolicyStmt":
            yield relation_name(node.get("table", {}))
        case "CreateStmt" | "CreateTableAsStmt" | "CreateForeignTableStmt" | "CreateSeqStmt":
            return
        case _:
            yield relation_name(node.get("relation") or {})


def _of_alter_table(node: Node) -> Iterator[Name]:
    yield relation_name(node.get("relation", {}))
    for command in nodes(node.get("cmds"), "AlterTableCmd"):
        kind, definition = unwrapped(command["def"]) if command.get("def") else ("", {})
        if kind == "PartitionCmd":
            yield relation_name(definition.get("name", {}))
        elif kind == "Constraint" and "pktable" in definition:
            yield relation_name(definition["pktable"])
