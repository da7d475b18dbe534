"""The configuration: what is read from where, and what is said of what is wrong."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from dbopsd.app import check_config
from dbopsd.config import Config, DatabaseConfig, load_config, sections, split_listen_address
from dbopsd.errors import ConfigurationError
from dbopsd.reference import key_texts

SECRET = "hunter2-s3cr3t"

Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DBOPSD_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "dbopsd.toml"
        path.write_text(text)
        return path

    return write


def problem(path: Path | None = None) -> str:
    """What is said of the configuration: one line that begins with where it stands."""
    with pytest.raises(ConfigurationError) as caught:
        load_config(path)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert SECRET not in text
    assert caught.value.__cause__ is None, "a traceback would show the values"
    if path is not None:
        text = text.removeprefix(f"{path}: ")
    return text


def test_the_defaults() -> None:
    config = load_config()
    assert config.databases == {"main": DatabaseConfig()}
    assert config.embedded_name == "main"
    server = config.server
    assert (server.grpc_listen, server.http_listen) == ("127.0.0.1:50051", "127.0.0.1:8080")
    assert (server.shutdown_grace_s, server.max_message_bytes) == (10, 4 * 2**20)
    assert server.insecure_listen is False
    telemetry = config.telemetry
    assert (telemetry.otlp_endpoint, telemetry.otlp_protocol) == (None, "grpc")
    assert (telemetry.sample_ratio, telemetry.log_level, telemetry.log_format) == (
        1,
        "info",
        "text",
    )
    assert config.health.readiness_requires == "all"


def test_the_defaults_of_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBOPSD_DATABASES__MAIN__DSN", "dbname=app")
    (database,) = load_config().databases.values()
    pool = database.pool
    assert (pool.min_size, pool.max_size) == (2, 20)
    assert (pool.timeout_s, pool.query_timeout_s, pool.leak_after_s) == (30, 30, 60)
    assert (database.health.interval_s, database.health.storage_limit) == (1, None)
    assert database.health.thresholds == {}


def test_where_the_state_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert load_config().server.state_dir == Path("/var/lib/dbopsd")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert load_config().server.state_dir == Path("/home/ann/.local/state/dbopsd")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert load_config().server.state_dir == Path("/state/dbopsd")


def test_a_whole_file(write: Write) -> None:
    config = load_config(
        write(
            """
            [server]
            grpc_listen = "localhost:0"
            http_listen = "[::1]:8081"
            state_dir = "/srv/dbopsd"
            max_message_bytes = "1MiB"
            [telemetry]
            otlp_endpoint = "https://otel.example:4318/base"
            otlp_protocol = "http/protobuf"
            otlp_headers = { authorization = "Bearer x" }
            resource_attributes = { "deployment.environment.name" = "test" }
            [health]
            readiness_requires = "any"
            [databases.main]
            dsn = "host=a,b dbname=app"
            password_file = "/run/secrets/password"
            pool = { min_size = 0, max_size = 5 }
            [databases.main.health]
            storage_limit = "200GB"
            thresholds.connections = { warning = 0.6, critical = 0.8 }
            [databases.side-2]
            dsn = "postgresql://localhost/side"
            """
        )
    )
    assert config.server.max_message_bytes == 2**20
    assert config.server.state_dir == Path("/srv/dbopsd")
    assert config.telemetry.resource_attributes == {"deployment.environment.name": "test"}
    assert config.telemetry.otlp_headers == {"authorization": SecretStr("Bearer x")}
    main = config.databases["main"]
    assert main.dsn.get_secret_value() == "host=a,b dbname=app"
    assert (main.pool.min_size, main.pool.max_size, main.pool.timeout_s) == (0, 5, 30)
    assert main.health.storage_limit == 200 * 10**9
    thresholds = main.health.thresholds["connections"]
    assert (thresholds.warning, thresholds.critical) == (0.6, 0.8)
    assert list(config.databases) == ["main", "side-2"]


def test_the_environment_wins_key_by_key(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(
        """
        [server]
        shutdown_grace_s = 3
        max_message_bytes = 2048
        [databases.main]
        dsn = "dbname=file"
        [databases.main.pool]
        min_size = 1
        max_size = 9
        """
    )
    monkeypatch.setenv("DBOPSD_SERVER__SHUTDOWN_GRACE_S", "4")
    monkeypatch.setenv("DBOPSD_DATABASES__MAIN__DSN", "dbname=environment")
    monkeypatch.setenv("DBOPSD_DATABASES__MAIN__POOL__MAX_SIZE", "7")
    monkeypatch.setenv("DBOPSD_DATABASES__MAIN__HEALTH__THRESHOLDS__CONNECTIONS__WARNING", "0.5")
    monkeypatch.setenv("DBOPSD_DATABASES__OTHER__DSN", "dbname=other")
    monkeypatch.setenv("DBOPSD_TELEMETRY__OTLP_HEADERS", '{"x-key": "y"}')
    monkeypatch.setenv("DBOPSD_CONFIG", "/read/by/the/command/line")
    config = load_config(path)
    assert (config.server.shutdown_grace_s, config.server.max_message_bytes) == (4, 2048)
    main = config.databases["main"]
    assert main.dsn.get_secret_value() == "dbname=environment"
    assert (main.pool.min_size, main.pool.max_size) == (1, 7)
    assert main.health.thresholds["connections"].warning == 0.5
    assert sorted(config.databases) == ["main", "other"]
    assert config.telemetry.otlp_headers["x-key"].get_secret_value() == "y"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[sever]", "unknown key 'sever', did you mean 'server'?"),
        (
            "[server]\ngrpc_lisen = 'x'",
            "unknown key 'server.grpc_lisen', did you mean 'grpc_listen'?",
        ),
        (
            "[databases.main]\ndsn = ''\npol = 1",
            "unknown key 'databases.main.pol', did you mean 'pool'?",
        ),
        (
            "[databases.main]\ndsn = ''\npool.max_sise = 1",
            "unknown key 'databases.main.pool.max_sise', did you mean 'max_size'?",
        ),
        (
            "[databases.main]\ndsn = ''\nhealth.thresholds.x.warnin = 1",
            "unknown key 'databases.main.health.thresholds.x.warnin', did you mean 'warning'?",
        ),
        ("[databases.main]\ndsn = ''\nzzzz = 1", "unknown key 'databases.main.zzzz'"),
    ],
)
def test_an_unknown_key_and_what_was_meant(write: Write, text: str, says: str) -> None:
    assert problem(write(text)) == says


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[server]\ngrpc_listen = '127.0.0.1'", "server.grpc_listen"),
        ("[server]\ngrpc_listen = ':50051'", "server.grpc_listen"),
        ("[server]\nhttp_listen = 'localhost:65536'", "server.http_listen"),
        ("[server]\nhttp_listen = 'localhost:http'", "server.http_listen"),
        ("[server]\nhttp_listen = 8080", "server.http_listen"),
        ("[server]\nshutdown_grace_s = -1", "server.shutdown_grace_s"),
        ("[server]\nshutdown_grace_s = '10s'", "server.shutdown_grace_s"),
        ("[server]\nmax_message_bytes = '4 parsecs'", "server.max_message_bytes"),
        ("[server]\nmax_message_bytes = 1023", "server.max_message_bytes"),
        ("[server]\ninsecure_listen = 'perhaps'", "server.insecure_listen"),
        ("[telemetry]\nsample_ratio = 1.1", "telemetry.sample_ratio"),
        ("[telemetry]\notlp_timeout_s = 0", "telemetry.otlp_timeout_s"),
        ("[telemetry]\nmetrics_interval_s = inf", "telemetry.metrics_interval_s"),
        ("[telemetry]\nmetrics_interval_s = nan", "telemetry.metrics_interval_s"),
        ("[telemetry]\notlp_protocol = 'http'", "telemetry.otlp_protocol"),
        ("[telemetry]\notlp_endpoint = 'localhost:4317'", "telemetry.otlp_endpoint"),
        ("[telemetry]\nlog_level = 'trace'", "telemetry.log_level"),
        ("[telemetry]\nlog_format = 'xml'", "telemetry.log_format"),
        ("[health]\nreadiness_requires = 'most'", "health.readiness_requires"),
        ("[databases.main]\ndsn = 1", "databases.main.dsn"),
        ("[databases.main]\ndsn = ''\npool.min_size = -1", "databases.main.pool.min_size"),
        ("[databases.main]\ndsn = ''\npool.max_size = 1.5", "databases.main.pool.max_size"),
        ("[databases.main]\ndsn = ''\npool.timeout_s = 0", "databases.main.pool.timeout_s"),
        (
            "[databases.main]\ndsn = ''\npool.connect_timeout_s = 1",
            "databases.main.pool.connect_timeout_s",
        ),
        ("[databases.main]\ndsn = ''\nhealth.interval_s = 0", "databases.main.health.interval_s"),
        (
            "[databases.main]\ndsn = ''\nhealth.storage_limit = '1 heap'",
            "databases.main.health.storage_limit",
        ),
        (
            "[databases.main]\ndsn = ''\nhealth.thresholds.x.warning = -1",
            "databases.main.health.thresholds.x.warning",
        ),
    ],
)
def test_a_wrong_value_is_told_with_its_key(write: Write, text: str, key: str) -> None:
    assert problem(write(text)).startswith(f"'{key}': ")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "[databases.main.schedules.nightly]\nkind = 'x'",
            "'databases.main.schedules.nightly.cron' is missing",
        ),
        (
            "[databases.main]\n[databases.other]\n[databases.third]\ndsn = ''",
            (
                "'databases': 'main' and 'other' have no dsn, and only one database can be the "
                "embedded PostgreSQL: give the others a dsn"
            ),
        ),
        (
            "[databases.main]\npassword_file = '/run/secrets/x'",
            (
                "'databases.main': has a password_file and no dsn: add the dsn, or remove "
                "password_file to have the embedded PostgreSQL"
            ),
        ),
        (
            "[databases.main]\ndsn = ''\npool = { min_size = 9, max_size = 3 }",
            "'databases.main.pool': min_size 9 is above max_size 3",
        ),
        (
            "[databases.main]\ndsn = ''\nhealth.thresholds.x = { warning = 2, critical = 1 }",
            "'databases.main.health.thresholds.x': warning 2 is above critical 1",
        ),
        ("[server]\na = 1\nb = 2", "unknown key 'server.a'; unknown key 'server.b'"),
        (
            "[operations]\nheartbeat_s = 2\ntakeover_after_s = 7.9",
            "'operations': takeover_after_s is 7.9, below 4 times heartbeat_s, which is 2",
        ),
        (
            "[server]\ncontrol_url = 'postgresql://user@host'",
            "'server.control_url': names no database: postgresql://user@host/database",
        ),
        (
            "[server]\ncontrol_url = 'postgresql:///database'",
            "'server.control_url': names no host: postgresql://user@host/database",
        ),
    ],
)
def test_what_is_said(write: Write, text: str, says: str) -> None:
    assert problem(write(text)) == says


@pytest.mark.parametrize("name", ["Main", "1st", "a_b", "a-", "a" * 64, "", "a.b"])
def test_a_name_that_no_resource_may_have(write: Write, name: str) -> None:
    line = problem(write(f"[databases.{json.dumps(name)}]\ndsn = '{SECRET}'"))
    assert line.startswith(f"'databases': has the name '{name}'")


@pytest.mark.parametrize(
    "address", ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "db.example:1", "*:1", "localhost.evil:1"]
)
@pytest.mark.parametrize("key", ["grpc_listen", "http_listen"])
def test_beyond_loopback_only_when_told_so(write: Write, key: str, address: str) -> None:
    text = f"[server]\n{key} = '{address}'\n"
    line = problem(write(text))
    assert f"{key} = '{address}' is reachable" in line
    assert "insecure_listen = true" in line
    told = load_config(write(f"{text}insecure_listen = true"))
    assert getattr(told.server, key) == address


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.8.9.1:5", "localhost:80", "[::1]:65535"])
def test_loopback_needs_no_permission(write: Write, address: str) -> None:
    assert load_config(write(f"[server]\nhttp_listen = '{address}'")).server.http_listen == address


def test_one_database_without_a_dsn_is_the_embedded_one(write: Write) -> None:
    config = load_config(
        write("[databases.local.pool]\nmax_size = 3\n[databases.other]\ndsn = 'host=db'")
    )
    assert config.embedded_name == "local"
    assert [each.embedded for each in config.databases.values()] == [True, False]
    assert config.databases["local"].pool.max_size == 3
    assert load_config(write("[databases.other]\ndsn = 'host=db'")).embedded_name is None


def test_a_role_may_be_granted_on_the_embedded_database(write: Write) -> None:
    grant = "[auth.certificates.ci]\nrole = 'VIEWER'\ndatabases = {{ {} = 'ADMIN' }}\n"
    tls = "[server.tls]\ncert = 'c'\nkey = 'k'\nclient_ca = 'a'\n"
    load_config(write(tls + grant.format("main")))
    load_config(write(tls + grant.format("local") + "[databases.local]\n"))
    says = problem(write(tls + grant.format("main") + "[databases.local]\n"))
    assert "'main', which is no database here" in says


def test_an_address_taken_apart() -> None:
    assert split_listen_address("127.0.0.1:50051") == ("127.0.0.1", 50051)
    assert split_listen_address("[::1]:0") == ("::1", 0)


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ("DBOPSD_SERVERS__X", "DBOPSD_SERVERS__X: unknown key 'servers', did you mean 'server'?"),
        ("DBOPSD_XYZ", "DBOPSD_XYZ: unknown key 'xyz'"),
        ("DBOPSD_SERVER__X", "DBOPSD_SERVER__X: unknown key 'server.x'"),
        (
            "DBOPSD_DATABASES__MAIN__POL__MAX_SIZE",
            (
                "DBOPSD_DATABASES__MAIN__POL__MAX_SIZE: "
                "unknown key 'databases.main.pol', did you mean 'pool'?"
            ),
        ),
    ],
)
def test_an_unknown_variable(monkeypatch: pytest.MonkeyPatch, variable: str, says: str) -> None:
    monkeypatch.setenv(variable, SECRET)
    assert problem() == says


@pytest.mark.parametrize(
    ("file", "environment", "says"),
    [
        pytest.param(
            "[server]\nshutdown_grace_s = 1",
            {"SERVER__SHUTDOWN_GRACE_S": "-1"},
            "DBOPSD_SERVER__SHUTDOWN_GRACE_S: 'server.shutdown_grace_s': ",
            id="over a key of the file",
        ),
        pytest.param(
            "[server]\nshutdown_grace_s = -1",
            {"SERVER__WORKERS": "1"},
            "{file}: 'server.shutdown_grace_s': ",
            id="beside a key of the file",
        ),
        pytest.param(
            "",
            {"SERVER__GRPC_LISEN": "x"},
            "DBOPSD_SERVER__GRPC_LISEN: "
            "unknown key 'server.grpc_lisen', did you mean 'grpc_listen'?",
            id="unknown",
        ),
        pytest.param(
            "[server]\nworkers = -1",
            {"SERVER": '{"max_message_bytes": 1}'},
            "{file}: 'server.workers': Input should be greater than or equal to 0; "
            "DBOPSD_SERVER: 'server.max_message_bytes': ",
            id="each where it stands",
        ),
        pytest.param(
            "",
            {"SERVER": '{"workers": 1}', "SERVER__WORKERS": "-1"},
            "DBOPSD_SERVER__WORKERS: 'server.workers': ",
            id="the more exact wins",
        ),
        pytest.param(
            "[databases.main]\ndsn = ''\npool.max_size = 3",
            {"DATABASES__MAIN__POOL__MIN_SIZE": "9"},
            "{file} and DBOPSD_DATABASES__MAIN__POOL__MIN_SIZE: 'databases.main.pool': "
            "min_size 9 is above max_size 3",
            id="two keys that do not fit",
        ),
        pytest.param(
            "[databases.main.schedules.nightly]\nkind = 'x'",
            {"DATABASES__MAIN__SCHEDULES__NIGHTLY__TIME_ZONE": "UTC"},
            "{file}: 'databases.main.schedules.nightly.cron' is missing",
            id="missing in the file",
        ),
        pytest.param(
            "",
            {"DATABASES": '{"main": {"schedules": {"nightly": {"kind": "x"}}}}'},
            "DBOPSD_DATABASES: 'databases.main.schedules.nightly.cron' is missing",
            id="missing in a variable",
        ),
        pytest.param(
            "[server]\nworkers = 1",
            {"SERVER__HTTP_LISTEN": "0.0.0.0:80", "HEALTH__READINESS_REQUIRES": "any"},
            "{file}, DBOPSD_HEALTH__READINESS_REQUIRES and DBOPSD_SERVER__HTTP_LISTEN: "
            "server.http_listen = '0.0.0.0:80' is reachable",
            id="of everything",
        ),
        pytest.param(
            "",
            {
                "SERVER__HTTP_LISTEN": "0.0.0.0:80",
                **{f"DATABASES__{name}__DSN": "dbname=x" for name in ("A", "B", "C")},
            },
            "{file} and the environment: server.http_listen = '0.0.0.0:80' is reachable",
            id="of many variables",
        ),
    ],
)
def test_the_blame_is_on_where_it_stands(
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    environment: dict[str, str],
    says: str,
) -> None:
    path = write(file)
    for key, value in environment.items():
        monkeypatch.setenv(f"DBOPSD_{key}", value)
    with pytest.raises(ConfigurationError) as caught:
        load_config(path)
    assert str(caught.value).startswith(says.format(file=path))


@pytest.mark.parametrize(
    "variable", ["DBOPSD_DATABASES", "DBOPSD_TELEMETRY__OTLP_HEADERS", "DBOPSD_SERVER"]
)
def test_a_variable_that_is_not_json(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, f"{{{SECRET}")
    monkeypatch.setenv("DBOPSD_HEALTH__READINESS_REQUIRES", "any")
    assert problem() == f"{variable}: not JSON, which a table is given as"


@pytest.mark.parametrize(
    "text",
    [
        f"[databases.main]\ndsn = ['{SECRET}']",
        f"[databases.main]\ndsn.password = '{SECRET}'",
        f"[databases.main]\npassword = '{SECRET}'",
        f"[databases.main]\ndsn = '{SECRET}'\npassword_file = ['{SECRET}']",
        f"databases = '{SECRET}'",
        f"[databases]\nmain = '{SECRET}'",
        f"[telemetry]\notlp_headers = '{SECRET}'",
        f"[telemetry]\notlp_headers = {{ authorization = ['{SECRET}'] }}",
        f"[telemetry]\notlp_endpoint = 'http://user:{SECRET}@collector:4317'",
        *(
            f"[server]\ncontrol_url = '{url}'"
            for url in (
                f"mysql://user:{SECRET}@host/database",
                f"postgresql://user:{SECRET}@more@host/database",
                f"postgresql://user:{SECRET}/more@host/database",
                f"postgresql://user:{SECRET}?more@host/database",
                f"postgresql://user:{SECRET}#more@host/database",
                f"postgresql://user:{SECRET}[more@host/database",
                f"postgresql://user:{SECRET}℀@host/database",
                f"postgresql://user:{SECRET}@host:port/database",
                f"postgresql://user:{SECRET}@host:65536/database",
                f"postgresql://user:{SECRET}@host:0/database",
                f"postgresql://user:{SECRET}@/database",
                f"postgresql://user:{SECRET}@host/",
            )
        ),
        f"[databases.main]\ndsn = {SECRET}",
        f"[databases.main]\ndsn = '{SECRET}\n",
        f"[databases.main]\ndsn = '{SECRET}'\ndsn = '{SECRET}'",
    ],
)
def test_a_secret_is_not_repeated(write: Write, text: str) -> None:
    assert problem(write(text))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://host/database",
        "postgres://user@host:5433/database?sslmode=require",
        f"postgresql://user:{SECRET}%40more@[::1]:5432/database",
        "postgresql:///database?host=/run/postgresql",
        "postgresql://user@%2Frun%2Fpostgresql/database",
    ],
)
def test_the_control_store_may_be(write: Write, url: str) -> None:
    found = load_config(write(f"[server]\ncontrol_url = '{url}'")).server.control_url
    assert found is not None
    assert found.get_secret_value() == url


def test_all_workers_together_may_run_less_than_one_may(write: Write) -> None:
    text = "[operations]\ntotal_concurrency = 2\nworker_concurrency = 9"
    operations = load_config(write(text)).operations
    assert (operations.total_concurrency, operations.worker_concurrency) == (2, 9)


def test_a_worker_is_lost_after_a_few_heartbeats(write: Write) -> None:
    text = "[operations]\nheartbeat_s = 0.5\ntakeover_after_s = 2"
    assert load_config(write(text)).operations.takeover_after_s == 2


def test_nothing_secret_is_shown(write: Write) -> None:
    config = load_config(
        write(
            f"[databases.main]\ndsn = 'password={SECRET}'\n"
            f"[telemetry]\notlp_headers = {{ authorization = '{SECRET}' }}"
        )
    )
    for shown in (repr(config), str(config), config.model_dump_json(), f"{config.databases}"):
        assert SECRET not in shown
    assert config.databases["main"].dsn.get_secret_value() == f"password={SECRET}"


def test_a_file_that_cannot_be_read(tmp_path: Path, write: Write) -> None:
    assert problem(tmp_path / "nosuch.toml") == "no such file"
    assert problem(tmp_path) == "no such file"
    assert problem(write("[server\n")).startswith("not TOML: ")
    path = write("")
    path.write_bytes(b"[server]\nstate_dir = '\xff'\n")
    assert problem(path).startswith("not TOML: ")


def test_what_only_the_rest_of_the_program_knows(write: Write, tmp_path: Path) -> None:
    def refused(text: str) -> str:
        with pytest.raises(ConfigurationError) as caught:
            check_config(load_config(write(text)))
        return str(caught.value)

    database = "[databases.main]\ndsn = ''\n"
    assert refused(f"{database}health.thresholds.nosuch.warning = 1").startswith(
        "databases.main.health.thresholds.nosuch: unknown check; there are reachable, "
    )
    # Together with the default of the other one.
    assert "warning 0.95 is above critical 0.9" in refused(
        f"{database}health.thresholds.connections.warning = 0.95"
    )
    assert refused(f"[server]\nstate_dir = '{tmp_path}/dbopsd.toml/state'") == (
        f"server.state_dir: '{tmp_path}/dbopsd.toml' is not a directory"
    )
    # Writable by its permissions, for root, and by nobody in truth.
    assert refused("[server]\nstate_dir = '/proc/dbopsd/state'").startswith(
        "server.state_dir: '/proc' cannot be written ("
    )
    there = sorted(tmp_path.iterdir())
    check_config(load_config(write(f"[server]\nstate_dir = '{tmp_path}/new/state'")))
    assert sorted(tmp_path.iterdir()) == there, "nothing is left behind"


def test_it_cannot_be_changed() -> None:
    config = load_config()
    with pytest.raises(ValueError, match="frozen"):
        config.server.insecure_listen = True  # type: ignore[misc]


def _models(model: type[BaseModel]) -> set[type[BaseModel]]:
    """`model` and every model that one of its fields holds."""
    found = {model}
    for field in model.model_fields.values():
        waiting: list[Any] = [field.annotation]
        while waiting:
            kind = waiting.pop()
            waiting += getattr(kind, "__args__", ())
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found |= _models(kind)
    return found


def test_every_section_is_in_the_reference_and_every_key_says_what_it_is() -> None:
    listed = {model for model, _ in sections()}
    assert listed == _models(Config) - {Config}
    for model in listed | {Config}:
        texts = key_texts(model)
        for name in model.model_fields:
            assert texts.get(name), f"{model.__name__}.{name}"


@pytest.mark.parametrize(
    "text",
    [
        "[server]\nmax_message_bytes = '10GiB'",
        "[databases.main]\ndsn = 'host=db'\npool.query_timeout_s = 3000000",
        "[databases.main]\ndsn = 'host=db'\npool.query_timeout_s = 0.0001",
        "[databases.main]\ndsn = 'host=db'\nhealth.storage_limit = 0",
        "[telemetry]\nmetrics_interval_s = 1e300",
        "[telemetry.otlp_headers]\n'bad header' = 'x'",
        '[telemetry.otlp_headers]\nkey = "x\\ny"',
        '"a\\nb" = 1',
    ],
)
def test_what_could_not_work_is_refused_at_once(write: Write, text: str) -> None:
    assert "\n" not in problem(write(text))


def test_the_checker_says_what_serving_would_only_say_in_health(write: Write) -> None:
    config = load_config(write("[databases.main]\ndsn = 'garbage = = x'"))
    with pytest.raises(ConfigurationError) as caught:
        check_config(config)
    assert str(caught.value).startswith("databases.main.dsn: ")
