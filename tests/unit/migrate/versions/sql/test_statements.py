"""PostgreSQL's grammar, the lexer beside it, and positions."""

import pytest

from dbopsd.migrate.versions.model.migration_file import Replaced, Script
from dbopsd.migrate.versions.sql import lexer
from dbopsd.migrate.versions.sql.positions import line_and_column, place
from dbopsd.migrate.versions.sql.statements import SyntaxProblem, split


def test_positions_count_characters() -> None:
    text = "-- ü\nselect 'ü€😀'; /* select 2 */ select 2 -- x\n; \n"
    found = split(text)
    assert [each.text for each in found] == ["select 'ü€😀'", "select 2 -- x"]
    assert all(text[each.start : each.end] == each.text for each in found)
    assert [line_and_column(text, each.start) for each in found] == [(2, 1), (2, 30)]


def test_a_syntax_error_has_its_place() -> None:
    with pytest.raises(SyntaxProblem) as caught:
        split("select 'ü';\nselect 1 form t x")
    assert caught.value.position is not None
    assert line_and_column("select 'ü';\nselect 1 form t x", caught.value.position) == (2, 15)
    assert str(caught.value) == 'syntax error at or near "t"'


def test_a_long_expression_is_no_problem() -> None:
    assert len(split("select " + "||".join(["'a'"] * 20_000))) == 1
    with pytest.raises(SyntaxProblem):
        split("select " + "(" * 100_000)


def test_values_of_variables_have_the_place_of_their_placeholder() -> None:
    #        0123456789012345 67890
    text = "create table abcdef.t;\nselect abcdef.x, 1"
    script = Script("f.sql", text, 5, replaced=(Replaced(13, 19, "${s}"), Replaced(30, 36, "${s}")))
    assert place(script, 0) == (5, 1)
    assert place(script, 13) == place(script, 18) == (5, 14)
    assert place(script, 19) == (5, 18)
    assert place(script, 30) == (6, 8)
    assert place(script, 40) == (6, 16)


@pytest.mark.parametrize(
    "text", ["select 1; select 2", "create function f() returns int begin atomic select 1; end; x"]
)
def test_lexer_and_grammar_agree(text: str) -> None:
    try:
        expected = split(text)
    except SyntaxProblem:
        return
    assert lexer.statements(text) == expected
