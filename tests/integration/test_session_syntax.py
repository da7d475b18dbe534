"""Each server's own grammar is asked, and nothing of what it is asked about is run."""

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.db.syntax import SyntaxRefusal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-- nothing",
        "SELECT 1",
        "CREATE TABLE made (id int); COMMIT; CREATE TABLE made_again (id int);",
        "SELECT 100 % 3, '%s'; DROP DATABASE postgres; VACUUM",
        "SELECT not_there FROM nowhere",
        "COPY made FROM STDIN",
    ],
)
async def test_what_the_grammar_accepts_is_not_run(
    database: Database, database_dsn: str, text: str
) -> None:
    async with database.session() as session:
        assert await session.refused_syntax(text) is None
        assert session.usable
    with psycopg.connect(database_dsn) as connection:
        assert connection.execute("SELECT to_regclass('made')").fetchone() == (None,)


@pytest.mark.parametrize(
    ("text", "near", "position"),
    [
        ("SELEC 1", "SELEC", 0),
        ("SELECT 'ü€😀';\nCREATE TABEL t ()", "TABEL", 21),
        ("SELECT 'open", "'open", 7),
    ],
)
async def test_a_syntax_error_has_its_place_in_characters(
    database: Database, text: str, near: str, position: int
) -> None:
    async with database.session() as session:
        refusal = await session.refused_syntax(text)
    assert isinstance(refusal, SyntaxRefusal)
    assert near in refusal.message
    assert refusal.position == position


async def test_a_server_knows_what_its_version_knows(
    database: Database, postgres_version: int
) -> None:
    text = "CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a) VIRTUAL)"
    async with database.session() as session:
        refusal = await session.refused_syntax(text)
    assert (refusal is None) is (postgres_version >= 18)
