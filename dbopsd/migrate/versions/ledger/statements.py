"""The statements in `sql/`, on the relations of one ledger."""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from dbopsd.db.identifiers import literal
from dbopsd.db.statement import Statement, load_sql
from dbopsd.migrate.versions.ledger.new_run import NewRun
from dbopsd.migrate.versions.model.ledger_run import LEDGER_RELATIONS, Result

_SQL: Final = "dbopsd.migrate.versions.ledger.sql"
_PARAMETER: Final = re.compile(r"%\((\w+)\)s")


@cache
def ledger_statement(schema: str, name: str) -> Statement:
    """The statement of a file, on the relations of the ledger in a schema."""
    statement = load_sql(_SQL, f"{name}.sql").statement
    if "%" in statement.query_text:
        # It has parameters, and a percent sign in a name must not be taken for one.
        schema = schema.replace("%", "%%")
    names = {name: (schema, name) for name in LEDGER_RELATIONS}
    return statement.with_identifiers(schema=schema, **names)


def run_parameters(run: NewRun) -> dict[str, Any]:
    """The parameters of `insert_run.sql`."""
    return {
        **vars(run),
        "direction": run.direction.value,
        "result": run.result.value,
        "ended": run.result is not Result.RUNNING,
    }


def recorded_statement(schema: str, run: NewRun) -> Statement:
    """`insert_run.sql` without parameters, which fails where there is no row afterwards."""
    insert = _insertion(schema)
    values = run_parameters(run)
    literals = [_literal(values[name]) for name in insert.parameters]
    return Statement(insert.text % tuple(literals), insert.summary)


@dataclass(frozen=True, slots=True)
class _Insertion:
    """The statement that records a run, with a `%s` in the place of each of its parameters."""

    text: str
    parameters: tuple[str, ...]
    summary: str


@cache
def _insertion(schema: str) -> _Insertion:
    insert = ledger_statement(schema, "insert_run")
    text = insert.query_text
    names = tuple(_PARAMETER.findall(text))
    recorded = load_sql(_SQL, "recorded.sql").statement
    text = recorded.query_text.format(insert=_PARAMETER.sub("%s", text))
    return _Insertion(text, names, recorded.summary)


def _literal(value: str | int | datetime | None) -> str:
    if value == "":  # as most are
        return "''"
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value).lower()
    return literal(value if isinstance(value, str) else value.isoformat())
