"""Statements, comments and psql's commands, without a parser."""

import pytest

from dbopsd.migrate.versions.sql.lexer import (
    Command,
    Unterminated,
    blanked,
    comments,
    scan,
    statements,
    words,
)

DOLLARS = "create function f() returns text language sql as $f$ select ';$g$;' $f$"
ATOMIC = (
    "create or replace function f() returns int begin atomic "
    "select case when true then 1 end as end, a.case, a.end; select 2; end"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1; select 2", ["select 1", "select 2"]),
        (" -- a;\n/* b; /* c; */ d; */ select 1 ;; \n; select 2 ;", ["select 1", "select 2"]),
        ("select 'a''b;'; select \"c;\"\"d\"", ["select 'a''b;'", 'select "c;""d"']),
        (r"select 'a\'; select E'b\';c'", [r"select 'a\'", r"select E'b\';c'"]),
        ("select E'a'\n -- ;\n '\\';'; select 1", ["select E'a'\n -- ;\n '\\';'", "select 1"]),
        (r"select typee'a\'; select 2", [r"select typee'a\'", "select 2"]),
        (f"{DOLLARS}; select 1", [DOLLARS, "select 1"]),
        ("select a$b$c; select d$b$e", ["select a$b$c", "select d$b$e"]),
        ("select $$;$$, $1; select 2", ["select $$;$$, $1", "select 2"]),
        ("do $$;$$$a$;$a$; select 1$a$;$a$", ["do $$;$$$a$;$a$", "select 1$a$;$a$"]),
        (r"select $$;$$e'\';'; select 2", [r"select $$;$$e'\';'", "select 2"]),
        (f"{ATOMIC}; select 3", [ATOMIC, "select 3"]),
        (f"{ATOMIC.upper()}; SELECT 3", [ATOMIC.upper(), "SELECT 3"]),
        ("create rule r as on insert to t do (a; b); select 1", None),
        ("create procedure p() begin atomic end; select 1", None),
        ("create table function (begin int, atomic int); select 1", None),
        ("select 1;\u00a0select 2", ["select 1", "\u00a0select 2"]),
        ("select 1 /", ["select 1 /"]),
        ("", []),
    ],
)
def test_semicolons_in_quotes_comments_and_bodies_end_nothing(
    text: str, expected: list[str] | None
) -> None:
    found = statements(text)
    if expected is None:
        expected = [text.removesuffix("; select 1"), "select 1"]
    assert [each.text for each in found] == expected
    assert all(text[each.start : each.end] == each.text for each in found)


@pytest.mark.parametrize("text", ["", " \n", "-- a", "/* a /* b */ c */ ;; -- d\n;"])
def test_a_text_without_a_statement_is_empty(text: str) -> None:
    assert scan(text).spans == ()
    assert len(scan(f"{text}\nselect 1").spans) == 1


@pytest.mark.parametrize(
    ("text", "what", "start"),
    [
        ("select 'a", "string", 7),
        (r"select E'a\'", "string", 8),
        ('select "a', "quoted name", 7),
        ("select $a$ $b$", "dollar-quoted string", 7),
        ("select 1; /* a /* b */", "comment", 10),
    ],
)
def test_a_quote_without_an_end_is_told(text: str, what: str, start: int) -> None:
    assert scan(text).unterminated == Unterminated(what, start)


def test_commands_of_psql_go_to_the_end_of_their_line() -> None:
    found = scan("\\restrict a'b\nselect 1; \\! ls;\nselect 2")
    assert found.commands == (Command("restrict", 0, 13), Command("!", 24, 30))
    assert len(found.spans) == 2
    assert scan(r"select '\x' -- \y").commands == ()


def test_words_of_a_statement() -> None:
    text = "Create /* a */ unique\n-- b\nindex on t"
    assert list(words(text, 0, len(text))) == ["CREATE", "UNIQUE", "INDEX", "ON", "T"]
    assert list(words("end 'a'", 0, 7)) == ["END"]


def test_comments_and_what_is_left_without_quotes() -> None:
    text = "-- a\nselect 'b -- c' /* d\n */, a$b$c;"
    assert list(comments(text)) == [(0, "-- a"), (21, "/* d\n */")]
    assert blanked(text, 0, len(text)) == "    \nselect              \n   , a$b$c;"


@pytest.mark.parametrize(
    "piece",
    [
        "'",
        "$a$",
        "$",
        "/*",
        "*/",
        "E'\\",
        "E'a'\n",
        ";",
        "a;",
        "\\a",
        "\\",
        "--",
        "(",
        "$a",
        "a$",
        '"',
    ],
)
def test_every_text_ends(piece: str) -> None:
    text = f"create rule {piece * 2_000}"
    assert len(scan(text).commands) <= 1000
    assert len(blanked(text, 0, len(text))) == len(text)
