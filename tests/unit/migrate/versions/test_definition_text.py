"""Definitions that differ in parentheses alone have one text."""

import pytest

from dbopsd.migrate.versions.fingerprint.definition_text import without_nested_connectives


@pytest.mark.parametrize(
    ("stored", "read_again"),
    [
        ("CHECK (((a AND b) AND c))", "CHECK ((a AND b AND c))"),
        ("CHECK (((a OR b) OR c))", "CHECK ((a OR b OR c))"),
        ("CHECK (((((a AND b) AND c) AND d) AND e))", "CHECK ((a AND b AND c AND d AND e))"),
        (
            "CHECK ((((a >= 1) AND (a <= 2)) AND (b <> ')) AND ('::text)))",
            "CHECK (((a >= 1) AND (a <= 2) AND (b <> ')) AND ('::text)))",
        ),
        (
            "VIEW AS SELECT x\n FROM t\n  WHERE (((x > 0) OR (y = E'\\'(')) OR (\"((\" > 0));",
            "VIEW AS SELECT x\n FROM t\n  WHERE ((x > 0) OR (y = E'\\'(') OR (\"((\" > 0));",
        ),
    ],
)
def test_what_an_and_or_or_begins_with_is_part_of_it(stored: str, read_again: str) -> None:
    assert without_nested_connectives(stored) == read_again
    assert without_nested_connectives(read_again) == read_again


@pytest.mark.parametrize(
    "text",
    [
        "CHECK ((a AND (b AND c)))",
        "CHECK (((a AND b) OR c))",
        "CHECK (((a AND b) = (c AND d)))",
        "CHECK (((f(a) > 0) AND b))",
        "CHECK (((NOT a) AND b))",
        "USING ((( SELECT a AND b) AND c))",
        "DEFAULT '((a AND b) AND c)'::text",
        'SELECT "((a AND b) AND c)" FROM t;',
        "SELECT sum(a) OVER (ORDER BY b ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AND c FROM t;",
    ],
)
def test_other_parentheses_stay(text: str) -> None:
    assert without_nested_connectives(text) == text
