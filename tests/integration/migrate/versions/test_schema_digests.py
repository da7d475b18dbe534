"""Digests that the server makes are equal exactly where the schemas are."""

from collections.abc import AsyncIterator

import pytest

from dbopsd.db.database import Database
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.fingerprint.schema_digests import SchemaDigests

MADE = (
    "CREATE SCHEMA s CREATE TABLE t (a int DEFAULT 1 CHECK (a > 0), b text) CREATE INDEX i ON t (b)"
)
# Of each: what changes a schema, and what undoes it.
CHANGES = {
    "ALTER TABLE s.t ADD c int": "ALTER TABLE s.t DROP c",
    "ALTER TABLE s.t ALTER a SET DEFAULT 2": "ALTER TABLE s.t ALTER a SET DEFAULT 1",
    "DROP INDEX s.i": "CREATE INDEX i ON s.t (b)",
    "GRANT SELECT ON s.t TO PUBLIC": "REVOKE SELECT ON s.t FROM PUBLIC",
    "CREATE VIEW s.v AS SELECT 1 AS one": "DROP VIEW s.v",
    "COMMENT ON COLUMN s.t.a IS 'x'": "COMMENT ON COLUMN s.t.a IS NULL",
}


async def do(session: Session, text: str) -> None:
    await session.execute(Statement(text, "TEST"))


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Session]:
    async with database.dedicated_session(
        "write", application_name="dbopsd test", query_timeout_s=30.0
    ) as session:
        await do(session, MADE)
        yield session


async def test_digests_are_equal_exactly_where_schemas_are(
    database: Database, session: Session
) -> None:
    async with database.dedicated_session(
        "write", application_name="dbopsd test", query_timeout_s=30.0
    ) as observer:
        digests = SchemaDigests(observer, "dbops")
        as_made = await digests.digest()
        for change, undo in CHANGES.items():
            await do(session, change)
            assert await digests.digest() not in ("", as_made), change
            await do(session, undo)
            assert await digests.digest() == as_made, undo
        await do(session, "ALTER TABLE s.t DROP a, ADD a int DEFAULT 1 CHECK (a > 0)")
        assert await digests.digest() != as_made, "the order of columns is another one"
        moved = await digests.digest()
        await do(session, "CREATE SCHEMA dbops CREATE TABLE migration_runs ()")
        assert await digests.digest() == moved, "the ledger is no part of it"


async def test_there_is_none_while_a_lock_is_in_the_way(
    database: Database, session: Session
) -> None:
    async with database.dedicated_session(
        "write", application_name="dbopsd test", query_timeout_s=30.0
    ) as observer:
        digests = SchemaDigests(observer, "dbops")
        await do(session, "CREATE VIEW s.v AS SELECT b FROM s.t")
        known = await digests.digest()
        async with session.transaction():
            await do(session, "LOCK TABLE s.t")
            assert await digests.digest() == ""
        assert await digests.digest() == known
