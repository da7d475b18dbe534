"""The prober: what it reports as a server comes, hangs and goes, and what that costs the server."""

import asyncio
import contextlib
import dataclasses
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dbopsd.db.database import Database
from dbopsd.health.check import Check, Measurement, Subject, load_checks
from dbopsd.health.prober import LOGIN_CHECK, REACHABLE_CHECK, Prober
from dbopsd.health.report import CheckResult, Report, ServerRole, State
from tests.integration.conftest import OpenDatabase
from tests.support.patience import eventually
from tests.support.proxy import Proxy
from tests.support.replication import ReplicationPair
from tests.support.servers import PostgresServer

CHECKS = (REACHABLE_CHECK, *load_checks())
Disposable = Callable[..., PostgresServer]


class Watched:
    """A running prober and every report that it published."""

    def __init__(
        self, database: Database, checks: tuple[Check, ...] = CHECKS, **options: float
    ) -> None:
        self.prober = Prober(database, checks, **options)
        self.reports = [self.prober.report()]
        self.task = asyncio.create_task(self.prober.run(self.reports.append))

    @property
    def now(self) -> Report:
        return self.reports[-1]

    @property
    def reachable(self) -> CheckResult:
        return self.now.checks[0]

    async def becomes(self, state: State, timeout: float = 10.0) -> Report:
        await eventually(lambda: self.now.state is state, timeout=timeout, what=state.value)
        return self.now

    async def probes(self) -> Report:
        """The first report that was published from now on."""
        count = len(self.reports)
        await eventually(lambda: len(self.reports) > count)
        return self.reports[count]

    async def cancel(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


@asynccontextmanager
async def watching(
    database: Database, checks: tuple[Check, ...] = CHECKS, **options: float
) -> AsyncIterator[Watched]:
    watched = Watched(database, checks, **options)
    try:
        yield watched
    finally:
        await watched.cancel()


@pytest.fixture
def fast() -> dict[str, float]:
    """A prober that probes ten times a second."""
    return {"interval_s": 0.1}


def backends(server: PostgresServer, application: str = "dbopsd-prober") -> int:
    ((count,),) = server.execute(
        f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{application}'"
    )
    assert isinstance(count, int)
    return count


async def test_it_begins_unknown_and_becomes_healthy(
    open_database: OpenDatabase, database_dsn: str, postgres: PostgresServer
) -> None:
    database = await open_database(database_dsn, health={"interval_s": 0.1})
    async with watching(database) as watched:
        first = watched.now
        assert first.state is State.UNKNOWN
        assert {result.state for result in first.checks} == {State.UNKNOWN}
        assert {result.reason for result in first.checks} == {"NOT_PROBED_YET"}
        assert (first.server_role, first.server_version, first.answered_at) == (None, "", None)
        report = await watched.becomes(State.HEALTHY)
        assert report.explanation == ""
        assert report.server_role is ServerRole.PRIMARY
        assert report.server_version.split(".")[0] == str(postgres.version)
        assert [result.check for result in report.checks] == [check.name for check in CHECKS]
        assert all(result.measured_at is not None for result in report.checks)
        assert watched.reachable.value is not None
        assert 0 < watched.reachable.value < 2
        later = await watched.probes()
        assert (later.answered_at or 0) > (report.answered_at or 0)
        # Nothing half-known was published between the two.
        assert {each.state for each in watched.reports[1:]} == {State.HEALTHY}
    assert await eventually(lambda: backends(postgres) == 0)


async def test_a_standby_is_reported_as_one(
    open_database: OpenDatabase, replication_pair: ReplicationPair
) -> None:
    database = await open_database(replication_pair.standby.dsn(), min_size=0)
    async with watching(database) as watched:
        report = await watched.becomes(State.HEALTHY)
        assert report.server_role is ServerRole.STANDBY
        await asyncio.to_thread(replication_pair.promote)
        await eventually(lambda: watched.now.server_role is ServerRole.PRIMARY)


async def test_a_terminated_session_is_made_anew_and_says_nothing_of_the_server(
    open_database: OpenDatabase,
    database_dsn: str,
    postgres: PostgresServer,
    fast: dict[str, float],
) -> None:
    database = await open_database(database_dsn, health=fast)
    async with watching(database) as watched:
        await watched.becomes(State.HEALTHY)
        for _ in range(5):
            before = len(watched.reports)
            assert await asyncio.to_thread(postgres.terminate_backends, "dbopsd-prober") == 1
            await eventually(lambda before=before: len(watched.reports) > before + 1)
        assert {each.state for each in watched.reports[1:]} == {State.HEALTHY}
        assert backends(postgres) == 1


async def test_a_hung_server_has_one_connection_and_one_probe_of_ours(
    open_database: OpenDatabase,
    disposable_server: Disposable,
    make_proxy: Callable[[str, int], Proxy],
) -> None:
    server = disposable_server()
    proxy = make_proxy(server.host, server.port)
    dsn = server.dsn(host=proxy.host, port=proxy.port)
    database = await open_database(dsn, min_size=0, connect_timeout_s=2, health={"interval_s": 0.1})
    async with watching(database, give_up_s=1.5) as watched:
        await watched.becomes(State.HEALTHY)
        assert (proxy.opened, proxy.open) == (1, 1)
        probed = _probes(server)
        seen = 0
        with server.paused():
            loop = asyncio.get_running_loop()
            started = loop.time()
            report = await watched.becomes(State.DEGRADED)
            assert report.checks[0].reason == "NO_ANSWER"
            assert 0.9 < loop.time() - started < 5
            # Past the time after which it gives the connection up, and tries others.
            while loop.time() - started < 9:
                seen = max(seen, established(proxy.port))
                await asyncio.sleep(0.05)
            assert watched.now.state is State.UNHEALTHY
        assert seen == 1
        # Given up after 2.5 s, then an attempt each 2 s and a little.
        assert proxy.opened <= 6
        await watched.becomes(State.HEALTHY)
        assert _probes(server) - probed <= 5
        await eventually(lambda: backends(server) == 1)


def established(port: int) -> int:
    """How many connections this machine has to `port` and did not close, answered or not."""
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    ends = [line.split()[2:4] for line in lines]
    return sum(state == "01" and int(remote.split(":")[1], 16) == port for remote, state in ends)


def _probes(server: PostgresServer) -> int:
    logged = server.statements_logged("dbopsd-prober")
    return sum("server_version" in statement.text for statement in logged)


async def test_a_server_that_hangs_is_reported_while_it_does_and_after(
    open_database: OpenDatabase, disposable_server: Disposable
) -> None:
    server = disposable_server()
    database = await open_database(server.dsn(), min_size=0)
    loop = asyncio.get_running_loop()
    async with watching(database) as watched:
        await watched.becomes(State.HEALTHY)
        with server.paused():
            started = loop.time()
            degraded = await watched.becomes(State.DEGRADED, 4)
            assert 0.9 < loop.time() - started < 5
            assert degraded.checks[0].reason == "NO_ANSWER"
            assert degraded.answered_at is not None
            unhealthy = await watched.becomes(State.UNHEALTHY, 8)
            assert 4.9 < loop.time() - started < 10
            assert unhealthy.checks[0].reason == "NO_ANSWER"
            assert unhealthy.explanation.startswith("reachable: no answer for 5.")
            results = {result.check: result for result in unhealthy.checks}
            assert results["connections"].reason == "DATABASE_UNREACHABLE"
            # The daemon's own are made all the same, and the silence goes on being counted.
            pool = results["pool_use"]
            assert pool.state is State.HEALTHY
            await eventually(
                lambda: (
                    (watched.reachable.value or 0) > 6
                    and watched.now.checks[-1] is not None
                    and _measured(watched.now, "pool_use") > _measured(unhealthy, "pool_use")
                )
            )
        started = loop.time()
        await watched.becomes(State.HEALTHY)
        assert loop.time() - started < 5
    states = [report.state for report in watched.reports]
    order = [
        state for state, before in zip(states[1:], states, strict=False) if state is not before
    ]
    assert order == [State.HEALTHY, State.DEGRADED, State.UNHEALTHY, State.HEALTHY]


def _measured(report: Report, check: str) -> float:
    (at,) = [result.measured_at for result in report.checks if result.check == check]
    return at or 0.0


async def test_a_slow_answer_is_degraded_with_its_time(
    open_database: OpenDatabase, database_dsn: str, make_proxy: Callable[[str, int], Proxy]
) -> None:
    parameters = dict(part.split("=", 1) for part in database_dsn.split() if "=" in part)
    proxy = make_proxy("127.0.0.1", int(parameters["port"].strip("'")))
    database = await open_database(
        f"{database_dsn} host={proxy.host} port={proxy.port}", min_size=0
    )
    often = tuple(check for check in CHECKS if check.every_s >= 10)
    async with watching(database, (REACHABLE_CHECK, *often)) as watched:
        await watched.becomes(State.HEALTHY)
        proxy.delay(0.6)
        await eventually(lambda: watched.reachable.reason == "SLOW_ANSWER", timeout=15)
        assert watched.now.state is State.DEGRADED
        assert watched.reachable.value is not None
        assert 1.1 < watched.reachable.value < 3
        proxy.heal()
        await watched.becomes(State.HEALTHY)


async def test_it_recovers_from_a_stop_and_says_why_it_could_not_connect(
    open_database: OpenDatabase, disposable_server: Disposable, fast: dict[str, float]
) -> None:
    server = disposable_server()
    database = await open_database(server.dsn(), health=fast)
    async with watching(database) as watched:
        await watched.becomes(State.HEALTHY)
        await asyncio.to_thread(server.stop)
        report = await watched.becomes(State.UNHEALTHY, 3)
        await eventually(lambda: watched.reachable.reason == "CONNECTION_REFUSED")
        results = {result.check: result for result in report.checks}
        assert results["writable"].state is State.UNKNOWN
        assert results["pool_use"].state is State.HEALTHY
        # Known from before, with its age.
        assert report.server_version
        assert report.answered_at is not None
        await asyncio.to_thread(server.start)
        loop = asyncio.get_running_loop()
        started = loop.time()
        await watched.becomes(State.HEALTHY)
        assert loop.time() - started < 5


async def test_a_prober_whose_check_breaks_goes_on(
    open_database: OpenDatabase, database_dsn: str, fast: dict[str, float]
) -> None:
    broken = True

    async def measure(_subject: Subject) -> Measurement:
        if broken:
            raise ZeroDivisionError
        return Measurement(0.0, "fine")

    database = await open_database(database_dsn, health=fast)
    check = Check(name="broken", unit="1", about="", reason="", measure=measure)
    async with watching(database, (REACHABLE_CHECK, check)) as watched:
        await eventually(lambda: watched.reachable.reason == "PROBER_FAILED")
        report = watched.now
        assert report.state is State.UNKNOWN
        assert "ZeroDivisionError" in report.explanation
        broken = False
        await watched.becomes(State.HEALTHY)


async def test_reconnecting_the_pools_does_not_hold_up_the_probes(
    open_database: OpenDatabase, database_dsn: str, fast: dict[str, float]
) -> None:
    database = await open_database(database_dsn, health=fast)
    hung = asyncio.Event()

    async def reconnect() -> None:
        hung.set()
        await asyncio.sleep(60)

    database.reconnect = reconnect  # type: ignore[method-assign]
    async with watching(database) as watched:
        await watched.becomes(State.HEALTHY)
        watched.prober._lost = True
        await asyncio.wait_for(hung.wait(), 5)
        await watched.probes()
        await watched.probes()
        assert watched.now.state is State.HEALTHY


async def test_what_goes_on_beside_the_probes_may_fail_too(
    open_database: OpenDatabase, database_dsn: str, fast: dict[str, float]
) -> None:
    database = await open_database(database_dsn, health=fast)
    whole = database.reconnect

    async def reconnect() -> None:
        database.reconnect = whole  # type: ignore[method-assign]
        raise ZeroDivisionError

    database.reconnect = reconnect  # type: ignore[method-assign]
    async with watching(database) as watched:
        await watched.becomes(State.HEALTHY)
        watched.prober._lost = True
        await eventually(lambda: watched.reachable.reason == "PROBER_FAILED")
        await watched.becomes(State.HEALTHY)


@pytest.mark.parametrize("moment", ["idle", "hung", "connecting", "refused"])
async def test_cancelled_it_leaves_nothing_behind_and_is_prompt(
    open_database: OpenDatabase,
    disposable_server: Disposable,
    make_proxy: Callable[[str, int], Proxy],
    moment: str,
) -> None:
    server = disposable_server()
    proxy = make_proxy(server.host, server.port)
    database = await open_database(
        server.dsn(host=proxy.host, port=proxy.port), min_size=0, health={"interval_s": 0.1}
    )
    if moment == "connecting":
        server.pause()
    if moment == "refused":
        proxy.cut()
    watched = Watched(database)
    loop = asyncio.get_running_loop()
    match moment:
        case "idle":
            await watched.becomes(State.HEALTHY)
        case "hung":
            await watched.becomes(State.HEALTHY)
            server.pause()
            await watched.becomes(State.DEGRADED)
        case "connecting":
            await watched.becomes(State.DEGRADED)
        case "refused":
            await watched.becomes(State.UNHEALTHY)
    started = loop.time()
    await watched.cancel()
    assert loop.time() - started < 5
    assert [task for task in asyncio.all_tasks() if "Prober" in repr(task.get_coro())] == []
    server.resume()
    await eventually(lambda: established(proxy.port) == 0)
    await eventually(lambda: backends(server) == 0)


async def test_on_a_cluster_it_follows_the_primary(
    open_database: OpenDatabase, replication_pair: ReplicationPair
) -> None:
    pair = replication_pair
    database = await open_database(pair.dsn(), min_size=0, health={"interval_s": 0.1})
    async with watching(database) as watched:
        report = await watched.becomes(State.HEALTHY)
        assert report.server_role is ServerRole.PRIMARY
        await asyncio.to_thread(pair.primary.stop, "immediate")
        await eventually(lambda: watched.now.server_role is ServerRole.STANDBY, timeout=10)
        results = {result.check: result for result in watched.now.checks}
        assert results["reachable"].state is State.HEALTHY
        assert results["writable"].reason == "NO_PRIMARY"
        assert watched.now.state is State.UNHEALTHY
        # Looking for a primary elsewhere interrupts nothing.
        count = len(watched.reports)
        await asyncio.sleep(1.5)
        since = watched.reports[count:]
        assert {each.checks[0].state for each in since} == {State.HEALTHY}
        # The old primary comes back before anybody promotes the standby.
        await asyncio.to_thread(pair.primary.start)
        await eventually(lambda: watched.now.server_role is ServerRole.PRIMARY, timeout=10)
        await watched.becomes(State.HEALTHY)


async def test_new_logins_are_tried_beside_the_probes(
    open_database: OpenDatabase, disposable_server: Disposable, fast: dict[str, float]
) -> None:
    server = disposable_server()
    database = await open_database(server.dsn(), health=fast)
    often = dataclasses.replace(LOGIN_CHECK, every_s=0.2)
    async with watching(database, (REACHABLE_CHECK, often)) as watched:
        await watched.becomes(State.HEALTHY)
        assert watched.now.checks[1].value is not None
        # The sessions that there are go on; a new one is not answered.
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            report = await watched.becomes(State.UNHEALTHY)
            assert report.checks[0].state is State.HEALTHY
            assert report.checks[1].reason == "CONNECT_TIMEOUT"
        finally:
            os.kill(server.pid, signal.SIGCONT)
        await watched.becomes(State.HEALTHY)
