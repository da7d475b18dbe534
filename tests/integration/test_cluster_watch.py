"""The hosts of a cluster, watched: two that take writes, standbys that are gone, odd DSNs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from opentelemetry.metrics import NoOpMeter

from dbopsd.db.cluster_watch import ClusterWatch
from dbopsd.db.database import Database
from dbopsd.db.dsn import Dsn
from dbopsd.db.errors import DifferentClusters, SplitBrain
from dbopsd.db.session import Session
from dbopsd.db.spans import DatabaseTelemetry
from dbopsd.db.statement import Statement
from dbopsd.health.check import load_checks
from dbopsd.health.prober import REACHABLE_CHECK, Prober
from dbopsd.health.report import CheckResult, Report, State
from tests.integration.conftest import OpenDatabase
from tests.support.patience import eventually
from tests.support.proxy import Proxy
from tests.support.recording import Recording
from tests.support.replication import ReplicationPair, another_standby
from tests.support.servers import PostgresServer, PostgresServers

CHECKS = (REACHABLE_CHECK, *(check for check in load_checks() if check.of_hosts))
ONE = Statement("SELECT 1", "SELECT 1 test")
CREATE = "CREATE TABLE written (key text)"
INSERT = Statement("INSERT INTO written VALUES ('x')", "INSERT written")
FAST = {"interval_s": 0.2}
MakeProxy = Callable[[str, int], Proxy]


class Probed:
    """A running prober's newest report."""

    def __init__(self, database: Database) -> None:
        prober = Prober(database, CHECKS)
        self.report: Report = prober.report()
        self.task = asyncio.create_task(prober.run(self._publish))

    def _publish(self, report: Report) -> None:
        self.report = report

    def check(self, name: str) -> CheckResult:
        (found,) = [each for each in self.report.checks if each.check == name]
        return found

    async def healthy(self) -> None:
        await eventually(lambda: self.report.state is State.HEALTHY, timeout=20, what="HEALTHY")

    async def says(self, check: str, reason: str, timeout: float = 20.0) -> CheckResult:
        await eventually(lambda: self.check(check).reason == reason, timeout=timeout, what=reason)
        return self.check(check)


@asynccontextmanager
async def probed(database: Database) -> AsyncIterator[Probed]:
    found = Probed(database)
    try:
        yield found
    finally:
        found.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await found.task


def at(server: PostgresServer | Proxy, *others: PostgresServer | Proxy) -> dict[str, str]:
    """The DSN parameters that name these hosts."""
    servers = (server, *others)
    return {
        "host": ",".join(each.host for each in servers),
        "port": ",".join(str(each.port) for each in servers),
    }


def password(server: PostgresServer) -> str:
    return server.cluster.passfile.read_text().strip().rpartition(":")[2]


def rows(server: PostgresServer) -> int:
    ((count,),) = server.execute("SELECT count(*) FROM written")
    assert isinstance(count, int)
    return count


async def write(database: Database) -> None:
    async def work(session: Session) -> None:
        await session.execute(INSERT)

    await database.run(work, idempotent=True)


async def writes_go_on(database: Database) -> None:
    async def written() -> bool:
        try:
            await write(database)
        except Exception:
            return False
        return True

    await eventually(written, timeout=20, what="a write")


async def test_with_two_primaries_nothing_is_written_until_one_is_gone(
    open_database: OpenDatabase, replication_pair: ReplicationPair
) -> None:
    pair = replication_pair
    pair.primary.execute(CREATE)
    pair.wait_until_caught_up()
    database = await open_database(pair.dsn(), health=FAST)
    await write(database)
    pair.wait_until_caught_up()
    async with probed(database) as prober:
        await prober.healthy()
        async with database.session() as session:
            await session.execute(Statement("BEGIN", "BEGIN"))
            await session.end_transaction()
            with pytest.raises(SplitBrain):
                async with session.transaction():
                    await session.execute(INSERT)
                    await asyncio.to_thread(pair.promote)
                    await prober.says("primaries", "SPLIT_BRAIN")
            # Neither what was under way, nor what begins on a session that was lent before.
            with pytest.raises(SplitBrain):
                await session.execute(INSERT)
            with pytest.raises(SplitBrain):
                await session.execute_pipeline([(INSERT, None)])
            assert session.usable
        found = prober.check("primaries")
        assert (prober.report.state, found.state, found.value) == (
            State.UNHEALTHY,
            State.UNHEALTHY,
            2,
        )
        assert f"{pair.standby.host}:{pair.standby.port} (timeline 2, the newest)" in found.message
        with pytest.raises(SplitBrain) as caught:
            await write(database)
        assert not caught.value.transient
        with pytest.raises(SplitBrain):
            async with database.dedicated_session(
                "write", application_name="test", query_timeout_s=5
            ):
                pass
        with pytest.raises(SplitBrain):
            database.login(application_name="test")
        with pytest.raises(SplitBrain):
            async with database.session():
                pass
        async with database.session(read_only=True) as session:
            await session.execute(ONE)
        assert (rows(pair.primary), rows(pair.standby)) == (1, 1)

        await asyncio.to_thread(pair.primary.stop, "immediate")
        await writes_go_on(database)
        assert rows(pair.standby) == 2
        await prober.says("primaries", "")
        # The old primary comes back as it was.
        await asyncio.to_thread(pair.primary.start)
        await prober.says("primaries", "SPLIT_BRAIN")
        with pytest.raises(SplitBrain):
            await write(database)


async def test_whoever_comes_during_a_split_brain_writes_nothing(
    open_database: OpenDatabase, replication_pair: ReplicationPair
) -> None:
    pair = replication_pair
    pair.primary.execute(CREATE)
    pair.wait_until_caught_up()
    await asyncio.to_thread(pair.promote)
    # As a worker does that has nothing to watch until it begins to write.
    for write_first in (write, write_outside_the_pool):
        database = await open_database(pair.dsn(), min_size=0)
        with pytest.raises(SplitBrain):
            await write_first(database)
    assert (rows(pair.primary), rows(pair.standby)) == (0, 0)


async def write_outside_the_pool(database: Database) -> None:
    async with database.dedicated_session(
        "write", application_name="test", query_timeout_s=5
    ) as session:
        await session.execute(INSERT)


async def test_a_short_cut_is_not_the_end_of_a_split_brain(
    open_database: OpenDatabase, replication_pair: ReplicationPair, make_proxy: MakeProxy
) -> None:
    pair = replication_pair
    pair.primary.execute(CREATE)
    pair.wait_until_caught_up()
    proxy = make_proxy(pair.standby.host, pair.standby.port)
    dsn = pair.primary.dsn(**at(pair.primary, proxy), password=password(pair.primary))
    database = await open_database(dsn, health=FAST, min_size=0)
    async with probed(database) as prober:
        await prober.healthy()
        await asyncio.to_thread(pair.promote)
        await prober.says("primaries", "SPLIT_BRAIN")
        await asyncio.to_thread(proxy.cut)
        cluster = database.cluster
        assert cluster is not None
        await eventually(lambda: cluster.view().hosts[1].gone)
        with pytest.raises(SplitBrain):
            await write(database)
        await writes_go_on(database)


async def test_work_that_writes_by_other_ways_is_ended(
    open_database: OpenDatabase, replication_pair: ReplicationPair
) -> None:
    pair = replication_pair
    database = await open_database(pair.dsn(), health=FAST, min_size=0)
    begun = asyncio.Event()

    async def work() -> None:
        async with database.guarded():
            begun.set()
            await asyncio.sleep(60)

    async def swallow() -> None:
        async with database.guarded():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    async def cancelled() -> None:
        async with database.guarded():
            await asyncio.sleep(60)

    tasks = [asyncio.create_task(each()) for each in (work, swallow, cancelled)]
    await begun.wait()
    tasks[2].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[2]
    await asyncio.to_thread(pair.promote)
    for task in tasks[:2]:
        with pytest.raises(SplitBrain):
            await asyncio.wait_for(task, 20)


async def test_work_that_ends_as_another_primary_appears_has_not_succeeded(
    open_database: OpenDatabase, replication_pair: ReplicationPair
) -> None:
    # Looked at too seldom to see it by itself.
    database = await open_database(replication_pair.dsn(), health={"interval_s": 3600}, min_size=0)
    with pytest.raises(SplitBrain):
        async with database.guarded():
            await asyncio.to_thread(replication_pair.promote)


async def test_a_host_that_hangs_holds_up_nothing(
    open_database: OpenDatabase, replication_pair: ReplicationPair, make_proxy: MakeProxy
) -> None:
    pair = replication_pair
    proxy = make_proxy(pair.standby.host, pair.standby.port)
    proxy.freeze()
    dsn = pair.primary.dsn(**at(proxy, pair.primary, pair.standby))
    database = await open_database(dsn, health=FAST, min_size=0)
    async with probed(database) as prober:
        found = await prober.says("standbys", "STANDBY_GONE")
        assert f"{proxy.port} does not answer for" in found.message
        assert found.value == 1
        await asyncio.to_thread(pair.promote)
        await prober.says("primaries", "SPLIT_BRAIN")


@pytest.mark.parametrize(
    "how",
    [
        *("cut", "hung"),
        pytest.param("frozen", marks=pytest.mark.thorough),
        pytest.param("stopped", marks=pytest.mark.thorough),
    ],
)
async def test_a_standby_is_gone_for_as_long_as_it_is_gone(
    open_database: OpenDatabase, replication_pair: ReplicationPair, how: str
) -> None:
    pair = replication_pair
    database = await open_database(pair.dsn(), health=FAST, min_size=0)
    ends: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "cut": (pair.cut_link, pair.heal_link),
        "frozen": (pair.link.freeze, pair.heal_link),
        "stopped": (lambda: pair.standby.stop("immediate"), pair.standby.start),
        "hung": (pair.standby.pause, pair.standby.resume),
    }
    begin, end = ends[how]
    async with probed(database) as prober:
        await prober.healthy()
        await asyncio.to_thread(begin)
        if how == "frozen":
            # Only what the primary writes shows that it does not arrive.
            await asyncio.to_thread(pair.primary.execute, "CREATE TABLE new ()")
        found = await prober.says("standbys", "STANDBY_GONE")
        assert (prober.report.state, found.value) == (State.UNHEALTHY, 1)
        problem = {
            "cut": "receives no WAL",
            "frozen": "has received nothing",
            "stopped": "is away",
            "hung": "does not answer",
        }
        assert f"{pair.standby.port} {problem[how]}" in found.message
        # Nothing of it is forgotten with time.
        for _ in range(30):
            assert prober.check("standbys").reason == "STANDBY_GONE"
            await asyncio.sleep(0.1)
        await asyncio.to_thread(end)
        await prober.healthy()


async def test_standbys_that_the_dsn_does_not_name_are_counted_on_the_primary(
    open_database: OpenDatabase, replication_pair: ReplicationPair, servers: PostgresServers
) -> None:
    pair = replication_pair
    second = await asyncio.to_thread(another_standby, servers, pair)
    try:
        database = await open_database(
            pair.primary.dsn(), health={**FAST, "expect_standbys": 2}, min_size=0
        )
        async with probed(database) as prober:
            await prober.healthy()
            await asyncio.to_thread(second.stop, "immediate")
            found = await prober.says("standbys", "STANDBY_GONE")
            assert (found.value, found.message) == (1, "1 of 2 standbys stream from the primary")
            await asyncio.to_thread(second.start)
            await prober.healthy()
    finally:
        await asyncio.to_thread(servers.discard, second)


async def test_a_role_without_rights_sees_all_but_the_count(
    open_database: OpenDatabase, replication_pair: ReplicationPair
) -> None:
    pair = replication_pair
    pair.primary.execute("CREATE ROLE weak LOGIN PASSWORD 'weak'")
    pair.wait_until_caught_up()
    login = {"user": "weak", "password": "weak", "passfile": "/dev/null"}
    database = await open_database(
        pair.dsn(**login), health={**FAST, "expect_standbys": 1}, min_size=0
    )
    async with probed(database) as prober:
        await prober.says("standbys", "PERMISSION_MISSING")
        assert prober.check("primaries").state is State.HEALTHY
        await asyncio.to_thread(pair.cut_link)
        await prober.says("standbys", "STANDBY_GONE")
        await asyncio.to_thread(pair.promote)
        await prober.says("primaries", "SPLIT_BRAIN")


async def test_two_names_of_one_server_are_one(
    open_database: OpenDatabase, postgres: PostgresServer
) -> None:
    # The server's password file knows one name only.
    dsn = postgres.dsn(
        host="127.0.0.1,localhost",
        port=f"{postgres.port},{postgres.port}",
        password=password(postgres),
    )
    database = await open_database(dsn, health=FAST, min_size=0)
    async with probed(database) as prober:
        await prober.healthy()
        assert prober.check("primaries").value == 1
        async with database.session() as session:
            await session.execute(ONE)


async def test_servers_of_two_clusters_get_no_writes(
    open_database: OpenDatabase,
    disposable_server: Callable[[], PostgresServer],
    servers: PostgresServers,
) -> None:
    first = disposable_server()
    # Those of one version are copies of each other, down to the identifier.
    second = servers.disposable(15 if first.version != 15 else 16)
    try:
        for server in (first, second):
            server.execute("CREATE ROLE same SUPERUSER LOGIN PASSWORD 'same'")
        dsn = first.dsn(user="same", password="same", **at(first, second))
        database = await open_database(dsn, health=FAST, min_size=0)
        async with probed(database) as prober:
            found = await prober.says("primaries", "DIFFERENT_CLUSTERS")
            assert found.value == 2
            with pytest.raises(DifferentClusters):
                await write(database)
    finally:
        await asyncio.to_thread(servers.discard, second)


@pytest.fixture
def watch_of(recording: Recording) -> Callable[..., ClusterWatch]:
    """`watch_of(dsn, resolve) -> ClusterWatch`."""

    async def no_addresses(_name: str) -> tuple[str, ...]:
        return ()

    def make(
        dsn: str,
        resolve: Callable[[str], Awaitable[tuple[str, ...]]] = no_addresses,
        linger_s: float = 30,
    ) -> ClusterWatch:
        telemetry = DatabaseTelemetry("main", recording.telemetry.tracer, NoOpMeter("test"))
        return ClusterWatch(
            Dsn.parse("main", dsn),
            telemetry,
            interval_s=0.1,
            connect_timeout_s=2,
            linger_s=linger_s,
            resolve=resolve,
        )

    return make


async def test_each_address_of_a_name_is_a_host_and_missed_once_it_has_answered(
    watch_of: Callable[..., ClusterWatch], replication_pair: ReplicationPair
) -> None:
    pair = replication_pair

    async def resolve(_name: str) -> tuple[str, ...]:
        return ("127.0.0.1", "127.9.9.9")

    dsn = pair.primary.dsn(host="db.test", password=password(pair.primary))
    watch = watch_of(dsn, resolve)
    try:
        async with watch.running():
            await eventually(lambda: watch.view().known and watch.view().hosts[-1].gone)
            view = watch.view()
            assert [host.name for host in view.hosts] == [
                f"db.test:{pair.primary.port} (127.0.0.1)",
                f"db.test:{pair.primary.port} (127.9.9.9)",
            ]
            assert [host.expected for host in view.hosts] == [True, False]
            assert view.missing == ()
            await asyncio.to_thread(pair.primary.stop, "immediate")
            await eventually(lambda: len(watch.view().missing) == 1)
    finally:
        await watch.close()


async def test_a_watch_that_begins_anew_believes_nothing_of_the_last_one(
    watch_of: Callable[..., ClusterWatch], replication_pair: ReplicationPair
) -> None:
    pair = replication_pair
    watch = watch_of(pair.dsn(), linger_s=0.5)
    try:
        await watch.admit()
        await eventually(lambda: not watch.watching)
        # Another primary appears while nobody looks.
        await asyncio.to_thread(pair.promote)
        with pytest.raises(SplitBrain):
            await watch.admit()
        await eventually(lambda: not watch.watching)
        # And so does its end.
        await asyncio.to_thread(pair.primary.stop, "immediate")
        await watch.admit()
    finally:
        await watch.close()


async def test_a_watch_that_nobody_needs_ends(
    watch_of: Callable[..., ClusterWatch], postgres: PostgresServer
) -> None:
    watch = watch_of(postgres.dsn(), linger_s=0.5)
    await watch.admit()
    connected = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dbopsd-hosts'"
    assert postgres.execute(connected) == [(1,)]
    await eventually(lambda: postgres.execute(connected) == [(0,)])
