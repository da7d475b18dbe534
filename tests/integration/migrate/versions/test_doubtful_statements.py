"""Whether the catalog tells that a statement is done which is about no relation."""

import pytest

from dbopsd.db.database import Database
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.apply.doubtful_statements import Verdict, look_up
from dbopsd.migrate.versions.apply.statement_kinds import read_kind

SUBSCRIPTION = (
    "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false)",
    "ALTER SUBSCRIPTION s ADD PUBLICATION q WITH (refresh = false)",
    "ALTER SUBSCRIPTION s DROP PUBLICATION p WITH (refresh = false)",
    # Only then can it be dropped without its publisher.
    "ALTER SUBSCRIPTION s SET (slot_name = NONE)",
    "DROP SUBSCRIPTION s",
)
TABLESPACE = (
    "SET allow_in_place_tablespaces = on",
    "CREATE TABLESPACE {unique} LOCATION ''",
    "DROP TABLESPACE {unique}",
)
DATABASE = ("CREATE DATABASE {unique}", "DROP DATABASE {unique}")


@pytest.mark.parametrize(
    "statements", [SUBSCRIPTION, TABLESPACE, pytest.param(DATABASE, marks=pytest.mark.thorough)]
)
async def test_it_is_done_once_it_has_run(database: Database, statements: tuple[str, ...]) -> None:
    async with database.session() as session:
        unique = await session.fetch_one(
            Statement("SELECT 'doubtful_' || pg_backend_pid()", "SELECT")
        )
        assert unique is not None
        for statement in statements:
            text = statement.format(unique=unique[0])
            kind = read_kind(text)
            assert kind is not None
            assert await look_up(session, kind) is Verdict.NOT_DONE, text
            await session.execute(Statement(text, "test"))
            again = statement.startswith(("SET", "ALTER SUBSCRIPTION s SET"))
            assert await look_up(session, kind) is (Verdict.NOT_DONE if again else Verdict.DONE)


async def test_of_what_commits_by_itself_nobody_knows(database: Database) -> None:
    async with database.session() as session:
        assert await look_up(session, read_kind("CALL p()")) is Verdict.UNKNOWN
