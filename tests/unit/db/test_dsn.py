"""A DSN taken apart, and the connection string for each purpose."""

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from dbopsd.db.dsn import Dsn, Purpose
from dbopsd.db.errors import InvalidDsn, PasswordFileUnreadable

SECRET = "hunter2"


def conninfo(dsn: Dsn, purpose: Purpose = "write", **settings: str) -> dict[str, object]:
    text = dsn.conninfo(purpose, application_name="dbopsd", connect_timeout_s=5, settings=settings)
    return dict(conninfo_to_dict(text))


@pytest.mark.parametrize(
    ("text", "hosts", "name"),
    [
        ("host=db user=me dbname=app", ("db:5432",), "app"),
        ("postgresql://me:hunter2@db:6432/app", ("db:6432",), "app"),
        ("host=a,b port=1,2 user=me", ("a:1", "b:2"), "me"),
        ("host=a,b port=7 user=me", ("a:7", "b:7"), "me"),
        ("host=/run/postgresql user=me", ("/run/postgresql",), "me"),
        ("user=me", ("local socket",), "me"),
    ],
)
def test_it_names_the_hosts_and_the_database(text: str, hosts: tuple[str, ...], name: str) -> None:
    dsn = Dsn.parse("main", text)
    assert (dsn.hosts, dsn.postgres_database) == (hosts, name)
    assert dsn.is_cluster == (len(hosts) > 1)


def test_hosts_one_by_one() -> None:
    dsn = Dsn.parse("main", "host=a,b,/run/x port=1,2,3 hostaddr=10.0.0.1,10.0.0.2, user=me")
    hosts = [(each.name, each.host, each.port, each.address) for each in dsn.each_host]
    assert hosts == [
        ("a:1", "a", "1", "10.0.0.1"),
        ("b:2", "b", "2", "10.0.0.2"),
        ("/run/x", "/run/x", "3", ""),
    ]
    first, _, socket = dsn.each_host
    parameters = dict(
        conninfo_to_dict(
            dsn.conninfo(
                "probe", application_name="x", connect_timeout_s=5, settings={}, host=first
            )
        )
    )
    given = {key: parameters.get(key) for key in ("host", "hostaddr", "port", "user")}
    assert given == {"host": "a", "hostaddr": "10.0.0.1", "port": "1", "user": "me"}
    assert "target_session_attrs" not in parameters
    assert not socket.is_name
    assert Dsn.parse("main", "hostaddr=10.0.0.1,10.0.0.2").each_host[1].address == "10.0.0.2"
    assert Dsn.parse("main", "user=me").each_host[0].name == "local socket"


def test_a_name_that_may_lead_to_several_servers() -> None:
    def may(text: str) -> bool:
        return Dsn.parse("main", text).may_have_standbys

    assert may("host=a,b")
    assert may("host=a target_session_attrs=read-write")
    assert not may("host=a target_session_attrs=any")
    assert not may("host=a")
    named = Dsn.parse("main", "host=db.example port=6").each_host[0]
    assert named.is_name
    assert (named.at("::1").name, named.at("::1").is_name) == ("db.example:6 (::1)", False)
    assert named.at("::1").is_of(named)
    assert not Dsn.parse("main", "host=127.0.0.1").each_host[0].is_name


def test_neither_its_repr_nor_a_text_that_quotes_it_shows_the_password() -> None:
    dsn = Dsn.parse("main", f"host=db password={SECRET}")
    assert SECRET not in repr(dsn)
    assert dsn.without_secrets(f"refused: {SECRET}") == "refused: ***"


def test_a_dsn_that_is_none_is_kept_and_says_so_without_being_quoted() -> None:
    dsn = Dsn.parse("main", f"postgresql://me:{SECRET}@[broken/app")
    assert dsn.hosts == ()
    with pytest.raises(InvalidDsn) as caught:
        conninfo(dsn)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "host=a,b hostaddr=127.0.0.1 port=1,2",
        "host=a,b,c port=1,2",
        "host=a port=0",
        "host=a sslmode=perhaps",
    ],
)
def test_what_libpq_would_refuse_at_every_connection_is_a_problem(text: str) -> None:
    assert Dsn.parse("main", text).problem


def test_settings_go_into_the_startup_packet_beside_the_users_own() -> None:
    dsn = Dsn.parse("main", "host=db options='-c search_path=app'")
    options = conninfo(dsn, statement_timeout="30000", application="a b\\c")["options"]
    assert options == ("-c search_path=app -c statement_timeout=30000 -c application=a\\ b\\\\c")


def test_one_host_is_taken_as_it_is_and_a_cluster_by_purpose() -> None:
    single = Dsn.parse("main", "host=db")
    assert "target_session_attrs" not in conninfo(single)
    cluster = Dsn.parse("main", "host=a,b")
    assert conninfo(cluster)["target_session_attrs"] == "read-write"
    assert conninfo(cluster, "probe")["target_session_attrs"] == "any"
    read = conninfo(cluster, "read")
    assert read["target_session_attrs"] == "prefer-standby"
    assert read["load_balance_hosts"] == "random"
    chosen = Dsn.parse("main", "host=a,b target_session_attrs=primary")
    assert conninfo(chosen)["target_session_attrs"] == "primary"


def test_the_dsns_own_parameters_win_over_defaults() -> None:
    parameters = conninfo(Dsn.parse("main", "host=db connect_timeout=9 keepalives_idle=60"))
    assert (parameters["connect_timeout"], parameters["keepalives_idle"]) == ("9", "60")
    assert parameters["application_name"] == "dbopsd"


def test_the_password_file_is_read_at_each_connection(tmp_path: Path) -> None:
    path = tmp_path / "password"
    dsn = Dsn.parse("main", "host=db", path)
    with pytest.raises(PasswordFileUnreadable) as caught:
        conninfo(dsn)
    assert str(path) in str(caught.value)
    path.write_text("one\n")
    assert conninfo(dsn)["password"] == "one"
    path.write_text("two")
    assert conninfo(dsn)["password"] == "two"
