"""The servers that other tests stand on do what their fixtures promise."""

from pathlib import Path

import psycopg
import pytest

from tests.support.patience import eventually_blocking
from tests.support.replication import ReplicationPair
from tests.support.servers import PostgresServer

SCHEMA = "CREATE TABLE one (id int PRIMARY KEY); INSERT INTO one VALUES (1)"


def test_the_version_is_the_one_asked_for(postgres: PostgresServer, postgres_version: int) -> None:
    ((number,),) = postgres.execute("SHOW server_version_num")
    assert int(str(number)) // 10000 == postgres_version == postgres.version


def test_databases_come_from_a_template_and_are_apart(make_database) -> None:
    first, second = make_database(SCHEMA), make_database(SCHEMA)
    with psycopg.connect(first) as connection:
        connection.execute("INSERT INTO one VALUES (2)")
    for dsn, count in ((first, 2), (second, 1), (make_database(SCHEMA), 1)):
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT count(*) FROM one").fetchone() == (count,)


def test_an_open_connection_does_not_keep_a_database(
    postgres: PostgresServer, make_database
) -> None:
    name = postgres.create_database()
    with psycopg.connect(postgres.dsn(dbname=name)) as connection:
        postgres.drop_database(name)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_the_log_has_each_statement_when_its_answer_comes(
    postgres: PostgresServer, database_dsn: str
) -> None:
    dsn = f"{database_dsn} application_name='watched'"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT 1,\n  2")
        connection.execute("SELECT %s::int", [3])
        connection.execute("CREATE TABLE copied (a int)")
        with connection.cursor().copy("COPY copied FROM STDIN") as copy:
            copy.write_row([1])
        pid = connection.info.backend_pid
        logged = postgres.statements_logged("watched", database=connection.info.dbname)
    assert [statement.text for statement in logged] == [
        "SELECT 1,\n  2",
        "SELECT $1::int",
        "CREATE TABLE copied (a int)",
        "COPY copied FROM STDIN",
    ]
    assert [statement.prepared for statement in logged] == [False, True, False, False]
    assert {statement.pid for statement in logged} == {pid}


def test_backends_are_terminated_by_name(postgres: PostgresServer, database_dsn: str) -> None:
    with (
        psycopg.connect(f"{database_dsn} application_name=victim") as victim,
        psycopg.connect(f"{database_dsn} application_name=bystander") as bystander,
    ):
        assert postgres.terminate_backends("victim") == 1
        assert bystander.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.errors.AdminShutdown):
            victim.execute("SELECT 1")


def test_a_disposable_server_pauses_dies_and_returns(disposable_server) -> None:
    server = disposable_server({"log_statement": "none"})
    server.execute("CREATE TABLE kept AS SELECT 1 AS a")
    with psycopg.connect(server.dsn()) as connection:
        with server.paused():
            states = [_state(pid) for pid in server.processes()]
            assert set(states) == {"T"}
        assert connection.execute("SELECT a FROM kept").fetchone() == (1,)
    server.kill()
    assert not server.running
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.dsn())
    server.start()
    assert server.execute("SELECT a FROM kept") == [(1,)]
    server.stop()
    assert server.processes() == []
    server.start()
    assert server.statements_logged() == []


def test_a_standby_follows_loses_its_link_and_is_promoted(
    replication_pair: ReplicationPair,
) -> None:
    pair = replication_pair
    pair.primary.execute("CREATE TABLE sent (a int)")
    pair.wait_until_caught_up()
    assert pair.standby.execute("SELECT count(*) FROM sent") == [(0,)]
    slots = pair.primary.execute("SELECT slot_name::text, active FROM pg_replication_slots")
    assert slots == [("standby", True)]

    pair.cut_link()
    pair.primary.execute("INSERT INTO sent VALUES (1)")
    eventually_blocking(
        lambda: pair.standby.execute("SELECT count(*) FROM pg_stat_wal_receiver") == [(0,)]
    )
    assert pair.standby.execute("SELECT count(*) FROM sent") == [(0,)]
    pair.heal_link()
    pair.wait_until_caught_up()
    assert pair.standby.execute("SELECT count(*) FROM sent") == [(1,)]

    pair.primary.kill()
    pair.promote()
    pair.standby.execute("INSERT INTO sent VALUES (2)")
    with psycopg.connect(pair.dsn(target_session_attrs="read-write")) as connection:
        assert connection.info.port == pair.standby.port


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
