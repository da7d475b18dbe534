"""Migrations in databases with settings and encodings of their own, and where nothing is to do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dbopsd.migrate.versions.model.reports import Outcome
from tests.support.migration_site import MigrationSite, migration_site
from tests.support.recording import Recording
from tests.support.servers import PostgresServer


@pytest.fixture
async def site(
    tmp_path: Path, database_dsn: str, recording: Recording
) -> AsyncIterator[MigrationSite]:
    async with migration_site(tmp_path, database_dsn, recording.telemetry) as site:
        yield site


async def test_with_nothing_to_do_nothing_is_made(site: MigrationSite) -> None:
    reports = [
        await site.apply_unchecked(),
        await site.apply_unchecked(validate_only=True),
        await site.rollback_unchecked(),
        await site.rollback_unchecked(validate_only=True),
    ]
    assert [each.outcome for each in reports] == [Outcome.NOTHING_TO_DO] * 4
    assert site.ask("SELECT to_regnamespace('dbops')") == [None]
    site.write("001_a", "CREATE TABLE a ();", "DROP TABLE a;")
    await site.apply_unchecked()
    assert (await site.apply_unchecked(validate_only=True)).outcome is Outcome.NOTHING_TO_DO
    await site.rollback_unchecked()
    assert (await site.rollback_unchecked(validate_only=True)).outcome is Outcome.NOTHING_TO_DO


async def test_dates_are_in_files_as_the_database_has_them(site: MigrationSite) -> None:
    [name] = site.ask("SELECT current_database()")
    site.ask(f"""ALTER DATABASE "{name}" SET datestyle = 'SQL, DMY';
                 ALTER DATABASE "{name}" SET intervalstyle = 'iso_8601'""")
    insert = """INSERT INTO a SELECT '31/12/2024'::date, '31/12/2024'::date::text,
                interval '90 minutes'::text;"""
    site.write("001_a", f"CREATE TABLE a (at date, at_text text, took text);\n{insert}")
    site.write("002_b", f"-- dbops: transaction=off\n{insert}", "DELETE FROM a WHERE true;")
    await site.apply_unchecked()
    texts = site.ask("SELECT DISTINCT at_text, took, extract(year FROM at)::int FROM a")
    assert texts == [("31/12/2024", "PT1H30M", 2024)]
    assert len(await site.runs()) == 2
    await site.rollback_unchecked()


async def test_an_applier_that_falls_silent_holds_its_locks_for_seconds(
    site: MigrationSite,
) -> None:
    site.write(
        "001_a",
        """CREATE TABLE a AS SELECT name, setting::int FROM pg_settings
        WHERE name IN ('idle_in_transaction_session_timeout', 'tcp_user_timeout')""",
    )
    await site.apply_unchecked()
    assert site.ask("SELECT setting FROM a WHERE name ~ 'idle'") == [10_000]


@asynccontextmanager
async def _encoded(
    directory: Path, server: PostgresServer, encoding: str, recording: Recording
) -> AsyncIterator[MigrationSite]:
    # Not `test_…`: its statements do not stand in the server's log as the spans have them.
    name = f"encoded_in_{encoding}".lower()
    server.execute(
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' "
        "LOCALE_PROVIDER libc LOCALE 'C'"
    )
    try:
        dsn = server.dsn(dbname=name)
        async with migration_site(directory, dsn, recording.telemetry) as site:
            yield site
    finally:
        server.drop_database(name)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_a_database_of_another_encoding_is_migrated(
    tmp_path: Path, postgres: PostgresServer, encoding: str, recording: Recording
) -> None:
    async with _encoded(tmp_path, postgres, encoding, recording) as site:
        site.write("001_ä", "CREATE TABLE a AS SELECT 'ä'::text AS v;", "DROP TABLE a;")
        await site.apply()
        expected = {"LATIN1": 1, "SQL_ASCII": 2}[encoding]
        assert site.ask("SELECT octet_length(v) FROM a") == [expected]
        assert site.ask("SELECT octet_length(name) FROM dbops.migration_runs") == [expected]
        await site.rollback_unchecked()
        assert site.tables() == []


async def test_backslashes_are_read_as_they_were_checked(site: MigrationSite) -> None:
    [name] = site.ask("SELECT current_database()")
    site.ask(f'ALTER DATABASE "{name}" SET standard_conforming_strings = off')
    hidden = "INSERT INTO log VALUES ('\\'), (' ; commit; --');"
    site.write("001_a", "CREATE TABLE log (v text);")
    site.write("002_b", f"{hidden}\nSELECT 1/0;")
    site.write("003_c", hidden)
    off = "SELECT set_config('standard_conforming_strings', 'off', false);"
    site.write("004_d", f"-- dbops: transaction=off\n{off}\n{hidden}")
    await site.failure(site.apply_unchecked())
    assert site.ask("SELECT count(*) FROM log") == [0]
    site.write("002_b", "SELECT 1;")
    await site.apply_unchecked()
    assert site.ask("SELECT v FROM log ORDER BY v") == [" ; commit; --"] * 2 + ["\\"] * 2


async def test_an_index_with_an_invalid_part_is_not_applied(site: MigrationSite) -> None:
    site.ask("""CREATE TABLE p (id int, v int) PARTITION BY RANGE (id);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
        INSERT INTO p VALUES (1, 1), (2, 1)""")
    # What a build that was cut off leaves.
    site.ask("""CREATE INDEX p1_v_idx ON p1 (v);
        UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'p1_v_idx'::regclass""")
    for text in (
        "CREATE INDEX p_v ON p (v);",
        "-- dbops: transaction=off\nCREATE INDEX p_v ON p (v);",
    ):
        site.write("001_a", text)
        failed = await site.failure(site.apply_unchecked())
        assert 'index "public"."p_v" of "p" is invalid, for index "public"."p1_v_idx"' in str(
            failed.error
        )
        site.ask("DROP INDEX IF EXISTS p_v")
        site.ask("DELETE FROM dbops.migration_runs")
    site.ask("""DROP INDEX IF EXISTS p1_v_idx""")
    site.write("002_b", "CREATE INDEX p_only ON ONLY p (id);")
    await site.apply_unchecked()
    assert site.ask("SELECT indisvalid FROM pg_index WHERE indexrelid = 'p_v'::regclass") == [True]
