"""Every check against real servers: what it finds when all is well, and its bad case made real."""

import asyncio
import contextlib
import dataclasses
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.db.dsn import Purpose
from dbopsd.db.statement import Statement
from dbopsd.health.check import Check, Measurement, Subject, load_checks, with_thresholds
from dbopsd.health.checks import storage
from dbopsd.health.prober import REACHABLE_CHECK, Prober
from dbopsd.health.report import CheckResult, Report, State, Thresholds
from tests.integration.conftest import OpenDatabase
from tests.support.patience import eventually
from tests.support.replication import ReplicationPair
from tests.support.servers import PostgresServer, PostgresServers

CHECKS = {check.name: check for check in load_checks()}
# What shows others' activity only to members of pg_read_all_stats, as pg_monitor is.
PRIVILEGED = {
    "connections",
    "idle_in_transaction",
    "longest_transaction",
    "replication_delay",
    "replication_receive_lag",
    "replication_replay_lag",
}
Disposable = Callable[..., PostgresServer]


async def measured(
    database: Database,
    name: str,
    *,
    purpose: Purpose = "write",
    thresholds: Thresholds | None = None,
    previous: CheckResult | None = None,
) -> CheckResult:
    """The result of one check, made on a connection like the prober's."""
    check = CHECKS[name]
    if thresholds is not None:
        check = dataclasses.replace(check, thresholds=thresholds)
    async with database.dedicated_session(
        purpose, application_name="dbopsd-prober", query_timeout_s=10
    ) as session:
        subject = Subject(
            session,
            database.pool_stats(),
            database.config.health,
            database.dsn.is_cluster,
            time.time(),
            previous,
        )
        return check.result(await check.measure(subject), at=time.time())


@asynccontextmanager
async def probing(
    database: Database, checks: tuple[Check, ...]
) -> AsyncIterator[Callable[[], Report]]:
    """The newest published report, as a function."""
    prober = Prober(database, (REACHABLE_CHECK, *checks))
    reports = [prober.report()]
    task = asyncio.create_task(prober.run(reports.append))
    try:
        yield lambda: reports[-1]
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def by_name(report: Report) -> dict[str, CheckResult]:
    return {result.check: result for result in report.checks}


@pytest.fixture
def connect() -> Iterator[Callable[[str], psycopg.Connection[tuple[Any, ...]]]]:
    """Autocommit connections that belong to some application, closed after the test."""
    made = []

    def make(dsn: str) -> psycopg.Connection[tuple[Any, ...]]:
        made.append(psycopg.connect(dsn, autocommit=True))
        return made[-1]

    yield make
    for connection in made:
        connection.close()


@pytest.mark.parametrize("membership", ["superuser", "pg_monitor"])
async def test_every_check_is_measured_and_finds_an_idle_server_well(
    open_database: OpenDatabase,
    make_database: Callable[..., str],
    make_role: Callable[..., dict[str, str]],
    membership: str,
) -> None:
    role = make_role(membership) if membership != "superuser" else {}
    database = await open_database(make_database(**role))
    results = {name: await measured(database, name) for name in CHECKS}
    # How full this machine's disk is does not matter here.
    disk = results.pop("storage")
    assert disk.value is not None
    assert 0 < disk.value <= 1
    for name, result in results.items():
        assert result.state is State.HEALTHY, (name, result)
        assert result.message
    assert results["connections"].value is not None
    assert 0 < results["connections"].value < 0.5
    assert results["transaction_id_age"].value is not None
    assert 0 <= results["transaction_id_age"].value < 0.01
    assert results["writable"].value == 1.0
    assert results["idle_in_transaction"].value == 0.0
    assert results["longest_transaction"].value == 0.0
    for name in ("replication_delay", "replication_receive_lag", "replication_replay_lag"):
        assert (results[name].value, results[name].message) == (None, "no standby is connected")


async def test_a_role_without_pg_monitor_makes_it_degraded_not_unhealthy(
    open_database: OpenDatabase,
    make_database: Callable[..., str],
    make_role: Callable[..., dict[str, str]],
) -> None:
    database = await open_database(make_database(**make_role()))
    async with probing(database, tuple(CHECKS.values())) as newest:
        await eventually(lambda: newest().state is State.DEGRADED)
        report = newest()
    unknown = {name for name, each in by_name(report).items() if each.state is State.UNKNOWN}
    assert unknown == PRIVILEGED
    for name in PRIVILEGED:
        result = by_name(report)[name]
        assert (result.reason, result.value) == ("PERMISSION_MISSING", None)
    assert "pg_monitor" in report.explanation
    assert by_name(report)["storage"].value is None
    assert "storage_limit" in by_name(report)["storage"].message


async def test_connections_near_the_limit(
    open_database: OpenDatabase, disposable_server: Disposable, connect: Callable[[str], Any]
) -> None:
    server = disposable_server({"max_connections": 13, "superuser_reserved_connections": 3})
    database = await open_database(server.dsn(), min_size=0)
    before = await measured(database, "connections")
    assert (before.value, before.state) == (0.1, State.HEALTHY)
    for _ in range(6):
        connect(server.dsn())
    near = await measured(database, "connections")
    assert near.value == pytest.approx(0.7)
    assert (near.state, near.reason) == (State.DEGRADED, "CONNECTIONS_NEAR_LIMIT")
    assert near.message == "7 of 10 connections are taken"
    for _ in range(2):
        connect(server.dsn())
    assert (await measured(database, "connections")).state is State.UNHEALTHY


async def test_connections_kept_for_some_roles_are_not_counted_as_available(
    open_database: OpenDatabase, disposable_server: Disposable, postgres_version: int
) -> None:
    settings = {"max_connections": 13, "superuser_reserved_connections": 3}
    available = 10
    if postgres_version >= 16:
        # Where reserved_connections came.
        settings["reserved_connections"] = 5
        available = 5
    database = await open_database(disposable_server(settings).dsn(), min_size=0)
    assert (await measured(database, "connections")).value == pytest.approx(1 / available)


async def test_a_session_that_idles_in_its_transaction(
    open_database: OpenDatabase,
    make_database: Callable[..., str],
    make_role: Callable[..., dict[str, str]],
    connect: Callable[[str], Any],
) -> None:
    dsn = make_database(application_name="forgetful")
    culprit = connect(dsn)
    database = await open_database(make_database(**make_role("pg_monitor")))
    for begin in (["BEGIN", "SELECT 1"], ["BEGIN", "SELECT 1/0"]):
        for statement in begin:
            with contextlib.suppress(psycopg.errors.DivisionByZero):
                culprit.execute(statement)
        low = Thresholds(0.1, 60)
        result = await eventually(lambda low=low: _past(database, "idle_in_transaction", low))
        assert (result.state, result.reason) == (State.DEGRADED, "IDLE_IN_TRANSACTION")
        assert f"backend {culprit.info.backend_pid} (forgetful)" in result.message
        long = await measured(database, "longest_transaction", thresholds=low)
        if begin[-1] == "SELECT 1/0":
            assert long.value == 0.0, "an aborted transaction holds nothing back"
        else:
            assert (long.state, long.reason) == (State.DEGRADED, "LONG_TRANSACTION")
            assert f"backend {culprit.info.backend_pid} (forgetful)" in long.message
        culprit.execute("ROLLBACK")
        for name in ("idle_in_transaction", "longest_transaction"):
            assert (await measured(database, name)).value == 0.0


async def _past(database: Database, name: str, thresholds: Thresholds) -> CheckResult | None:
    result = await measured(database, name, thresholds=thresholds)
    return result if result.state is not State.HEALTHY else None


async def test_a_threshold_from_the_configuration_is_the_one_that_counts(
    open_database: OpenDatabase, database_dsn: str, connect: Callable[[str], Any]
) -> None:
    database = await open_database(
        database_dsn,
        health={
            "interval_s": 0.1,
            "thresholds": {"longest_transaction": {"warning": 0.01, "critical": 0.02}},
        },
    )
    often = dataclasses.replace(CHECKS["longest_transaction"], every_s=0.1)
    checks = with_thresholds((often,), database.config.health.thresholds, where="")
    connect(database_dsn).execute("BEGIN")
    async with probing(database, checks) as newest:
        await eventually(lambda: newest().state is State.UNHEALTHY)
    assert newest().explanation.startswith("longest_transaction: ")


async def test_a_prepared_transaction_counts_and_a_vacuum_does_not(
    open_database: OpenDatabase, disposable_server: Disposable, connect: Callable[[str], Any]
) -> None:
    server = disposable_server({"max_prepared_transactions": 2, "autovacuum": False})
    database = await open_database(server.dsn(), min_size=0)
    session = connect(server.dsn())
    session.execute("CREATE TABLE filled AS SELECT generate_series(1, 20000) AS number")
    # Some 10 ms for each of 90 pages, until it is cancelled.
    session.execute("SET vacuum_cost_limit = 1")
    session.execute("SET vacuum_cost_delay = 10")
    vacuum = asyncio.create_task(asyncio.to_thread(session.execute, "VACUUM (FREEZE) filled"))
    running = "SELECT count(*) FROM pg_stat_progress_vacuum"
    await eventually(lambda: server.execute(running) == [(1,)])
    long = await measured(database, "longest_transaction")
    assert server.execute(running) == [(1,)]
    assert (long.value, long.message) == (0.0, "no transaction is open")
    session.cancel()
    with contextlib.suppress(psycopg.errors.QueryCanceled):
        await vacuum
    server.execute("BEGIN; CREATE TABLE pending (); PREPARE TRANSACTION 'a\nforgotten one'")
    long = await measured(database, "longest_transaction")
    assert long.value is not None
    assert long.value > 0
    assert 'prepared transaction "a forgotten one"' in long.message


async def test_an_idle_slot_retains_wal_until_it_is_lost(
    open_database: OpenDatabase, disposable_server: Disposable
) -> None:
    server = disposable_server()
    database = await open_database(server.dsn(), min_size=0)
    assert (await measured(database, "replication_slots")).value is None
    # Reserves nothing and has no wal_status: it must not stand before one that is lost.
    server.execute("SELECT pg_create_physical_replication_slot('unused')")
    server.execute("SELECT pg_create_physical_replication_slot('forgotten', true)")
    assert (await measured(database, "replication_slots")).state is State.HEALTHY

    def write_wal(segments: int) -> None:
        for _ in range(segments):
            server.execute("SELECT pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()")

    await asyncio.to_thread(write_wal, 3)
    low = Thresholds(32 * 1024 * 1024, 1024**4)
    retained = await measured(database, "replication_slots", thresholds=low)
    assert (retained.state, retained.reason) == (State.DEGRADED, "SLOT_RETAINS_WAL")
    assert "'forgotten'" in retained.message
    assert "nobody reads from 2 of them" in retained.message
    server.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'")
    server.execute("SELECT pg_reload_conf()")
    await asyncio.to_thread(write_wal, 2)
    unreserved = await eventually(
        lambda: _with_reason(database, "replication_slots", "SLOT_UNRESERVED")
    )
    assert unreserved.state is State.DEGRADED
    server.execute("CHECKPOINT")
    lost = await eventually(lambda: _with_reason(database, "replication_slots", "SLOT_LOST"))
    # The primary itself goes on serving: no reason to take traffic from it.
    assert lost.state is State.DEGRADED
    assert "'forgotten'" in lost.message


async def _with_reason(
    database: Database, name: str, reason: str, purpose: Purpose = "write"
) -> CheckResult | None:
    result = await measured(database, name, purpose=purpose)
    return result if result.reason == reason else None


async def test_a_read_only_database(
    open_database: OpenDatabase, make_database: Callable[..., str], postgres: PostgresServer
) -> None:
    dsn = make_database()
    name = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]
    postgres.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    database = await open_database(dsn)
    result = await measured(database, "writable")
    assert (result.value, result.state, result.reason) == (0.0, State.DEGRADED, "READ_ONLY")


@pytest.mark.parametrize(
    ("limit", "state"),
    [("9MB", State.DEGRADED), ("1MB", State.UNHEALTHY), ("1TB", State.HEALTHY)],
)
async def test_a_database_near_its_configured_size(
    open_database: OpenDatabase, database_dsn: str, limit: str, state: State
) -> None:
    database = await open_database(database_dsn, health={"storage_limit": limit})
    result = await measured(database, "storage")
    assert result.state is state, result
    assert result.reason == ("" if state is State.HEALTHY else "STORAGE_NEAR_FULL")
    assert "of its limit of" in result.message


def test_the_same_path_on_another_machine_is_not_the_servers_disk(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    ((started_at,),) = postgres.execute(
        "SELECT floor(extract(EPOCH FROM pg_postmaster_start_time()))::bigint"
    )
    assert isinstance(started_at, int)
    assert storage._disk(postgres.data_dir, started_at) is not None
    assert storage._disk(postgres.data_dir, started_at + 100) is None
    assert storage._disk(tmp_path, started_at) is None


async def test_the_age_of_transaction_ids(
    open_database: OpenDatabase, database_dsn: str, postgres: PostgresServer
) -> None:
    database = await open_database(database_dsn)
    result = await measured(database, "transaction_id_age", thresholds=Thresholds(1e-9, 0.5))
    assert (result.state, result.reason) == (State.DEGRADED, "WRAPAROUND_NEAR")
    ((age,),) = postgres.execute("SELECT max(age(datfrozenxid)) FROM pg_database")
    assert isinstance(age, int)
    assert result.value == pytest.approx(age / (2**31 - 3_000_000), rel=0.2)


async def test_the_daemons_own_pool(open_database: OpenDatabase, database_dsn: str) -> None:
    database = await open_database(database_dsn, min_size=1, max_size=2, leak_after_s=0.2)
    async with database.session(), database.session():
        use = await measured(database, "pool_use")
        assert (use.value, use.state, use.reason) == (1.0, State.DEGRADED, "POOL_NEAR_LIMIT")
        waiter = asyncio.create_task(database.session().__aenter__())
        waiting = await eventually(lambda: _with_reason(database, "pool_waiting", "POOL_EXHAUSTED"))
        assert (waiting.value, waiting.state) == (1.0, State.DEGRADED)
        await eventually(lambda: database.pool_stats().leaked == 2)
        leaks = await measured(database, "pool_leaks")
        assert (leaks.value, leaks.state) == (2.0, State.DEGRADED)
        assert leaks.reason == "CONNECTION_LEAKED"
        assert "log" in leaks.message
        waiter.cancel()
        await asyncio.wait([waiter])
    for name in ("pool_use", "pool_waiting", "pool_leaks"):
        assert (await measured(database, name)).state is State.HEALTHY


async def test_replication_is_measured_apart_on_both_sides(
    open_database: OpenDatabase, replication_pair: ReplicationPair
) -> None:
    pair = replication_pair
    on_primary = await open_database(pair.primary.dsn(), min_size=0)
    on_standby = await open_database(pair.standby.dsn(), min_size=0)
    names = ("replication_receive_lag", "replication_replay_lag", "replication_delay")
    pair.primary.execute("CREATE TABLE written (number int)")
    pair.wait_until_caught_up()

    # All is well, and though nothing was committed for a while nothing is behind.
    for database in (on_primary, on_standby):
        for name in names:
            result = await eventually(lambda d=database, n=name: _about_zero(d, n), what=name)
            assert result.state is State.HEALTHY, result
    writable = await measured(on_standby, "writable")
    assert (writable.value, writable.state) == (0.0, State.HEALTHY)
    assert (await measured(on_standby, "transaction_id_age")).state is State.HEALTHY
    assert (await measured(on_standby, "replication_slots")).state is State.HEALTHY

    # Replay is paused: received all the same, not replayed, and older with every second.
    pair.standby.execute("SELECT pg_wal_replay_pause()")
    pair.primary.execute("INSERT INTO written SELECT generate_series(1, 10000)")
    replay = await eventually(lambda: _positive(on_standby, "replication_replay_lag"))
    assert (replay.state, replay.reason) == (State.DEGRADED, "REPLAY_PAUSED")
    received = await eventually(lambda: _zero(on_standby, "replication_receive_lag"))
    assert received.state is State.HEALTHY
    first = await measured(on_standby, "replication_delay")
    second = await measured(on_standby, "replication_delay")
    assert first.value is not None
    assert second.value is not None
    assert 0 < first.value < second.value
    seen = await eventually(lambda: _positive(on_primary, "replication_replay_lag"))
    assert seen.state is State.HEALTHY
    assert (await _zero(on_primary, "replication_receive_lag")) is not None

    # The last commit may be old only because nobody wrote: a delay grows no faster than the clock.
    known = dataclasses.replace(first, value=0.0, measured_at=time.time() - 0.01)
    bounded = await measured(on_standby, "replication_delay", previous=known)
    assert bounded.value is not None
    assert 0 < bounded.value < second.value

    # A delay that is meant is none.
    pair.standby.execute("ALTER SYSTEM SET recovery_min_apply_delay = '1h'")
    pair.standby.execute("SELECT pg_reload_conf()")
    meant = await eventually(lambda: _zero(on_standby, "replication_delay"))
    assert "3600 s of recovery_min_apply_delay" in meant.message


async def _zero(database: Database, name: str) -> CheckResult | None:
    result = await measured(database, name)
    return result if result.value == 0.0 else None


async def _about_zero(database: Database, name: str) -> CheckResult | None:
    # The lag that a walsender measured last stays in sight for a while, a few milliseconds.
    result = await measured(database, name)
    least = 1.0 if name == "replication_delay" else 1
    return result if result.value is not None and result.value < least else None


async def _positive(database: Database, name: str) -> CheckResult | None:
    result = await measured(database, name)
    return result if result.value is not None and result.value > 0 else None


@pytest.mark.parametrize("fault", ["cut", "freeze"])
async def test_a_standby_whose_link_is_gone_is_never_zero_behind(
    open_database: OpenDatabase, replication_pair: ReplicationPair, fault: str
) -> None:
    pair = replication_pair
    pair.standby.execute("ALTER SYSTEM SET wal_receiver_timeout = '1s'")
    pair.standby.execute("SELECT pg_reload_conf()")
    pair.primary.execute("CREATE TABLE written (number int)")
    pair.wait_until_caught_up()
    database = await open_database(pair.standby.dsn(), min_size=0)
    await eventually(lambda: _zero(database, "replication_delay"))
    getattr(pair.link, fault)()
    name = "replication_receive_lag"
    gone = await eventually(
        lambda: _with_reason(database, name, "WAL_RECEIVER_DISCONNECTED"), timeout=10
    )
    assert (gone.state, gone.value) == (State.DEGRADED, None)
    first = await measured(database, "replication_delay")
    second = await measured(database, "replication_delay")
    assert first.value is not None
    assert second.value is not None
    assert 0 < first.value < second.value
    pair.link.heal()
    healed = await eventually(lambda: _zero(database, name), timeout=10)
    assert healed.state is State.HEALTHY
    # Without a primary in its configuration it lives on an archive, which no link can cut.
    pair.standby.execute("ALTER SYSTEM SET primary_conninfo = ''")
    pair.standby.execute("SELECT pg_reload_conf()")
    archive = await eventually(lambda: _saying(database, name, "archive"))
    assert (archive.state, archive.value) == (State.HEALTHY, None)


async def _saying(database: Database, name: str, words: str) -> CheckResult | None:
    result = await measured(database, name)
    return result if words in result.message else None


async def test_a_standby_of_a_standby_is_as_well_as_any(
    open_database: OpenDatabase, replication_pair: ReplicationPair, servers: PostgresServers
) -> None:
    pair = replication_pair
    # Only so can a base backup be taken from a standby.
    pair.primary.execute("ALTER SYSTEM SET full_page_writes = on")
    pair.primary.execute("SELECT pg_reload_conf()")
    pair.primary.execute("CHECKPOINT")
    pair.wait_until_caught_up()
    pair.standby.execute("CHECKPOINT")
    third = await asyncio.to_thread(
        servers.standby, pair.standby, port=pair.standby.port, slot="cascade"
    )
    try:
        pair.primary.execute("CREATE TABLE written (number int)")
        for server in (pair.standby, third):
            database = await open_database(server.dsn(), min_size=0)
            for name in CHECKS:
                if name.startswith("replication") and name != "replication_slots":
                    result = await eventually(
                        lambda d=database, n=name: _about_zero(d, n), timeout=20, what=name
                    )
                    assert result.state is State.HEALTHY
            assert (await measured(database, "replication_slots")).state is State.HEALTHY
    finally:
        await asyncio.to_thread(servers.discard, third)


async def test_a_cluster_without_a_primary_says_so(
    open_database: OpenDatabase, replication_pair: ReplicationPair
) -> None:
    database = await open_database(replication_pair.dsn(), min_size=0)
    assert (await measured(database, "writable")).value == 1.0
    await asyncio.to_thread(replication_pair.primary.stop, "immediate")
    result = await measured(database, "writable", purpose="probe")
    assert (result.state, result.reason) == (State.UNHEALTHY, "NO_PRIMARY")


async def test_a_backup_that_streams_wal_is_no_standby(
    open_database: OpenDatabase, disposable_server: Disposable, tmp_path: Path
) -> None:
    server = disposable_server()
    database = await open_database(server.dsn(), min_size=0)
    receiver = subprocess.Popen(
        [server.bin_dir / "pg_receivewal", "-D", tmp_path, "-d", server.dsn()],
        stderr=subprocess.DEVNULL,
    )
    try:
        streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        await eventually(lambda: server.execute(streams) == [(1,)])
        await asyncio.to_thread(server.execute, "CREATE TABLE written AS SELECT 1 AS one")
        for name in ("replication_receive_lag", "replication_replay_lag", "replication_delay"):
            result = await measured(database, name)
            assert (result.value, result.state) == (None, State.HEALTHY), (name, result)
    finally:
        receiver.terminate()
        await asyncio.to_thread(receiver.wait)


async def test_a_check_that_waits_or_runs_for_too_long_does_not_hold_up_the_others(
    open_database: OpenDatabase, disposable_server: Disposable, connect: Callable[[str], Any]
) -> None:
    server = disposable_server()
    database = await open_database(server.dsn(), min_size=0)

    async def sleep(subject: Subject) -> Measurement:
        await subject.fetch_all(Statement("SELECT pg_sleep(60)", "SELECT pg_sleep"))
        raise AssertionError("the server ends it before")

    often = {name: dataclasses.replace(check, every_s=0.1) for name, check in CHECKS.items()}
    slow = Check(name="slow", unit="s", about="", reason="", measure=sleep)
    async with probing(database, (often.pop("transaction_id_age"), *often.values())) as newest:
        await eventually(lambda: newest().state is State.HEALTHY)
        locker = connect(server.dsn())
        locker.execute("BEGIN; LOCK TABLE pg_database IN ACCESS EXCLUSIVE MODE")
        await eventually(lambda: newest().state is State.DEGRADED)
        results = by_name(newest())
        locked = results["transaction_id_age"]
        assert (locked.state, locked.reason) == (State.UNKNOWN, "LOCK_TIMEOUT")
        for name in ("reachable", "writable", "pool_use"):
            assert results[name].state is State.HEALTHY
        locker.execute("ROLLBACK")
        await eventually(lambda: newest().state is State.HEALTHY)
    async with probing(database, (slow, CHECKS["connections"])) as newest:
        # The server ends it after 2 s, and the report was there all the time.
        await eventually(lambda: by_name(newest())["slow"].reason == "QUERY_CANCELED")
        await eventually(lambda: newest().state is State.DEGRADED)
        results = by_name(newest())
        assert results["connections"].state is State.HEALTHY
        assert results["reachable"].state is State.HEALTHY
