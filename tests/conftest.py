"""Options and fixtures that every test may use; what they give is in `tests.support`."""

import gc
import math
import random
import re
import signal
import time
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.support.installations import DEFAULT_VERSION, VERSIONS
from tests.support.otlp import OtlpReceiver
from tests.support.proxy import Proxy
from tests.support.replication import ReplicationPair, discard, replicate
from tests.support.servers import PostgresServer, PostgresServers, Settings
from tests.support.soak import Soak

SHORT_SEED = 1
"""Short forms take the same numbers each time: a red run is then about the change it judges."""
# What these try is dbopsd itself: the newest server is enough, but for a thorough run.
_ABOUT_DBOPSD = re.compile(
    r"tests\.(e2e|faults|integration\.(operations|test_(cluster_watch|connect_errors|pool|prober)"
    r"|metrics\.test_(sampler|scale|situations|user_collectors)"
    r"|backup\.test_(backup_spool|drill|receive_wal|restore_moments|restore_refusals|wal_push)"
    r"|migrate\.test_(import_property|revert_merge|translations_proj)))\b"
)
# What these try is mostly dbopsd too, but in SQL that servers run: a test takes one version,
# its neighbours the others.
_ON_SOME_VERSION = re.compile(
    r"tests\.integration\.(migrate|test_(checks|server_support|session)"
    r"|backup\.test_(backup_from_standby|logical|physical_backup|row_counts|stores|verify_contents)"
    r"|metrics\.test_(bad_text|index_suggestion|locked_objects|planner|sessions|settings|sources))\b"
)
_DEBIAN = Path(__file__).parent / "debian"
_HANDLERS = {signal.SIGINT: signal.default_int_handler, signal.SIGQUIT: signal.SIG_DFL}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("dbopsd")
    group.addoption(
        "--postgres",
        default=str(DEFAULT_VERSION),
        help=f"PostgreSQL versions to test against: {VERSIONS}, separated by commas, or 'all'",
    )
    group.addoption(
        "--debian",
        action="store_true",
        help="run tests/debian too, which needs Debian's Prometheus and postgres_exporter",
    )
    group.addoption("--soak", action="store_true", help="run the long form of tests marked soak")
    group.addoption(
        "--every-case",
        action="store_true",
        help="run tests marked thorough too, every hostile file, and every test on all --postgres",
    )
    group.addoption(
        "--seed",
        type=int,
        default=None,
        help=f"the seed of random campaigns; else {SHORT_SEED}, and with --soak a new one",
    )
    group.addoption(
        "--minutes",
        type=float,
        default=math.inf,
        help="how long a campaign goes on that tries thousands of cases; else until all are tried",
    )


def pytest_configure(config: pytest.Config) -> None:
    # A shell that runs the tests in the background has them ignore Ctrl-C, which every process
    # that they start would inherit; tests that press it would wait for ever.
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _HANDLERS[number])
    if config.option.seed is None:
        from_controller = getattr(config, "workerinput", {}).get("dbopsd_seed")
        fresh = random.SystemRandom().randrange(1, 2**32) if config.option.soak else SHORT_SEED
        config.option.seed = from_controller or fresh
    hypothesis.settings.register_profile("short", derandomize=True, max_examples=40)
    hypothesis.settings.load_profile("default" if config.option.soak else "short")
    try:
        versions = _versions(config)
    except ValueError:
        versions = []
    if not versions or set(versions) - set(VERSIONS):
        raise pytest.UsageError(f"--postgres must be 'all' or some of {VERSIONS}")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what needs programs that no wheel carries, unless asked for."""
    return True if collection_path == _DEBIAN and not config.option.debian else None


def pytest_collection() -> None:
    """Collect without the garbage collector: what is collected and imported stays to the end."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Have the garbage collector look at what the tests make, and no more at the tests."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Describe a failure without the garbage collector.

    It may find what warns of itself, for whose traceback Python 3.11 parses source. Amid the
    parsing that pytest does, that is "AST constructor recursion depth mismatch", and pytest ends.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return (yield)
    finally:
        if was_enabled:
            gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give each worker of pytest-xdist the seed that the header tells."""
    node.workerinput["dbopsd_seed"] = node.config.option.seed


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what has no short form, and what is for a thorough run, unless asked for."""
    unwanted = set()
    if not config.option.soak:
        unwanted.add("long_only")
        if not config.option.every_case:
            unwanted.add("thorough")
    left_out = [item for item in items if any(map(item.get_closest_marker, unwanted))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def pytest_report_header(config: pytest.Config) -> str:
    names = ", ".join(str(version) for version in _versions(config))
    return f"dbopsd: PostgreSQL {names}; --seed={config.option.seed}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "postgres_version" in metafunc.fixturenames:
        versions = _versions(metafunc.config)
        every_case = metafunc.config.option.every_case
        if _ABOUT_DBOPSD.match(metafunc.module.__name__) and not every_case:
            versions = [max(versions)]
        elif _ON_SOME_VERSION.match(metafunc.module.__name__) and not every_case:
            versions = [versions[_number_of(metafunc.definition.nodeid) % len(versions)]]
        ids = [f"pg{version}" for version in versions]
        metafunc.parametrize("postgres_version", versions, ids=ids, indirect=True, scope="session")


def _number_of(node: str) -> int:
    """A number that is the same in every process and every run."""
    return zlib.crc32(node.encode())


def _versions(config: pytest.Config) -> list[int]:
    choice = config.option.postgres
    return list(VERSIONS) if choice == "all" else [int(part) for part in choice.split(",")]


@pytest.fixture(scope="session")
def postgres_version(request: pytest.FixtureRequest) -> int:
    """The major version; a test that uses it, directly or not, runs once for each in --postgres."""
    return int(request.param)


@pytest.fixture(scope="session")
def servers() -> Iterator[PostgresServers]:
    """All servers of the session; each is started when first asked for."""
    all_servers = PostgresServers()
    yield all_servers
    all_servers.close()


@pytest.fixture(scope="session")
def postgres(servers: PostgresServers, postgres_version: int) -> PostgresServer:
    """The session's shared server: use databases of your own on it, and leave it running."""
    return servers.shared(postgres_version)


@pytest.fixture
def make_database(postgres: PostgresServer) -> Iterator[Callable[..., str]]:
    """`make_database(template_sql="") -> DSN` of a new database, dropped after the test.

    `template_sql` is run once a session for each distinct text; databases are copies then.
    """
    names = []

    def make(template_sql: str = "", **parameters: str | int) -> str:
        names.append(postgres.create_database(template_sql))
        return postgres.dsn(dbname=names[-1], **parameters)

    yield make
    for name in names:
        postgres.drop_database(name)


@pytest.fixture
def database_dsn(make_database: Callable[..., str]) -> str:
    """The DSN of an empty database of the test's own."""
    return make_database()


@pytest.fixture
def disposable_server(
    servers: PostgresServers, postgres_version: int
) -> Iterator[Callable[..., PostgresServer]]:
    """`disposable_server(settings=None) -> PostgresServer` to stop, pause, kill and break."""
    made = []

    def make(settings: Settings | None = None) -> PostgresServer:
        made.append(servers.disposable(postgres_version, settings))
        return made[-1]

    yield make
    for server in made:
        servers.discard(server)


@pytest.fixture
def replication_pair(servers: PostgresServers, postgres_version: int) -> Iterator[ReplicationPair]:
    """A primary and a streaming standby of the test's own."""
    pair = replicate(servers, postgres_version)
    yield pair
    discard(servers, pair)


@pytest.fixture
def make_proxy() -> Iterator[Callable[[str, int], Proxy]]:
    """`make_proxy(host, port) -> Proxy`, closed after the test."""
    made: list[Proxy] = []

    def make(host: str, port: int) -> Proxy:
        made.append(Proxy(host, port))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture
def otlp() -> Iterator[OtlpReceiver]:
    """An OTLP receiver (gRPC and HTTP) that keeps what it gets."""
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture
def soak(request: pytest.FixtureRequest) -> Soak:
    """Which form of a campaign to run, and its random numbers (`--soak`, `--seed`, `--minutes`)."""
    option = request.config.option
    return Soak(option.soak, option.seed, time.monotonic() + option.minutes * 60)
