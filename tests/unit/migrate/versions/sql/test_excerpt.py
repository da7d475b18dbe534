"""The beginning of a statement, by which errors name it."""

import pytest

from dbopsd.migrate.versions.sql.excerpt import excerpt


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("SELECT 1", "SELECT 1"),
        ("CREATE  TABLE a (\n\tb int\n)", "CREATE TABLE a ( b int )"),
        ("DROP /* the old */ TABLE a -- now", "DROP TABLE a"),
        ("CREATE ROLE a PASSWORD 'secret'", "CREATE ROLE a PASSWORD '…'"),
        ("SELECT E'a\\'b', $x$secret$x$", "SELECT E'…', '…'"),
        ('ALTER TABLE "a;b" ADD c int', 'ALTER TABLE "a;b" ADD c int'),
        ("SELECT 'not ended", "SELECT '…'"),
        ("SELECT '" + "x" * 5_000 + "secret'", "SELECT '…' …"),
        ("SELECT " + "a, " * 30, "SELECT " + "a, " * 17 + "…"),
        ("x" * 100, "x" * 60 + " …"),
        ('SELECT "\x1b[2J"', 'SELECT "[2J"'),
    ],
)
def test_the_first_words_without_what_strings_hold(statement: str, shown: str) -> None:
    assert excerpt(statement) == shown
