"""SECURITY DEFINER without a search_path of its own."""

from collections.abc import Iterator

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement, is_on, nodes, option


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    options = statement.node.get("options")
    chosen = option(options, "security")
    sets = [
        each["arg"]["VariableSetStmt"].get("name")
        for each in nodes(options, "DefElem")
        if each.get("defname") == "set"
    ]
    if is_on(chosen) and "search_path" not in sets:
        message = (
            "a caller's search_path decides which functions and operators run with "
            "the owner's rights"
        )
        yield Match(message, (chosen or {}).get("location"))


RULE = Rule(
    name="security-definer-search-path",
    severity=Severity.WARNING,
    advice="Add SET search_path = pg_catalog, pg_temp, and qualify other names",
    find=_find,
    kinds=frozenset({"CreateFunctionStmt"}),
)
