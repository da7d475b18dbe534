"""The lexer agrees with PostgreSQL's grammar on all SQL that the grammar accepts."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbopsd.migrate.versions.sql.lexer import MOST_COMMANDS, blanked, comments, scan, statements
from dbopsd.migrate.versions.sql.statements import SyntaxProblem, split

BLANKS = st.sampled_from(
    (" ", "\n", "\t", " -- ;'\n", "/* ; */", "/* /* ' */ ; */", "--\n", "\r\n", " -- x\r", "/**/")
)
VALUES = st.sampled_from(
    (
        "1",
        "'a'",
        "';'",
        "''",
        "'a'';'",
        "'\\'",
        "E'\\';'",
        "e'a\\\\'",
        "E'a'\n'\\';'",
        "E'a' -- '\n  '\\'b'",
        "'a'\n';'",
        "U&'\\0061;'",
        "N';'",
        "B'01'",
        '"a;"',
        '"e"',
        'U&"a;"',
        '"""\';"',
        "$$;$$",
        "$a$;$b$;$a$",
        "$é$ $$;$$ $é$",
        "a$b$c",
        "é",
        "typee",
        "- -1",
        "1 /-1",
        "a.case",
        "(case when true then 1 end)",
        "array[1,2][1:2]",
        "1::int",
        "'a' || 'b'",
        "a*/* ; */b",
        "$1",
    )
)


def _body(value: str, blank: str) -> st.SearchStrategy[str]:
    return st.sampled_from(
        (
            f"select{blank}{value}",
            f"select{blank}{value} as end, 1 as atomic, 2 as begin",
            f"create table t (a{blank}text default {value})",
            f"create{blank}function f() returns int language sql as $f${value};$f$",
            f"create or{blank}replace function f() returns int begin{blank}atomic "  # noqa: ISC004
            f"select {value}; select case{blank}when true then 1 end; end",
            f"create /* a */ procedure p() begin atomic{blank}end",
            f"create rule r as on insert to t do{blank}(select {value}; select 2)",
            f"create table function (begin int, {blank} atomic int default 1)",
            f"create table ruler (a{blank}int)",
            f"do{blank}$$ begin perform {value}; end $$",
            f"comment on table t is 'a'{blank}",
            "",
        )
    )


STATEMENTS = st.tuples(VALUES, BLANKS).flatmap(lambda pair: _body(*pair))
SCRIPTS = st.lists(st.tuples(BLANKS, STATEMENTS, BLANKS), max_size=5).map(
    lambda parts: ";".join(before + statement + after for before, statement, after in parts)
)
CHARACTERS = "'\"$;\\()-/*aeE1 \n\r\x0b\u00a0é"
PIECES = ("--", "/*", "*/", "$$", "$a$", "E'", "begin atomic", "end", "create function", "as ")
MORE = ("create rule", "select ", "case ", "\\restrict a\n", "'a'", "do ")
FRAGMENTS = st.sampled_from((*CHARACTERS, *PIECES, *MORE))


@settings(max_examples=30, deadline=None)
@given(SCRIPTS)
def test_scripts(text: str) -> None:
    _agree(text)


@settings(max_examples=30, deadline=None)
@given(st.lists(FRAGMENTS, max_size=12).map("".join))
@example("select 'a' --\r;select 2")
def test_any_text(text: str) -> None:
    found = scan(text)
    assert len(found.commands) <= MOST_COMMANDS
    assert all(0 <= start < end <= len(text) for start, end in found.spans)
    without = blanked(text, 0, len(text))
    assert len(without) == len(text)
    assert without.count("\n") == text.count("\n")
    assert all(text.startswith(comment, start) for start, comment in comments(text))
    _agree(text)


def _agree(text: str) -> None:
    found = scan(text)
    try:
        expected = split(text)
    except SyntaxProblem as problem:
        refused = problem
    else:
        assert statements(text) == expected
        assert found.unterminated is None
        return
    if refused.message.startswith("unterminated"):
        # The grammar counts from the E, or from the string that this one goes on with.
        assert found.unterminated is not None
        assert (refused.position or 0) <= found.unterminated.start
