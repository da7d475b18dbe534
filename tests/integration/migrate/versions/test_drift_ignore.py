"""Objects that an application makes by itself, on a database that drift is measured of."""

from collections.abc import Callable
from pathlib import Path

import psycopg

from dbopsd.migrate.versions.check_migrations import check_migrations
from dbopsd.migrate.versions.model.requests import CheckMigrationsRequest
from dbopsd.migrate.versions.reader import MigrationReader
from tests.integration.migrate.versions.conftest import OpenMigrated
from tests.support.migration_site import migration_site
from tests.support.operation_run import OperationRun
from tests.support.recording import Recording

EVENTS = """
CREATE TABLE events (id bigint, at date, kind text) PARTITION BY RANGE (at);
CREATE INDEX ON events (id);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER note BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION note();
"""
MADE_BY_THE_APPLICATION = """
CREATE TABLE events_p1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
ALTER TABLE events_p1 ADD CHECK (kind <> ''), ADD PRIMARY KEY (id);
CREATE INDEX named_otherwise ON events_p1 (lower(kind));
CREATE STATISTICS counted ON id, kind FROM events_p1;
CREATE SEQUENCE numbers OWNED BY events_p1.id;
COMMENT ON INDEX named_otherwise IS 'for reports';
CREATE SCHEMA tenant_1 CREATE TABLE settings (k text PRIMARY KEY, v text);
"""
PATTERNS = ["public.events_p*", "tenant_*.*"]


async def test_what_applications_make_is_left_out_once_it_is_configured(
    open_migrated: OpenMigrated,
    make_database: Callable[..., str],
    tmp_path: Path,
    recording: Recording,
) -> None:
    dsn = make_database()
    async with migration_site(tmp_path, dsn, recording.telemetry) as site:
        site.write("001_events", EVENTS)
        await site.apply_unchecked()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(MADE_BY_THE_APPLICATION)
    ask = CheckMigrationsRequest(drift=True)

    strict = await open_migrated(dsn, tmp_path / "migrations")
    found = await check_migrations(OperationRun(strict, tmp_path), ask)
    assert not found.ok
    made = len(found.drift)
    assert made > 15
    assert (await MigrationReader({"main": strict}).list("main", "")).drifted

    lenient = await open_migrated(dsn, tmp_path / "migrations", drift_ignore=PATTERNS)
    reader = MigrationReader({"main": lenient})
    found = await check_migrations(OperationRun(lenient, tmp_path), ask)
    assert (found.ok, found.drift, found.drift_left_out) == (True, (), made)
    assert found.notes == (
        f"{made} objects differ and are no drift by databases.main.migrations.drift_ignore",
    )
    assert not (await reader.list("main", "")).drifted

    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE INDEX by_hand ON events (kind)")
    found = await check_migrations(OperationRun(lenient, tmp_path), ask)
    # The index of the partition that comes with it is left out, too.
    assert [(each.kind, each.identity) for each in found.drift] == [("index", "public.by_hand")]
    assert (found.ok, found.drift_left_out) == (False, made + 1)
    assert (await reader.list("main", "")).drifted

    async with migration_site(tmp_path, dsn, recording.telemetry, drift_ignore=PATTERNS) as site:
        site.write("002_more", "CREATE TABLE more ()")
        report = await site.apply_unchecked()
    assert report.notes == (
        "the schema had drifted since the last run, by 1 object: index public.by_hand",
    )
    # What is stored has all of them: where nothing is ignored, nothing has drifted either.
    assert not (await MigrationReader({"main": strict}).list("main", "")).drifted
