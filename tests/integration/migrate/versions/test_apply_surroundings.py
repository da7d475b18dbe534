"""Migrations in databases with settings and encodings of their own, and where nothing is to do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dbopsd.migrate.versions.apply import partitioned_indexes
from dbopsd.migrate.versions.apply.index_builds import all_builds
from dbopsd.migrate.versions.apply.statement_kinds import IndexBuild
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


async def test_what_others_left_invalid_is_no_failure_of_an_index_without_a_name(
    site: MigrationSite,
) -> None:
    site.write("001_a", "CREATE TABLE p (a int, b int) PARTITION BY LIST (a);")
    site.write("002_b", "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);")
    site.write("003_c", "CREATE INDEX p_a_idx ON ONLY p (a);")
    site.write("004_d", "CREATE INDEX ON p (b);")
    site.write("005_e", "-- dbops: transaction=off\nCREATE INDEX ON p (b, a);")
    await site.apply_unchecked()
    # One that has an invalid part, too.
    site.ask("""CREATE INDEX p1_a_idx ON p1 (a);
        UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'p1_a_idx'::regclass;
        ALTER INDEX p_a_idx ATTACH PARTITION p1_a_idx""")
    site.write("006_f", "CREATE INDEX ON p ((a + b));")
    await site.apply_unchecked()
    # It takes an invalid index for its part itself.
    site.ask("""CREATE INDEX p1_old ON p1 ((a * b), b, a);
        UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'p1_old'::regclass""")
    for text in ("", "-- dbops: transaction=off\n"):
        site.write("007_g", f"{text}CREATE INDEX ON p ((a * b), b, a);")
        failed = await site.failure(site.apply_unchecked())
        assert 'is invalid, for index "public"."p1_old" of a part' in str(failed.error)
        site.ask("DELETE FROM dbops.migration_runs WHERE version = '007'")


async def test_an_index_is_looked_at_on_a_table_that_the_plan_itself_partitions(
    site: MigrationSite,
) -> None:
    site.ask("""CREATE TABLE p1 (a int NOT NULL, b int); CREATE INDEX bad ON p1 (b);
        UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'bad'::regclass""")
    table = "CREATE TABLE p (a int NOT NULL, b int) PARTITION BY LIST (a);"
    attach = "ALTER TABLE p ATTACH PARTITION p1 FOR VALUES IN (1);"
    index = "CREATE INDEX p_b ON p (b);"
    site.write("001_a", f"{table} {attach} {index}")
    failed = await site.failure(site.apply_unchecked())
    assert 'index "public"."p_b" of "p" is invalid' in str(failed.error)
    site.write("001_a", f"{table} {attach}")
    site.write("002_b", index)
    failed = await site.failure(site.apply_unchecked())
    assert 'index "public"."p_b" of "p" is invalid' in str(failed.error)
    assert site.tables() == ["p", "p1"]


async def test_no_text_is_read_while_its_locks_are_held(
    site: MigrationSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.ask("CREATE TABLE p (a int) PARTITION BY LIST (a)")
    locks: list[int] = []

    def reading(text: str) -> tuple[IndexBuild, ...]:
        locks.extend(site.ask("SELECT count(*) FROM pg_locks WHERE relation = 'p'::regclass"))
        return all_builds(text)

    monkeypatch.setattr(partitioned_indexes, "all_builds", reading)
    site.write("001_a", "CREATE INDEX p_a ON p (a);")
    await site.apply_unchecked()
    assert locks == [0]
