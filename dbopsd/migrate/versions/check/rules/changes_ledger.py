"""Changes of the ledger, which says what is applied."""

from collections.abc import Iterator
from typing import Final

from dbopsd.migrate.versions.check.relations import locked
from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import (
    Name,
    Node,
    Script,
    Statement,
    nodes,
    relation_name,
    strings,
    unwrapped,
)

# The schema may hold other things, such as `public` does.
TABLES: Final = ("migration_runs", "ledger_version", "schema_fingerprint", "schema_objects")
VIEW: Final = "migrations"
_ROWS: Final = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
# Those that `locked` knows the relations of, without LOCK, VACUUM and the like, which change none.
_DEFINITIONS: Final = frozenset(
    {
        *("AlterTableStmt", "AlterObjectSchemaStmt", "RenameStmt", "TruncateStmt", "DropStmt"),
        *("CreateTrigStmt", "RuleStmt", "CreatePolicyStmt", "AlterPolicyStmt"),
    }
)
_READING: Final = frozenset({"select", "references", "maintain"})


def _find(statement: Statement, script: Script) -> Iterator[Match]:
    if ledger := next((each for each in _changed(statement) if _is_of(each, script)), None):
        yield Match(f"this changes {ledger[1]}, in which dbopsd writes what is applied")
    elif script.ledger_schema in _schemas(statement):
        yield Match(f"{script.ledger_schema} is the schema in which dbopsd writes what is applied")


def _is_of(name: Name, script: Script) -> bool:
    """Whether a relation is of the ledger: a table, a view, an index or a sequence of it."""
    schema, relation = name
    of_table = any(relation == each or relation.startswith(f"{each}_") for each in TABLES)
    if not of_table and relation != VIEW:
        return False
    if schema:
        return schema == script.ledger_schema
    return script.ledger_schema == "public" or any(
        script.ledger_schema in _path(each.node) for each in script.before("VariableSetStmt")
    )


def _path(node: Node) -> list[str]:
    """The schemas of a SET search_path."""
    if node.get("name") != "search_path":
        return []
    return [each["sval"].get("sval", "") for each in nodes(node.get("args"), "A_Const")]


def _changed(statement: Statement) -> Iterator[Name]:
    """The relations whose rows, definition or privileges it changes."""
    node = statement.node
    if statement.kind in _DEFINITIONS:
        yield from locked(statement)
    elif statement.kind == "CopyStmt" and node.get("is_from"):
        yield relation_name(node.get("relation", {}))
    elif statement.kind == "AlterSeqStmt":
        yield relation_name(node.get("sequence", {}))
    elif statement.kind == "GrantStmt" and _lets_write(node):
        for relation in nodes(node.get("objects"), "RangeVar"):
            yield relation_name(relation)
    for kind, query in statement.queries():
        if kind in _ROWS:
            yield relation_name(query.get("relation", {}))


def _schemas(statement: Statement) -> list[str]:
    """The schemas that it drops, renames, gives away or lets others write in."""
    node = statement.node
    match statement.kind:
        case "DropStmt" if node.get("removeType") == "OBJECT_SCHEMA":
            return strings(node.get("objects"))
        case "RenameStmt" if node.get("renameType") == "OBJECT_SCHEMA":
            return [node.get("subname", "")]
        case "AlterOwnerStmt" if node.get("objectType") == "OBJECT_SCHEMA":
            return [unwrapped(node["object"])[1].get("sval", "")]
        case "GrantStmt" if node.get("targtype") == "ACL_TARGET_ALL_IN_SCHEMA":
            of_relations = node.get("objtype") in ("OBJECT_TABLE", "OBJECT_SEQUENCE")
            return strings(node.get("objects")) if of_relations and _lets_write(node) else []
    return []


def _lets_write(grant: Node) -> bool:
    privileges = {each.get("priv_name") for each in nodes(grant.get("privileges"), "AccessPriv")}
    # Without any it is ALL.
    return bool(grant.get("is_grant")) and (not privileges or not privileges <= _READING)


RULE = Rule(
    name="changes-ledger",
    severity=Severity.ERROR,
    advice="Use `dbops migrate baseline`, `adopt` or `resolve`, which keep it whole",
    find=_find,
    kinds=_DEFINITIONS
    | _ROWS
    | {
        *("SelectStmt", "ExplainStmt", "CreateTableAsStmt", "CopyStmt", "PrepareStmt"),
        *("DeclareCursorStmt", "AlterSeqStmt", "AlterOwnerStmt", "GrantStmt"),
    },
)
