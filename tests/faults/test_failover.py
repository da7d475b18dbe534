"""A cluster named by several hosts: its primary dies, its standby does, and it has two of them."""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from dbopsd.db.errors import DatabaseError
from dbopsd.db.statement import Statement
from dbopsd.health.report import ServerRole
from dbopsd.health.report import State as Found
from tests.faults.conftest import Daemon, StartDaemon, State
from tests.faults.writing import CREATE, UNIQUE, first_write, write, writing
from tests.support.patience import eventually
from tests.support.replication import ReplicationPair, another_standby
from tests.support.servers import PostgresServers


def unwell(daemon: Daemon) -> dict[str, str]:
    """The checks that are not HEALTHY, with their reasons."""
    checks = daemon.report.checks
    return {each.check: each.reason for each in checks if each.state is not Found.HEALTHY}


PORT = Statement("SELECT inet_server_port()", "SELECT inet_server_port test")
STANDBY = Statement("SELECT pg_is_in_recovery()", "SELECT pg_is_in_recovery test")


async def test_writes_and_the_prober_follow_the_primary(
    start_daemon: StartDaemon, replication_pair: ReplicationPair
) -> None:
    pair = replication_pair
    pair.primary.execute(CREATE)
    pair.primary.execute(UNIQUE)
    pair.wait_until_caught_up()
    daemon = await start_daemon(pair.dsn())
    database = daemon.database
    assert (await daemon.get_health()).server_role == State.PRIMARY

    # While both are up, reads go to the standby and cannot write anywhere.
    async with database.session(read_only=True) as session:
        assert await session.fetch_one(STANDBY) == (True,)
        with pytest.raises(DatabaseError):
            await session.execute(Statement("CREATE TABLE nope ()", "CREATE TABLE nope"))
    async with database.session() as session:
        assert await session.fetch_one(STANDBY) == (False,)

    async with daemon.asked() as answers, writing(database) as writers:
        await eventually(lambda: len(writers.acknowledged) > 20)
        await asyncio.to_thread(pair.primary.kill)
        await eventually(
            lambda: daemon.check("writable").reason == "NO_PRIMARY", timeout=8, what="NO_PRIMARY"
        )
        health = await daemon.get_health()
        assert health.state == State.UNHEALTHY
        assert health.server_role == State.STANDBY
        assert not await daemon.serves("readiness")
        # Reads go on meanwhile.
        async with database.session(read_only=True) as session:
            assert await session.fetch_one(STANDBY) == (True,)
        # From the moment it is asked for: what is measured holds the promotion itself.
        promoted_at = time.monotonic()
        await asyncio.to_thread(pair.promote)
        await eventually(
            lambda: max(writers.acknowledged.values()) > promoted_at, timeout=5, what="a write"
        )
        took = min(at for at in writers.acknowledged.values() if at > promoted_at) - promoted_at
        await eventually(lambda: daemon.check("writable").value == 1, timeout=5)
        await eventually(lambda: daemon.report.server_role is ServerRole.PRIMARY)
        # One of the two hosts is gone, and that is all that is wrong.
        await eventually(lambda: unwell(daemon) == {"standbys": "STANDBY_GONE"})
    answers.check()
    kept = {key for key, at in writers.acknowledged.items() if at > promoted_at}
    rows = [row[0] for row in pair.standby.execute("SELECT key FROM written")]
    assert len(rows) == len(set(rows))
    assert kept <= set(rows)
    print(f"failover: first write {took:.2f} s after pg_promote() was asked for")


async def test_a_demoted_primary_gets_no_writes(
    start_daemon: StartDaemon, replication_pair: ReplicationPair, caplog: pytest.LogCaptureFixture
) -> None:
    pair = replication_pair
    pair.primary.execute(CREATE)
    pair.primary.execute(UNIQUE)
    pair.wait_until_caught_up()
    daemon = await start_daemon(pair.dsn(), min_size=3)
    await asyncio.gather(*(write(daemon.database) for _ in range(6)))
    await asyncio.to_thread(pair.primary.stop)
    await asyncio.to_thread(pair.promote)
    await first_write(daemon.database)
    # It comes back as what it must be until it is rebuilt: a server that takes no writes.
    (pair.primary.data_dir / "standby.signal").touch()
    await asyncio.to_thread(pair.primary.start)
    before = pair.primary.execute("SELECT count(*) FROM written")
    for _ in range(20):
        await write(daemon.database)
    assert daemon.database.pool_stats().size >= 1
    await asyncio.to_thread(pair.standby.terminate_backends)
    for _ in range(20):
        await write(daemon.database)
    assert pair.primary.execute("SELECT count(*) FROM written") == before
    await daemon.becomes(State.HEALTHY, timeout=5)
    ((count,),) = pair.standby.execute("SELECT count(*) FROM written")
    assert isinstance(count, int)
    assert count >= 46
    # A switchover is no split brain, however short the moment between the two primaries.
    assert "two primaries" not in caplog.text


async def test_reads_return_to_a_standby_that_was_away(
    start_daemon: StartDaemon, replication_pair: ReplicationPair
) -> None:
    pair = replication_pair
    database = (await start_daemon(pair.dsn(), min_size=2)).database

    async def reads_on() -> set[bool]:
        """Where several reads at once are, each of which is answered, by `pg_is_in_recovery()`."""

        async def read() -> bool:
            async with database.session(read_only=True) as session:
                row = await session.fetch_one(STANDBY)
                await asyncio.sleep(0.02)
            assert row is not None
            return bool(row[0])

        return set(await asyncio.gather(*(read() for _ in range(4))))

    async def on_primary() -> bool:
        return await reads_on() == {False}

    async def on_standby() -> bool:
        return await reads_on() == {True}

    assert await on_standby()
    await asyncio.to_thread(pair.standby.stop, "immediate")
    await eventually(on_primary, what="reads on the primary")
    await asyncio.to_thread(pair.standby.start)
    # A connection stays on the primary for 10 s before a standby is looked for; then the first
    # one that found it takes the others along.
    await eventually(on_standby, timeout=20, what="reads on the standby")


async def test_reads_are_spread_over_the_standbys(
    start_daemon: StartDaemon, replication_pair: ReplicationPair, servers: PostgresServers
) -> None:
    pair = replication_pair
    second = await asyncio.to_thread(another_standby, servers, pair)
    try:
        hosts = (pair.primary, pair.standby, second)
        dsn = pair.primary.dsn(
            host=",".join(server.host for server in hosts),
            port=",".join(str(server.port) for server in hosts),
        )
        database = (await start_daemon(dsn, max_size=20)).database
        # Each connection draws its standby: that all of 20 draw the same happens once in 500,000.
        async with AsyncExitStack() as stack:
            sessions = [
                await stack.enter_async_context(database.session(read_only=True)) for _ in range(20)
            ]
            ports = {await session.fetch_one(PORT) for session in sessions}
        assert ports == {(pair.standby.port,), (second.port,)}
    finally:
        await asyncio.to_thread(servers.discard, second)
