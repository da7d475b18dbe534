"""What is known of a statement that runs outside a transaction."""

import pytest

from dbopsd.migrate.versions.apply.statement_kinds import read_kind
from dbopsd.migrate.versions.apply.steps import Step
from dbopsd.migrate.versions.sql.lexer import statements


def step(text: str, *, alone: bool = True) -> Step:
    (statement,) = statements(text)
    return Step(statement, read_kind(text), alone)


@pytest.mark.parametrize(
    ("text", "patient"),
    [
        ("CREATE INDEX CONCURRENTLY i ON t (x)", True),
        ("REINDEX TABLE CONCURRENTLY t", True),
        # Writers stand behind it, table after table.
        ("REINDEX SCHEMA s", False),
        ("DROP INDEX CONCURRENTLY i", True),
        ("ALTER TABLE t DETACH PARTITION p CONCURRENTLY", True),
        ("CALL p()", True),
        ("DROP SUBSCRIPTION s", True),
        ("VACUUM FULL t", False),
    ],
)
def test_whether_its_waits_have_no_limit_of_their_own(text: str, patient: bool) -> None:
    assert step(text).patient is patient
    assert not step(text, alone=False).patient


def test_what_only_its_session_has() -> None:
    for text in ("CREATE TEMP TABLE t ()", "create local temporary view v as table t", "LOAD 'x'"):
        assert step(text).makes_session_state
    assert not step("CREATE TABLE temp ()").makes_session_state
    assert step("discard all").resets_all
    assert not step("RESET role").resets_all
