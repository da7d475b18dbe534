"""Digests are read anew when, and only when, something in the catalogs has changed."""

from collections.abc import AsyncIterator

import pytest

from dbopsd.db.database import Database
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.fingerprint.catalog_state import catalog_state
from dbopsd.migrate.versions.fingerprint.fingerprint import take_fingerprint
from dbopsd.migrate.versions.fingerprint.known_digests import HowTaken, KnownDigests

START = (
    "CREATE TABLE t (id int PRIMARY KEY, name text)",
    "CREATE TABLE u (id int)",
    "CREATE SEQUENCE s",
    "CREATE TYPE mood AS ENUM ('well')",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE VIEW v AS SELECT id FROM t",
    "CREATE MATERIALIZED VIEW m AS SELECT id FROM t",
)
CHANGES = (
    "COMMENT ON TABLE t IS 'x'",
    "ALTER TABLE t ADD COLUMN a int",
    "ALTER TABLE t ALTER a SET DEFAULT 1",
    "ALTER TABLE t ALTER a SET NOT NULL",
    "ALTER TABLE t RENAME a TO b",
    "ALTER TABLE t DROP COLUMN b",
    "ALTER TABLE t ADD CHECK (id > 0) NOT VALID",
    "ALTER TABLE t VALIDATE CONSTRAINT t_id_check",
    "ALTER TABLE t SET (fillfactor = 50)",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY p ON t USING (true)",
    "ALTER POLICY p ON t USING (false)",
    "DROP POLICY p ON t",
    "CREATE INDEX i ON t (name)",
    "ALTER INDEX i RENAME TO j",
    "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
    "CREATE OR REPLACE VIEW v AS SELECT id + 0 AS id FROM t",
    "ALTER TYPE mood ADD VALUE 'ill'",
    "ALTER SEQUENCE s INCREMENT 2",
    "CREATE STATISTICS st ON id, name FROM t",
    "ALTER STATISTICS st SET STATISTICS 10",
    "ALTER TABLE t ALTER name SET STATISTICS 10",
    "GRANT SELECT ON t TO public",
    "CREATE SCHEMA other",
    "ALTER TABLE u SET SCHEMA other",
    "DROP TABLE other.u",
)
NO_CHANGES = (
    "INSERT INTO t SELECT n, 'x' FROM generate_series(1, 100) AS n",
    "SELECT nextval('s')",
    "ANALYZE t",
    "VACUUM t",
    "UPDATE t SET name = 'y'",
)


async def do(session: Session, text: str) -> None:
    await session.execute(Statement(text, "TEST"))


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Session]:
    async with database.dedicated_session(
        "write", application_name="dbopsd test", query_timeout_s=30.0
    ) as session:
        for text in START:
            await do(session, text)
        yield session


async def test_every_change_is_seen_and_no_use_is_taken_for_one(session: Session) -> None:
    state = await catalog_state(session)
    for text in CHANGES:
        await do(session, text)
        changed = await catalog_state(session)
        assert changed != state, text
        state = changed
    for text in NO_CHANGES:
        await do(session, text)
        assert await catalog_state(session) == state, text


async def test_a_digest_is_that_of_now(session: Session) -> None:
    digests, seen = KnownDigests(), set()
    for text in ("SELECT 1", "CREATE TABLE w ()", "DROP TABLE w", "SELECT 1"):
        await do(session, text)
        digest = await digests.digest(session, "main", HowTaken("dbops", 5.0, 1.0))
        assert digest == (await take_fingerprint(session, ledger_schema="dbops")).digest
        seen.add(digest)
    assert len(seen) == 2
