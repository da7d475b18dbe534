"""The fingerprint is the same on every major version, and after a dump is read again."""

import subprocess
from collections.abc import Callable

import pytest

from dbopsd.db.database import Database
from dbopsd.db.dedicated import dedicated_session
from dbopsd.db.dsn import Dsn
from dbopsd.migrate.versions.fingerprint.differences import differences
from dbopsd.migrate.versions.fingerprint.fingerprint import take_fingerprint
from dbopsd.migrate.versions.model.schema_object import FINGERPRINT_FORMAT
from tests.support.installations import VERSIONS
from tests.support.recording import Recording
from tests.support.schema_changes import EVERYTHING
from tests.support.servers import PostgresServer, PostgresServers

DIGESTS = {1: "3f2aca6b85"}
"""Of `EVERYTHING`, by the format: who changes the digest gives the format another number."""


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_schema_of_everything_has_one_digest_on_all_majors(
    servers: PostgresServers, version: int, recording: Recording
) -> None:
    server = servers.shared(version)
    name = server.create_database(EVERYTHING)
    async with dedicated_session(
        server.dsn(dbname=name),
        database="main",
        tracer=recording.telemetry.tracer,
        meter=recording.telemetry.meter,
    ) as session:
        taken = await take_fingerprint(session, ledger_schema="dbops")
    server.drop_database(name)
    assert taken.digest[:10] == DIGESTS[FINGERPRINT_FORMAT]


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
