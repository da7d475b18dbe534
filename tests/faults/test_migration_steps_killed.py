"""Statements outside transactions whose server process is killed in the middle of them.

The next apply goes on by itself wherever the catalog tells what was done.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from dbopsd.migrate.versions.model.migration import State
from dbopsd.migrate.versions.plan.errors import MigrationInterrupted
from tests.support.killed_migrations import OFF
from tests.support.migration_site import MigrationSite, migration_site
from tests.support.recording import Recording
from tests.support.servers import PostgresServer

TABLE = "CREATE TABLE t (id int); CREATE INDEX i ON t (id)"
WRITER = "INSERT INTO t VALUES (1)"
PARTITIONS = (
    "CREATE TABLE p (id int) PARTITION BY RANGE (id);"
    "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (9)"
)
SUBSCRIPTION = (
    "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false);"
    "ALTER SUBSCRIPTION s SET (slot_name = NONE)"
)
OURS = (
    "SELECT 1 FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid"
    " WHERE d.datname = current_database()"
)
AT_WORK = """
SELECT pid FROM pg_stat_activity
WHERE application_name LIKE 'dbopsd migrate%' AND application_name <> 'dbopsd migrate watch'
AND datname = current_database() AND wait_event_type = 'Lock'
"""


@dataclass(frozen=True)
class Step:
    """A statement, what somebody does who is in its way, and what has a row once it is done."""

    statement: str
    before: str
    in_the_way: str
    done: str = ""


STEPS = (
    Step(
        "CREATE INDEX CONCURRENTLY n ON t (id)",
        TABLE,
        WRITER,
        "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('n') AND indisvalid",
    ),
    Step(
        "CREATE INDEX CONCURRENTLY ON t (id)",
        TABLE,
        WRITER,
        "SELECT 1 FROM pg_index WHERE indrelid = 't'::regclass"
        " HAVING count(*) = 2 AND bool_and(indisvalid)",
    ),
    Step("DROP INDEX CONCURRENTLY i", TABLE, WRITER, "SELECT 1 WHERE to_regclass('i') IS NULL"),
    Step(
        "REINDEX TABLE CONCURRENTLY t",
        TABLE,
        WRITER,
        "SELECT 1 FROM pg_index WHERE indrelid = 't'::regclass"
        " HAVING count(*) = 1 AND bool_and(indisvalid)",
    ),
    Step(
        "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY",
        PARTITIONS,
        "SELECT * FROM p",
        "SELECT 1 FROM pg_inherits HAVING count(*) = 0",
    ),
    Step("VACUUM t", TABLE, "LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE"),
    Step("CLUSTER", f"{TABLE}; CLUSTER t USING i", WRITER),
    Step(
        "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false)",
        "",
        "LOCK TABLE pg_subscription IN SHARE ROW EXCLUSIVE MODE",
        f"{OURS} HAVING count(*) = 1",
    ),
    Step(
        "DROP SUBSCRIPTION s",
        SUBSCRIPTION,
        "LOCK TABLE pg_subscription IN SHARE ROW EXCLUSIVE MODE",
        f"{OURS} HAVING count(*) = 0",
    ),
    Step(
        "CREATE DATABASE other",
        "",
        "LOCK TABLE pg_database IN SHARE ROW EXCLUSIVE MODE",
        "SELECT 1 FROM pg_database WHERE datname = 'other'",
    ),
    # It is that of the step before.
    Step(
        "DROP DATABASE other",
        "",
        "LOCK TABLE pg_database IN SHARE ROW EXCLUSIVE MODE",
        "SELECT 1 FROM pg_database WHERE datname = 'other' HAVING count(*) = 0",
    ),
    Step(
        "ALTER TYPE e ADD VALUE 'b'",
        "CREATE TYPE e AS ENUM ('a')",
        "LOCK TABLE pg_enum",
        "SELECT 1 FROM pg_enum HAVING count(*) = 2",
    ),
    Step(
        "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
        f"{TABLE}; CREATE MATERIALIZED VIEW v AS TABLE t; CREATE UNIQUE INDEX ON v (id)",
        "LOCK TABLE t",
    ),
)


async def cut_off(site: MigrationSite, step: Step) -> None:
    """SIGKILL of the server's process in the middle of the statement: all of them begin anew."""
    # The holder is ended too.
    with suppress(psycopg.OperationalError), psycopg.connect(site.dsn) as holder:
        holder.execute(step.in_the_way)  # type: ignore[arg-type]
        task = asyncio.create_task(site.failure(site.apply_unchecked()))
        await site.until(AT_WORK)
        for pid in site.ask(AT_WORK):
            os.kill(pid, signal.SIGKILL)
        await task
    await site.until("SELECT 1")


@pytest.mark.thorough
async def test_the_next_apply_goes_on_by_itself(
    disposable_server: Callable[[], PostgresServer], tmp_path: Path
) -> None:
    server = disposable_server()
    for number, step in enumerate(STEPS):
        dsn = server.dsn(dbname=server.create_database())
        async with migration_site(tmp_path / str(number), dsn, Recording().telemetry) as site:
            site.ask(step.before or "SELECT 1")
            # The statement before it is done for good.
            site.write("001_a", f"{OFF}CREATE TABLE before_it ();\n{step.statement};")
            await cut_off(site, step)
            report = await site.apply_unchecked()
            assert report.migrations[0].state is State.APPLIED, step.statement
            if step.done:
                assert site.ask(step.done) == [1], step.statement


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("statement", "looked_at"),
    [
        ("CALL p()", "look at what its procedure commits"),
        ("DO $$ BEGIN COMMIT; LOCK TABLE t; END $$", "look at what its block commits"),
    ],
)
async def test_what_commits_by_itself_names_its_statement(
    disposable_server: Callable[[], PostgresServer],
    tmp_path: Path,
    statement: str,
    looked_at: str,
) -> None:
    server = disposable_server()
    dsn = server.dsn(dbname=server.create_database())
    before = f"{TABLE}; CREATE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN COMMIT; LOCK TABLE t; END'"
    async with migration_site(tmp_path, dsn, Recording().telemetry) as site:
        site.ask(before)
        site.write("001_a", f"{OFF}CREATE TABLE before_it ();\n{statement};")
        await cut_off(site, Step(statement, before, WRITER))
        failed = await site.failure(site.apply_unchecked())
        assert isinstance(failed.error, MigrationInterrupted)
        first = statement.partition("$$")[0].strip()
        assert f"whether statement 2 in line 3 ({first}" in failed.error.message
        assert looked_at in failed.error.message
