"""ADD COLUMN with a default that differs from row to row."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.expressions import functions_called
from dbopsd.migrate.versions.check.rule import Match, Rule, Weight
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement, alter_commands, nodes

_VOLATILE = frozenset(
    {
        *("random", "random_normal", "gen_random_uuid", "uuidv4", "uuidv7", "clock_timestamp"),
        *("timeofday", "nextval", "gen_random_bytes", "pg_sleep", "setval"),
        *("uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v4"),
    }
)


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    for command in alter_commands(statement, "AT_AddColumn"):
        column = command["def"]["ColumnDef"]
        for constraint in nodes(column.get("constraints"), "Constraint"):
            if constraint.get("contype") != "CONSTR_DEFAULT":
                continue
            called = [
                name for name in functions_called(constraint.get("raw_expr")) if name in _VOLATILE
            ]
            if called:
                message = (
                    f"the default {called[0]}() differs from row to row: the whole table is "
                    f"rewritten"
                )
                yield Match(message, constraint.get("location"))


RULE = Rule(
    name="adding-volatile-default",
    severity=Severity.ERROR,
    advice="Add the column without a default, set the default afterwards, and fill the rows "
    "there are in batches",
    find=_find,
    kinds=frozenset({"AlterTableStmt"}),
    weight=Weight.LOCK,
)
