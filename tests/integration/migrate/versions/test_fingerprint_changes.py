"""What a fingerprint sees of a schema's changes, and what it takes for none."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from dbopsd.db.database import Database
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.fingerprint.differences import definition_differs, differences
from dbopsd.migrate.versions.fingerprint.fingerprint import take_fingerprint
from dbopsd.migrate.versions.model.reports import Aspect, Difference
from tests.support.schema_changes import EVERYTHING, SchemaChange, schema_changes
from tests.support.servers import PostgresServer


@pytest.fixture
async def session(
    make_database: Callable[..., str], open_database: Callable[..., Awaitable[Database]]
) -> AsyncIterator[Session]:
    """A session on a database with a schema of everything; catalogs may be written to."""
    dsn = make_database(EVERYTHING, options="-c allow_system_table_mods=on")
    database = await open_database(dsn)
    async with database.session() as session:
        yield session


async def found_after(
    session: Session, changes: list[SchemaChange]
) -> list[tuple[SchemaChange, tuple[Difference, ...]]]:
    """What differs after each of the changes alone."""
    before = await take_fingerprint(session, ledger_schema="public")
    found = []
    for change in changes:
        async with session.trial():
            await session.execute(Statement(change.sql, "CHANGE"))
            after = await take_fingerprint(session, ledger_schema="public")
        found.append((change, differences(before, after)))
        assert definition_differs(found[-1][1]) == (before.digest != after.digest), change
    assert await take_fingerprint(session, ledger_schema="public") == before
    return found


async def test_every_change_of_a_definition_is_seen(
    session: Session, postgres: PostgresServer
) -> None:
    changes = schema_changes("definitions")
    if postgres.version >= 18:
        changes += schema_changes("definitions_18")
    missed = [
        change
        for change, found in await found_after(session, changes)
        if (change.kind, change.identity, Aspect.DEFINITION)
        not in {(each.kind, each.identity, each.aspect) for each in found}
    ]
    assert missed == []
    assert len(changes) >= 70


async def test_changes_of_owners_and_privileges_are_seen_apart(session: Session) -> None:
    for change, found in await found_after(session, schema_changes("privileges")):
        assert {each.aspect for each in found} == {Aspect.OWNER_OR_GRANTS}, change
        assert (change.kind, change.identity) in {(each.kind, each.identity) for each in found}


async def test_what_changes_no_schema_is_no_difference(session: Session) -> None:
    found = await found_after(session, schema_changes("none"))
    assert [change for change, found in found if found] == []
    assert len(found) >= 15
