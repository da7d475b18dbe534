"""Why a database cannot be reached: the daemon starts, says so in health, and recovers."""

import asyncio
import functools
import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from dbopsd.app import Serving, running
from dbopsd.config import Config
from dbopsd.db.dsn import Dsn
from dbopsd.health.report import CheckResult, Report, State
from tests.support.patience import eventually
from tests.support.proxy import Proxy
from tests.support.recording import Recording
from tests.support.servers import PostgresServer, PostgresServers

PASSWORD = "hunter2-secret"
# A connection attempt to a black hole takes the 2 s of connect_timeout_s, and one more.
SOON_S = 8.0


@dataclass
class Daemon:
    serving: Serving

    @property
    def report(self) -> Report:
        return self.serving.board.report("main")

    @property
    def reachable(self) -> CheckResult:
        return self.report.checks[0]

    async def says(self, reason: str) -> CheckResult:
        await eventually(
            lambda: self.reachable.reason == reason,
            timeout=SOON_S,
            what=f"{reason}, not {self.reachable}",
        )
        result = self.reachable
        assert self.report.state is State.UNHEALTHY
        assert not self.serving.board.ready
        assert result.message == " ".join(result.message.split()), "more than one line"
        assert PASSWORD not in str(self.report)
        assert "'main'" in result.message
        assert result.message in self.report.explanation
        return result

    async def recovers(self) -> None:
        await eventually(
            lambda: self.report.state in (State.HEALTHY, State.DEGRADED), timeout=SOON_S
        )
        assert self.serving.board.ready


OpenDaemon = Callable[..., AbstractAsyncContextManager[Daemon]]


@asynccontextmanager
async def _running_daemon(
    recording: Recording, tmp_path: Path, dsn: str, password_file: Path | None = None
) -> AsyncIterator[Daemon]:
    config = Config.model_validate(
        {
            "server": {
                "grpc_listen": "127.0.0.1:0",
                "http_listen": "127.0.0.1:0",
                "state_dir": tmp_path / "state",
                "shutdown_delay_s": 0,
                "shutdown_grace_s": 0,
            },
            "databases": {
                "main": {
                    "dsn": SecretStr(dsn),
                    "password_file": password_file,
                    "pool": {"min_size": 1, "connect_timeout_s": 2},
                    "health": {"interval_s": 0.1},
                }
            },
        }
    )
    async with running(config, telemetry=recording.telemetry) as serving:
        yield Daemon(serving)


@pytest.fixture
def daemon(recording: Recording) -> OpenDaemon:
    """`async with daemon(tmp_path, dsn, password_file=None) as daemon`."""
    return functools.partial(_running_daemon, recording)


@pytest.fixture
def role(postgres: PostgresServer) -> Iterator[str]:
    """A role with the password PASSWORD."""
    name = f"role_{uuid.uuid4().hex[:12]}"
    postgres.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_monitor")
    yield name
    postgres.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize(
    "dsn",
    [
        f"this is no dsn password={PASSWORD}",
        f"host=localhost pasword={PASSWORD}",
        f"postgresql://user:{PASSWORD}@[::1/main",
        f"host=localhost port=54x2 password={PASSWORD}",
        f"host=localhost port=70000 password={PASSWORD}",
        f"host=a,b,c port=1,2 password={PASSWORD}",
        f"host=localhost sslmode=requires password={PASSWORD}",
        f"host=localhost password={PASSWORD}\0",
        # libpq takes what stands before the '/' for host and port.
        f"postgresql://user:{PASSWORD}/more@localhost/main",
    ],
)
async def test_a_dsn_that_is_none(daemon: OpenDaemon, tmp_path: Path, dsn: str) -> None:
    async with daemon(tmp_path, dsn) as main:
        result = await main.says("INVALID_DSN")
        assert "the configured dsn" in result.message
        assert PASSWORD not in repr(main.serving.board.databases)


async def test_a_value_that_the_driver_refuses(
    daemon: OpenDaemon, tmp_path: Path, postgres: PostgresServer
) -> None:
    async with daemon(tmp_path, postgres.dsn(connect_timeout="soon")) as main:
        assert "connect_timeout" in (await main.says("INVALID_DSN")).message


async def test_a_host_that_nobody_knows(daemon: OpenDaemon, tmp_path: Path) -> None:
    dsn = f"host=nowhere.invalid password={PASSWORD} user=me"
    async with daemon(tmp_path, dsn) as main:
        assert "nowhere.invalid" in (await main.says("HOST_UNKNOWN")).message


async def test_a_port_that_nobody_listens_on(
    daemon: OpenDaemon,
    tmp_path: Path,
    postgres: PostgresServer,
    make_proxy: Callable[[str, int], Proxy],
    role: str,
) -> None:
    proxy = make_proxy(postgres.host, postgres.port)
    proxy.cut()
    dsn = postgres.dsn(host=proxy.host, port=proxy.port, user=role, password=PASSWORD)
    async with daemon(tmp_path, dsn) as main:
        assert str(proxy.port) in (await main.says("CONNECTION_REFUSED")).message
        proxy.heal()
        await main.recovers()


async def test_a_socket_that_is_not_there(daemon: OpenDaemon, tmp_path: Path) -> None:
    dsn = make_conninfo(host=str(tmp_path), user="me", password=PASSWORD)
    async with daemon(tmp_path, dsn) as main:
        assert str(tmp_path) in (await main.says("CONNECTION_REFUSED")).message


async def test_a_black_hole(
    daemon: OpenDaemon,
    tmp_path: Path,
    postgres: PostgresServer,
    make_proxy: Callable[[str, int], Proxy],
    role: str,
) -> None:
    proxy = make_proxy(postgres.host, postgres.port)
    proxy.freeze()
    dsn = postgres.dsn(host=proxy.host, port=proxy.port, user=role, password=PASSWORD)
    async with daemon(tmp_path, dsn) as main:
        await main.says("CONNECT_TIMEOUT")
        proxy.heal()
        await main.recovers()


async def test_a_wrong_password_that_is_set_right(
    daemon: OpenDaemon, tmp_path: Path, postgres: PostgresServer, role: str
) -> None:
    postgres.execute(f"ALTER ROLE {role} PASSWORD 'another'")
    async with daemon(tmp_path, postgres.dsn(user=role, password=PASSWORD)) as main:
        assert role in (await main.says("LOGIN_REJECTED")).message
        postgres.execute(f"ALTER ROLE {role} PASSWORD '{PASSWORD}'")
        await main.recovers()


async def test_a_role_that_is_not_there_yet(
    daemon: OpenDaemon, tmp_path: Path, postgres: PostgresServer
) -> None:
    name = f"role_{uuid.uuid4().hex[:12]}"
    async with daemon(tmp_path, postgres.dsn(user=name, password=PASSWORD)) as main:
        assert name in (await main.says("LOGIN_REJECTED")).message
        postgres.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
        await main.recovers()
    postgres.execute(f"DROP ROLE {name}")


async def test_a_database_that_is_not_there_yet(
    daemon: OpenDaemon, tmp_path: Path, postgres: PostgresServer, role: str
) -> None:
    name = f"test_{uuid.uuid4().hex[:12]}"
    async with daemon(tmp_path, postgres.dsn(dbname=name, user=role, password=PASSWORD)) as main:
        assert name in (await main.says("LOGIN_REJECTED")).message
        postgres.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        await main.recovers()
    postgres.drop_database(name)


@dataclass
class TlsServer:
    server: PostgresServer
    authority: Path
    strange_authority: Path


@pytest.fixture(scope="module")
def tls_server(
    servers: PostgresServers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TlsServer]:
    """PostgreSQL 17, whose wheel has TLS, with a certificate for `localhost`."""
    directory = tmp_path_factory.mktemp("tls")
    authority, strange = trustme.CA(), trustme.CA()
    for ca, name in ((authority, "ca.pem"), (strange, "strange.pem")):
        ca.cert_pem.write_to_path(directory / name)
    server = servers.disposable(17, started=False)
    certificate = authority.issue_cert("localhost")
    owner = server.data_dir.stat()
    for name, blob in (
        ("server.key", certificate.private_key_pem.bytes()),
        ("server.crt", certificate.cert_chain_pems[0].bytes()),
    ):
        path = server.data_dir / name
        path.write_bytes(blob)
        path.chmod(0o600)
        os.chown(path, owner.st_uid, owner.st_gid)
    server.start()
    server.execute("ALTER SYSTEM SET ssl = on")
    server.execute("SELECT pg_reload_conf()")
    yield TlsServer(server, directory / "ca.pem", directory / "strange.pem")
    servers.discard(server)


async def test_tls_that_the_server_does_not_offer(
    daemon: OpenDaemon, tmp_path: Path, servers: PostgresServers
) -> None:
    server = servers.shared(18)
    dsn = server.dsn(sslmode="require", password=PASSWORD)
    async with daemon(tmp_path, dsn) as main:
        assert "SSL" in (await main.says("TLS_FAILED")).message


@pytest.mark.parametrize("wrong", ["authority", "name", "no authority"])
async def test_a_certificate_that_does_not_hold(
    daemon: OpenDaemon, tmp_path: Path, tls_server: TlsServer, wrong: str
) -> None:
    host = "127.0.0.1" if wrong == "name" else "localhost"
    roots = {
        "authority": tls_server.strange_authority,
        "name": tls_server.authority,
        "no authority": tmp_path / "missing.pem",
    }
    dsn = tls_server.server.dsn(host=host, sslmode="verify-full", sslrootcert=str(roots[wrong]))
    async with daemon(tmp_path, dsn) as main:
        await main.says("TLS_FAILED")


async def test_tls_that_holds(daemon: OpenDaemon, tmp_path: Path, tls_server: TlsServer) -> None:
    root = str(tls_server.authority)
    password = tls_server.server.cluster.passfile.read_text().strip().rsplit(":", 1)[1]
    dsn = tls_server.server.dsn(
        host="localhost", sslmode="verify-full", sslrootcert=root, password=password
    )
    async with daemon(tmp_path, dsn) as main:
        await main.recovers()
    # What is wrong behind TLS is not taken for a fault of it.
    dsn = tls_server.server.dsn(
        host="localhost", sslmode="verify-full", sslrootcert=root, password="wrong", user="postgres"
    )
    async with daemon(tmp_path, dsn) as main:
        await main.says("LOGIN_REJECTED")
    dsn = tls_server.server.dsn(
        host="localhost",
        sslmode="verify-full",
        sslrootcert=root,
        dbname="not_there",
        password=password,
    )
    async with daemon(tmp_path, dsn) as main:
        await main.says("LOGIN_REJECTED")
    tls_server.server.execute("CREATE ROLE full_up LOGIN PASSWORD 'x' CONNECTION LIMIT 0")
    dsn = tls_server.server.dsn(
        host="localhost", sslmode="verify-full", sslrootcert=root, user="full_up", password="x"
    )
    async with daemon(tmp_path, dsn) as main:
        await main.says("LOGIN_REJECTED")


@pytest.mark.parametrize("how", ["missing", "a directory", "not text"])
async def test_a_password_file_that_cannot_be_read(
    daemon: OpenDaemon, tmp_path: Path, postgres: PostgresServer, role: str, how: str
) -> None:
    path = tmp_path / "password"
    if how == "a directory":
        path.mkdir()
    if how == "not text":
        path.write_bytes(b"\xff\xfe")
    async with daemon(tmp_path, postgres.dsn(user=role), path) as main:
        assert str(path) in (await main.says("PASSWORD_FILE_UNREADABLE")).message
        if how == "a directory":
            path.rmdir()
        path.write_text(f"{PASSWORD}\n", encoding="utf-8")
        await main.recovers()


async def test_a_password_changed_in_its_file(
    daemon: OpenDaemon, tmp_path: Path, postgres: PostgresServer, role: str
) -> None:
    path = tmp_path / "password"
    path.write_text(PASSWORD, encoding="utf-8")
    async with daemon(tmp_path, postgres.dsn(user=role), path) as main:
        await main.recovers()
        postgres.execute(f"ALTER ROLE {role} PASSWORD 'the next one'")
        postgres.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"
        )
        await main.says("LOGIN_REJECTED")
        path.write_text("the next one\n", encoding="utf-8")
        await main.recovers()
        async with main.serving.databases["main"].session(timeout_s=5):
            pass


async def test_of_several_hosts_the_one_that_came_furthest_tells(
    daemon: OpenDaemon, tmp_path: Path, postgres: PostgresServer, role: str
) -> None:
    dsn = postgres.dsn(
        host=f"nowhere.invalid,127.0.0.1,{postgres.host}",
        port=f"5432,1,{postgres.port}",
        user=role,
        password="wrong",
    )
    async with daemon(tmp_path, dsn) as main:
        await main.says("LOGIN_REJECTED")


async def test_a_daemon_with_a_database_that_hangs_stops_in_time(
    daemon: OpenDaemon,
    tmp_path: Path,
    postgres: PostgresServer,
    make_proxy: Callable[[str, int], Proxy],
) -> None:
    proxy = make_proxy(postgres.host, postgres.port)
    dsn = postgres.dsn(host=proxy.host, port=proxy.port)
    loop = asyncio.get_running_loop()
    async with daemon(tmp_path, dsn) as main:
        await main.recovers()
        proxy.freeze()
        await eventually(lambda: main.reachable.reason == "NO_ANSWER")
        started = loop.time()
    assert loop.time() - started < 5


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("host=a,b port=1,2", ("a:1", "b:2")),
        ("host=a,b port=1", ("a:1", "b:1")),
        ("host=a,b", ("a:5432", "b:5432")),
        ("postgresql://a:1,b/main", ("a:1", "b:5432")),
        ("host=/run/postgresql", ("/run/postgresql",)),
        ("hostaddr=10.0.0.1", ("10.0.0.1:5432",)),
    ],
)
def test_the_hosts_of_a_dsn(text: str, hosts: tuple[str, ...]) -> None:
    dsn = Dsn.parse("main", f"{text} password={PASSWORD}" if "//" not in text else text)
    assert dsn.problem == ""
    assert dsn.hosts == hosts
    assert PASSWORD not in repr(dsn)
