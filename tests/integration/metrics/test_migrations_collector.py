"""What the sampler sees of migrations, and in whose ledger it looks."""

from collections.abc import Callable
from pathlib import Path

import psycopg

from dbopsd.metrics.model import CollectorState
from dbopsd.metrics.server_facts import read_facts
from dbopsd.migrate.versions.check_migrations import check_migrations
from dbopsd.migrate.versions.model.requests import CheckMigrationsRequest
from tests.integration.conftest import OpenDatabase
from tests.support.migration_site import MigrationSite, migration_site
from tests.support.patience import eventually
from tests.support.recording import Recording
from tests.support.sampling import COLLECTORS, Sampled, sampling

MIGRATIONS = [each for each in COLLECTORS if each.name == "migrations"]
SCHEMA = "100% mine"
NONE = dict.fromkeys(("APPLIED", "BASELINED", "ADOPTED", "FAILED", "INTERRUPTED", "RUNNING"), 0.0)


async def sampled_once(site: MigrationSite) -> Sampled:
    """The samples of a sampler that begins now."""
    async with sampling(site.database, MIGRATIONS) as sampled:
        await eventually(sampled.all_ran)
        assert sampled.failures() == {}
        return sampled


def states(sampled: Sampled) -> dict[str, float]:
    """How many migrations of the one set are in each state."""
    found = sampled.series("dbops_migrations")
    return {state: value for (set_, state), value in found.items() if set_ == "default"}


async def test_states_the_last_run_and_drift_are_sampled(
    tmp_path: Path, make_database: Callable[..., str], recording: Recording
) -> None:
    dsn = make_database()
    async with migration_site(tmp_path, dsn, recording.telemetry, schema=SCHEMA) as site:
        sampled = await sampled_once(site)
        assert sampled.states() == {"migrations": CollectorState.NOT_APPLICABLE}
        assert sampled.status("migrations").reason == "LEDGER_MISSING"

        site.write("001_a", "CREATE TABLE a ()")
        await site.apply_unchecked()
        site.ask("CREATE TABLE by_hand ()")
        await check_migrations(site.run(), CheckMigrationsRequest(drift=True))
        sampled = await sampled_once(site)
        assert states(sampled) == {**NONE, "APPLIED": 1}
        assert sampled.value("dbops_migration_drifted_objects") == 1
        applied_at = sampled.value("dbops_migration_last_timestamp_seconds", "default")
        checked_at = sampled.value("dbops_migration_drift_check_timestamp_seconds")
        assert applied_at is not None
        assert checked_at is not None
        assert applied_at < checked_at

        site.write("002_b", "-- dbops: transaction=off\nCREATE TABLE b ();\nSELECT 1 / 0;")
        await site.failure(site.apply_unchecked())
        sampled = await sampled_once(site)
        assert states(sampled) == {**NONE, "APPLIED": 1, "INTERRUPTED": 1}
        # What it left is the schema from which drift is measured now.
        assert sampled.value("dbops_migration_drifted_objects") == 0
        failed_at = sampled.value("dbops_migration_last_timestamp_seconds", "default")
        assert failed_at is not None
        assert failed_at > checked_at

        # As a worker leaves it that was killed after the last statement.
        site.ask(f"UPDATE \"{SCHEMA}\".migration_runs SET fingerprint = '' WHERE version = '002'")
        assert (await sampled_once(site)).value("dbops_migration_drifted_objects") is None
        site.ask(
            f'UPDATE "{SCHEMA}".migration_runs SET fingerprint = digest '
            f"FROM \"{SCHEMA}\".schema_fingerprint WHERE version = '002'"
        )

        site.ask(
            f'ALTER TABLE "{SCHEMA}".schema_fingerprint DROP COLUMN drifted_objects,'
            " DROP COLUMN drift_checked_at"
        )
        sampled = await sampled_once(site)
        assert states(sampled)["INTERRUPTED"] == 1
        assert sampled.value("dbops_migration_drifted_objects") is None


async def test_only_a_ledger_is_read_that_is_allowed_and_nobody_made_for_it_to_be_read(
    make_role: Callable[..., dict[str, str]],
    tmp_path: Path,
    make_database: Callable[..., str],
    open_database: OpenDatabase,
    recording: Recording,
) -> None:
    dsn, watcher = make_database(), make_role("pg_monitor")

    async def found(**login: str) -> str:
        database = await open_database(psycopg.conninfo.make_conninfo(dsn, **login))
        async with database.session() as session:
            return (await read_facts(session, ledger_schema="dbops")).ledger_schema

    async with migration_site(tmp_path, dsn, recording.telemetry) as site:
        site.write("001_a", "CREATE TABLE a ()")
        await site.apply_unchecked()
        assert (await found(), await found(**watcher)) == ("dbops", "")
        site.ask(f"GRANT USAGE ON SCHEMA dbops TO {watcher['user']}")
        site.ask(f"GRANT SELECT ON ALL TABLES IN SCHEMA dbops TO {watcher['user']}")
        assert await found(**watcher) == "dbops"
        # Whoever owns the view may have put another one in its place.
        site.ask(f"ALTER VIEW dbops.migrations OWNER TO {watcher['user']}")
        assert (await found(), await found(**watcher)) == ("", "dbops")
        site.ask("ALTER VIEW dbops.migrations OWNER TO CURRENT_USER")
        site.ask(f"ALTER SCHEMA dbops OWNER TO {watcher['user']}")
        assert await found() == ""
        site.ask("ALTER SCHEMA dbops OWNER TO pg_database_owner")
        site.ask("ALTER VIEW dbops.migrations OWNER TO pg_database_owner")
        assert await found() == "dbops"
