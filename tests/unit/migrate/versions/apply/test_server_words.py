"""What of the server's words about a failure everybody may read."""

import pytest

from dbopsd.db.errors import InvalidStatement, ScriptFailed
from dbopsd.migrate.versions.apply.server_words import ServerWords
from dbopsd.migrate.versions.model.migration_file import Replaced, Script

SSN = 'invalid input syntax for type integer: "123-45-6789"'
SCRIPT = Script(
    "001_a.sql", "DO $$BEGIN RAISE EXCEPTION 'not yet'; END$$; SELECT 'hunter2pw'; DROP TABLE Ab"
)
FILLED = Script(SCRIPT.path, SCRIPT.text, replaced=(Replaced(52, 63, ":'SECRET'"),))


def failed(sqlstate: str, cause: str, **fields: object) -> ScriptFailed:
    error = InvalidStatement("main", "MIGRATION", sqlstate, cause)
    values: dict[str, object] = {"condition": "the_condition", **fields}
    return ScriptFailed("main", "MIGRATION", sqlstate, cause, error, 0, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "public", "detail"),
    [
        (failed("42P01", 'relation "ab" does not exist', hint="a\nhint"), ..., ""),
        (failed("2BP01", "cannot drop table", detail="view v depends on it"), ..., ""),
        (failed("22012", "division by zero"), "division by zero", ""),
        (failed("22P02", SSN, detail="x"), "the_condition (SQLSTATE 22P02)", f"{SSN}; x"),
        (failed("23505", "duplicate key", detail="Key (a)=(1)"), "duplicate key", "Key (a)=(1)"),
        (
            failed("23505", "1 is there", raised=True),
            "the_condition (SQLSTATE 23505)",
            "1 is there",
        ),
        (failed("P0001", "not yet", raised=True), "not yet", ""),
        (failed("P0001", "row 7", raised=True), "the_condition (SQLSTATE P0001)", "row 7"),
        (failed("42601", 'at or near "x"', position=3), 'at or near "x"', ""),
        (failed("42601", 'at or near "x"'), "the_condition (SQLSTATE 42601)", 'at or near "x"'),
        (failed("42501", "permission denied for table a"), ..., ""),
        (failed("42703", 'column "x" does not exist', position=3), ..., ""),
        (
            failed("42703", 'column "elec" does not exist'),
            "the_condition (SQLSTATE 42703)",
            'column "elec" does not exist',
        ),
        (
            failed("42883", "function x() does not exist"),
            "the_condition (SQLSTATE 42883)",
            "function x() does not exist",
        ),
        (
            failed("UE001", "row 7", detail="its text", raised=True),
            "the_condition (SQLSTATE UE001)",
            "row 7; its text",
        ),
        (failed("42501", "row 7", raised=True), "the_condition (SQLSTATE 42501)", "row 7"),
        (failed("38000", "row 7", raised=True), "the_condition (SQLSTATE 38000)", "row 7"),
    ],
)
def test_what_may_quote_rows_is_apart(error: ScriptFailed, public: object, detail: str) -> None:
    words = ServerWords.of(error, SCRIPT)
    if public is ...:
        said = (error.cause, error.detail, error.hint)
        public = "; ".join(" ".join(each.split()) for each in said if each)
    assert (words.public, words.detail) == (public, detail)


def test_values_of_variables_are_in_no_message() -> None:
    error = failed("42P01", 'relation "hunter2pw" does not exist')
    words = ServerWords.of(error, FILLED)
    assert words.public == "the_condition (SQLSTATE 42P01)"
    placed = failed("42P01", 'relation "hunter2pw" does not exist', position=52)
    assert ServerWords.of(placed, FILLED).public == "relation \":'SECRET'\" does not exist"
    raised = failed("P0001", "hunter2pw", raised=True)
    assert "hunter2pw" not in ServerWords.of(raised, FILLED).public
