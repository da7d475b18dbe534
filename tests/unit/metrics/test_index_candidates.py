"""Which columns a filter of EXPLAIN compares, and which indexes would serve it."""

from typing import Any

import pytest

from dbopsd.metrics.advice.suggestion.filters import Scan, candidates, scans_in

COLUMNS = [("a", "a"), ("b", "b"), ("ab", "ab"), ('we"ird', '"we""ird"'), ("name", "name")]


def scan(text: str) -> Scan:
    return Scan("public", "t", "t", text, 10, 5000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(t.a = $1)", [("a",)]),
        ("(a > $1)", [("a",)]),
        ("((t.a = $1) AND (t.b = $2))", [("a",), ("b",), ("a", "b"), ("b", "a")]),
        ("((t.a > $1) AND (t.b = $2))", [("b",), ("a",), ("b", "a")]),
        ("((t.name)::text = $1)", [("name",)]),
        ('(t."we""ird" = $1)', [('we"ird',)]),
        ("(t.ab = ANY ($1))", [("ab",)]),
        # Neither an expression on the column nor another operator is served by it.
        ("(lower(t.name) = $1)", []),
        ("(t.name ~~ $1)", []),
        ("(t.a IS NULL)", []),
        ("(t.a <> $1)", []),
        ("(t.a + 1 = $1)", []),
    ],
)
def test_columns_compared(text: str, expected: list[tuple[str, ...]]) -> None:
    assert candidates(scan(text), COLUMNS, []) == expected


def test_what_an_index_serves_is_no_candidate() -> None:
    both = scan("((t.a = $1) AND (t.b = $2))")
    assert candidates(both, COLUMNS, [["a", "b", "name"]]) == [("b",), ("b", "a")]
    assert candidates(both, COLUMNS, [["a"], ["b"]]) == [("a", "b"), ("b", "a")]


def test_scans_are_found_at_any_depth() -> None:
    node: dict[str, Any] = {
        "Node Type": "Seq Scan",
        "Schema": "public",
        "Relation Name": "t",
        "Alias": "x",
        "Filter": "(x.a = $1)",
        "Plan Rows": 5,
        "Total Cost": 99.5,
    }
    plan = {"Node Type": "Limit", "Plans": [{"Node Type": "Sort", "Plans": [node]}]}
    assert list(scans_in(plan)) == [Scan("public", "t", "x", "(x.a = $1)", 5.0, 99.5)]
    assert list(scans_in({"Node Type": "Index Scan", "Filter": "(a = $1)"})) == []
