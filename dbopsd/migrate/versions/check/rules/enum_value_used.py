"""A value that ALTER TYPE … ADD VALUE adds, used in the same transaction (55P04)."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.expressions import texts
from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import (
    Script,
    Statement,
    qualified,
    same_name,
    strings,
)


def _find(statement: Statement, script: Script) -> Iterator[Match]:
    added = _added(script) if script.transactional else {}
    if not added:
        return
    for text, location in texts({statement.kind: statement.node}):
        if text in added:
            message = f"the value '{text}' is new in this transaction: the server refuses its use"
            yield Match(f"{message}, should this be of the type {added[text]}", location)


def _added(script: Script) -> dict[str, str]:
    """The type of each new value. In a type that is new itself, they may be used."""
    new = [
        qualified(strings(each.node.get("typeName"))) for each in script.before("CreateEnumStmt")
    ]
    added: dict[str, str] = {}
    for each in script.before("AlterEnumStmt"):
        name = qualified(strings(each.node.get("typeName")))
        if not each.node.get("oldVal") and not any(same_name(name, one) for one in new):
            added[each.node.get("newVal", "")] = name[1]
    return added


RULE = Rule(
    name="enum-value-used",
    severity=Severity.WARNING,
    advice="Add the value in a migration of its own, before this one",
    find=_find,
    kinds=frozenset(
        {
            *("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "SelectStmt"),
            *("AlterTableStmt", "CreateStmt", "IndexStmt", "CreateTableAsStmt", "ViewStmt"),
        }
    ),
)
