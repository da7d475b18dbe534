"""UPDATE of every row of a table."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.conditions import matches_all_rows, merges_all_rows
from dbopsd.migrate.versions.check.rule import Match, Rule, Weight
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement, relation_name


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    for kind, query in statement.queries():
        if (kind == "UpdateStmt" and matches_all_rows(query.get("whereClause"))) or (
            kind == "MergeStmt" and merges_all_rows(query, "CMD_UPDATE")
        ):
            schema, table = relation_name(query["relation"])
            within = None if query is statement.node else query["relation"].get("location")
            yield Match(f"this updates every row of {table}", within, ((schema, table),))


RULE = Rule(
    name="whole-table-update",
    severity=Severity.ERROR,
    advice="Add a WHERE, and update a large table in batches outside of migrations: every "
    "row is locked until the end, and written again",
    find=_find,
    kinds=frozenset(
        {
            "SelectStmt",
            "InsertStmt",
            "UpdateStmt",
            "DeleteStmt",
            "MergeStmt",
            "ExplainStmt",
            "CreateTableAsStmt",
            "CopyStmt",
            "PrepareStmt",
        }
    ),
    weight=Weight.DATA,
)
