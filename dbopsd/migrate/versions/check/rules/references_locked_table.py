"""A new table with a foreign key, which locks the table that it refers to."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule, Weight
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Node, Script, Statement, nodes, relation_name


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    for key in _foreign_keys(statement.node.get("tableElts")):
        table = relation_name(key["pktable"])
        message = f"this locks out writers of {table[1]} until the transaction ends"
        yield Match(message, key.get("location"), (table,))


def _foreign_keys(elements: list[Node] | None) -> Iterator[Node]:
    columns = nodes(elements, "ColumnDef")
    found = [*nodes(elements, "Constraint")]
    for column in columns:
        found += nodes(column.get("constraints"), "Constraint")
    return (each for each in found if "pktable" in each)


RULE = Rule(
    name="references-locked-table",
    severity=Severity.INFO,
    advice="Keep what else is in the file short, or add the foreign key NOT VALID in a file of its "
    "own, and validate it in another",
    find=_find,
    kinds=frozenset({"CreateStmt"}),
    weight=Weight.LOCK,
)
