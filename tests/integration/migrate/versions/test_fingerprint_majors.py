"""The fingerprint is the same on every major version, and after a dump is read again."""

import subprocess
from collections.abc import Callable

import pytest

from dbopsd.db.database import Database
from dbopsd.db.dedicated import dedicated_session
from dbopsd.db.dsn import Dsn
from dbopsd.migrate.versions.fingerprint.differences import differences
from dbopsd.migrate.versions.fingerprint.fingerprint import take_fingerprint
from dbopsd.migrate.versions.model.schema_object import FINGERPRINT_FORMAT, Fingerprint
from tests.support.installations import VERSIONS
from tests.support.random_views import TABLES, random_view
from tests.support.recording import Recording
from tests.support.schema_changes import EVERYTHING
from tests.support.servers import PostgresServer, PostgresServers
from tests.support.soak import Soak

DIGESTS = {1: "3f2aca6b85"}
"""Of `EVERYTHING`, by the format: who changes the digest gives the format another number."""


async def fingerprint_on(server: PostgresServer, schema: str, recording: Recording) -> Fingerprint:
    """That of a new database with the schema."""
    name = server.create_database(schema)
    async with dedicated_session(
        server.dsn(dbname=name),
        database="main",
        tracer=recording.telemetry.tracer,
        meter=recording.telemetry.meter,
    ) as session:
        taken = await take_fingerprint(session, ledger_schema="dbops")
    server.drop_database(name)
    return taken


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_schema_of_everything_has_one_digest_on_all_majors(
    servers: PostgresServers, version: int, recording: Recording
) -> None:
    taken = await fingerprint_on(servers.shared(version), EVERYTHING, recording)
    assert taken.digest[:10] == DIGESTS[FINGERPRINT_FORMAT]


@pytest.mark.long_only
async def test_random_views_have_one_text_on_all_majors(
    servers: PostgresServers, recording: Recording, soak: Soak
) -> None:
    rng = soak.random()
    views = [random_view(rng) for _ in range(1000)]
    schema = TABLES + "".join(
        f"CREATE VIEW app.v{number} AS {view};\n" for number, view in enumerate(views)
    )
    newest, *others = [
        await fingerprint_on(servers.shared(version), schema, recording)
        for version in reversed(VERSIONS)
    ]
    for other in others:
        assert differences(newest, other) == ()


async def test_a_dump_that_is_read_again_has_the_digest_of_what_was_dumped(
    postgres: PostgresServer,
    database: Database,
    database_dsn: str,
    make_database: Callable[..., str],
) -> None:
    # pg_dump takes a language whose functions are the server's own for an extension.
    source = make_database(EVERYTHING + "DROP LANGUAGE own_language;")
    tools = postgres.bin_dir
    dumped = subprocess.run(
        [tools / "pg_dump", "--schema-only", "--dbname", source], capture_output=True, check=True
    )
    command = [tools / "psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", database_dsn]
    subprocess.run(command, input=dumped.stdout, stdout=subprocess.DEVNULL, check=True)
    async with database.session() as session:
        actual = await take_fingerprint(session, ledger_schema="dbops")
    async with database.dedicated_session(
        "write", application_name="tests", query_timeout_s=20, dsn=Dsn.parse("main", source)
    ) as session:
        expected = await take_fingerprint(session, ledger_schema="dbops")
    assert differences(expected, actual) == ()
