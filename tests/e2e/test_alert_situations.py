"""Situations really made on a server: the rule fires for each, and for its look-alike it does not.

Times and sizes are cut down by the configuration; `tests/support/alert_cases.toml` has the real
ones.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping

import psycopg
import pytest
from dbops.v1 import metrics_pb2
from dbops_client import DbopsClient

from tests.e2e.conftest import database
from tests.support.daemon import Daemon
from tests.support.installations import DEFAULT_VERSION
from tests.support.patience import eventually_blocking
from tests.support.replication import ReplicationPair
from tests.support.servers import PostgresServer, PostgresServers

SOON_S = 30.0
CONFIG = """
[alerts]
interval_s = 1

[alerts.rules]
SessionsBlocked = { threshold = 2, for_s = 0 }
IdleInTransaction = { for_s = 0 }
PreparedTransactionForgotten = { threshold = 2 }
ReplicationCut = { for_s = 0 }
ReplicationSlotInactive = { threshold = 10_000_000, for_s = 0 }
WalArchivingFailing = { for_s = 0 }
Deadlocks = { threshold = 0 }
RollbacksHigh = { for_s = 0 }
PendingRestart = { for_s = 0 }
DatabaseDown = { for_s = 0 }
"""
DATABASE = """
metrics.interval_s = 1
health.thresholds.idle_in_transaction = { warning = 2, critical = 600 }
"""
SEQUENCES = """
CREATE SEQUENCE public.nearly_used AS integer;
SELECT setval('public.nearly_used', 2000000000);
CREATE SEQUENCE public.wide AS bigint;
SELECT setval('public.wide', 2000000000);
CREATE SEQUENCE public.goes_round AS integer CYCLE;
SELECT setval('public.goes_round', 2000000000);
CREATE TABLE public.t (id integer PRIMARY KEY, v integer);
INSERT INTO public.t VALUES (1, 0), (2, 0);
"""


class Watched:
    """A daemon and the one database that it judges."""

    def __init__(self, daemon: Daemon, server: PostgresServer) -> None:
        self.server = server
        self._client = DbopsClient(daemon.grpc_address)

    def firing(self, rule: str) -> list[Mapping[str, str]]:
        """The labels of each alert of the rule that fires."""
        found = self._client.alerts.list("main", states=["firing"])
        return [dict(each.labels) for each in found if each.rule == rule]

    def fires(self, rule: str) -> list[Mapping[str, str]]:
        """Wait for it, and return the labels."""
        return eventually_blocking(lambda: self.firing(rule), SOON_S, f"{rule} fires")

    def is_over(self, rule: str) -> None:
        eventually_blocking(lambda: not self.firing(rule), SOON_S, f"{rule} is resolved")

    def looks(self, collector: str, times: int = 3) -> None:
        """Wait until the collector has run so often, and what it found was judged."""
        seen: set[float] = set()

        def look() -> bool:
            found = self._client.metrics.get("main", metrics=["pg_up"])
            (status,) = [each for each in found.collectors if each.name == collector]
            assert status.state == metrics_pb2.CollectorStatus.OK, status
            seen.add(status.sample_time.ToNanoseconds())
            return len(seen) > times + 1

        eventually_blocking(look, SOON_S, f"{collector} has run {times} times")

    def connect(self, name: str = "app") -> psycopg.Connection:
        return psycopg.connect(self.server.dsn(application_name=name), autocommit=True)

    def close(self) -> None:
        self._client.close()


@contextlib.contextmanager
def watching(server: PostgresServer) -> Iterator[Watched]:
    with Daemon(CONFIG + database("main", server.dsn(), DATABASE)) as daemon:
        daemon.wait_until_serving()
        watched = Watched(daemon, server)
        with contextlib.closing(watched):
            watched.looks("blocked")
            yield watched


@pytest.fixture(scope="module")
def watched(servers: PostgresServers) -> Iterator[Watched]:
    server = servers.disposable(
        DEFAULT_VERSION,
        {
            "max_prepared_transactions": 10,
            "wal_level": "logical",
            "archive_mode": "on",
            "archive_command": "true",
            "deadlock_timeout": "100ms",
        },
    )
    server.execute(SEQUENCES)
    with watching(server) as found:
        yield found


def test_a_blocked_session(watched: Watched) -> None:
    with watched.connect() as one, watched.connect() as other:
        # Both hold the row's table, and neither waits.
        with one.transaction(), other.transaction():
            one.execute("LOCK TABLE public.t IN ROW EXCLUSIVE MODE")
            other.execute("LOCK TABLE public.t IN ROW EXCLUSIVE MODE")
            watched.looks("blocked")
            assert watched.firing("SessionsBlocked") == []
        with one.transaction():
            one.execute("LOCK TABLE public.t")
            waiting = threading.Thread(
                target=other.execute, args=("SELECT count(*) FROM public.t",)
            )
            waiting.start()
            try:
                assert watched.fires("SessionsBlocked") == [{}]
            finally:
                one.execute("COMMIT")
                waiting.join()
        watched.is_over("SessionsBlocked")


def test_a_session_that_is_idle_in_its_transaction(watched: Watched) -> None:
    with watched.connect() as idle, watched.connect() as busy:
        # Idle, and in no transaction; and in one, and not idle.
        idle.execute("SELECT 1")
        running = threading.Thread(target=busy.execute, args=("SELECT pg_sleep(4)",))
        running.start()
        running.join()
        watched.looks("sessions")
        assert watched.firing("IdleInTransaction") == []
        idle.execute("BEGIN")
        assert watched.fires("IdleInTransaction") == [{"check": "idle_in_transaction"}]
        idle.execute("COMMIT")
        watched.is_over("IdleInTransaction")


@pytest.mark.thorough
def test_a_forgotten_prepared_transaction(watched: Watched) -> None:
    with watched.connect() as connection:
        # One that is at once committed, as a transaction manager does it.
        for number in range(5):
            connection.execute("BEGIN; SELECT 1; PREPARE TRANSACTION 'done'")
            connection.execute("COMMIT PREPARED 'done'")
            if number == 4:
                watched.looks("prepared_xacts")
        assert watched.firing("PreparedTransactionForgotten") == []
        connection.execute("BEGIN")
        connection.execute("UPDATE public.t SET v = v WHERE id = 1")
        connection.execute("PREPARE TRANSACTION 'forgotten'")
        assert watched.fires("PreparedTransactionForgotten") == [{}]
        connection.execute("ROLLBACK PREPARED 'forgotten'")
    watched.is_over("PreparedTransactionForgotten")


def test_a_slot_that_nobody_reads(watched: Watched) -> None:
    create = "SELECT pg_create_physical_replication_slot('{}', true)"
    # Or it would keep back what came before it since the last checkpoint.
    watched.server.execute("CHECKPOINT")
    watched.server.execute(create.format("old"))
    watched.looks("replication_slots")
    assert watched.firing("ReplicationSlotInactive") == [], "it keeps nothing back"
    try:
        with watched.connect() as connection:
            connection.execute(
                "CREATE TABLE public.filler AS SELECT repeat('x', 500) AS x FROM"
                " generate_series(1, 60000)"
            )
            connection.execute("SELECT pg_switch_wal()")
        # Or the new one would keep back what came since the last checkpoint.
        watched.server.execute("CHECKPOINT")
        watched.server.execute(create.format("fresh"))
        # The new one keeps nothing back, and the old one does.
        assert [each["slot_name"] for each in watched.fires("ReplicationSlotInactive")] == ["old"]
    finally:
        for name in ("old", "fresh"):
            watched.server.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
                f" WHERE slot_name = '{name}'"
            )
    watched.is_over("ReplicationSlotInactive")


@pytest.mark.thorough
def test_deadlocks(watched: Watched) -> None:
    update = "UPDATE public.t SET v = v + 1 WHERE id = {}"
    with watched.connect() as one, watched.connect() as other:
        # A lock that is not got in time is none.
        with one.transaction():
            one.execute(update.format(1))
            other.execute("SET lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute(update.format(1))
            other.execute("RESET lock_timeout")
        watched.looks("stat_database")
        assert watched.firing("Deadlocks") == []
        one.execute("BEGIN")
        other.execute("BEGIN")
        one.execute(update.format(1))
        other.execute(update.format(2))

        def cross(connection: psycopg.Connection, number: int) -> None:
            with contextlib.suppress(psycopg.errors.DeadlockDetected):
                connection.execute(update.format(number))
            connection.execute("ROLLBACK")

        threads = [threading.Thread(target=cross, args=each) for each in ((one, 2), (other, 1))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    (labels,) = watched.fires("Deadlocks")
    assert labels["datname"] == "postgres"


def test_archiving_that_fails(
    watched: Watched, disposable_server: Callable[..., PostgresServer]
) -> None:
    def switch_wal(on: Watched) -> None:
        with on.connect() as connection:
            connection.execute("CREATE TABLE public.some_wal (); DROP TABLE public.some_wal")
            connection.execute("SELECT pg_switch_wal()")

    # Here it works, after it failed once.
    watched.server.execute("ALTER SYSTEM SET archive_command = 'false'")
    watched.server.execute("SELECT pg_reload_conf()")
    switch_wal(watched)
    watched.looks("stat_archiver")
    watched.server.execute("ALTER SYSTEM SET archive_command = 'true'")
    watched.server.execute("SELECT pg_reload_conf()")
    switch_wal(watched)
    watched.is_over("WalArchivingFailing")
    with watching(disposable_server({"archive_mode": "on", "archive_command": "false"})) as other:
        assert other.firing("WalArchivingFailing") == [], "there is nothing to archive"
        switch_wal(other)
        assert other.fires("WalArchivingFailing") == [{}]


@pytest.mark.thorough
def test_a_sequence_near_its_end(watched: Watched) -> None:
    (labels,) = watched.fires("SequenceNearEnd")
    # Neither the wide one nor the one that begins anew.
    assert labels["sequencename"] == "nearly_used"


@pytest.mark.thorough
def test_a_setting_that_waits_for_a_restart(watched: Watched) -> None:
    watched.server.execute("ALTER SYSTEM SET work_mem = '8MB'")
    watched.server.execute("SELECT pg_reload_conf()")
    watched.looks("settings_pending", 1)
    assert watched.firing("PendingRestart") == [], "it is in force already"
    watched.server.execute("ALTER SYSTEM SET max_connections = 150")
    watched.server.execute("SELECT pg_reload_conf()")
    try:
        assert watched.fires("PendingRestart") == [{}]
    finally:
        watched.server.execute("ALTER SYSTEM RESET max_connections")
        watched.server.execute("SELECT pg_reload_conf()")


def test_a_standby_that_is_cut_off(replication_pair: ReplicationPair) -> None:
    with watching(replication_pair.primary) as primary:
        replication_pair.wait_until_caught_up()
        primary.looks("replication_streams")
        assert primary.firing("ReplicationCut") == []
        replication_pair.cut_link()
        assert primary.fires("ReplicationCut") == [{}]
        replication_pair.heal_link()
        primary.is_over("ReplicationCut")


def test_a_server_that_hangs_and_one_that_restarts(
    disposable_server: Callable[..., PostgresServer],
) -> None:
    server = disposable_server()
    with watching(server) as watched:
        with watched.connect() as connection:
            connection.execute("BEGIN")
            assert watched.fires("IdleInTransaction")
            server.pause()
            try:
                assert watched.fires("DatabaseDown") == [{}]
                # What is not known is not over.
                assert watched.firing("IdleInTransaction")
            finally:
                server.resume()
            watched.is_over("DatabaseDown")
            assert watched.firing("IdleInTransaction")
            assert watched.firing("DatabaseRestarted") == [], "it only hung"
        watched.is_over("IdleInTransaction")
        server.stop()
        server.start()
        assert watched.fires("DatabaseRestarted") == [{}]
