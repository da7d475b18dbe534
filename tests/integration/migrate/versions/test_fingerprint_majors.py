"""The fingerprint is the same on every major version, whatever the session's settings are."""

from collections.abc import Awaitable, Callable

import pytest

from dbopsd.db.database import Database
from dbopsd.migrate.versions.fingerprint.fingerprint import take_fingerprint
from dbopsd.migrate.versions.model.schema_object import FINGERPRINT_FORMAT
from tests.support.installations import VERSIONS
from tests.support.schema_changes import EVERYTHING
from tests.support.servers import PostgresServers

DIGESTS = {1: "3afdcaf108"}
"""Of `EVERYTHING`, by the format: who changes the digest gives the format another number."""


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_schema_of_everything_has_one_digest_on_all_majors(
    servers: PostgresServers, version: int, open_database: Callable[..., Awaitable[Database]]
) -> None:
    server = servers.shared(version)
    name = server.create_database(EVERYTHING)
    database = await open_database(server.dsn(dbname=name))
    async with database.session() as session:
        taken = await take_fingerprint(session, ledger_schema="dbops")
    await database.close()
    server.drop_database(name)
    assert taken.digest[:10] == DIGESTS[FINGERPRINT_FORMAT]
