import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from operator import attrgetter

import pytest
from click.testing import CliRunner
from dbops_client import AsyncDbopsClient, DbopsClient
from dbops_client.cli.root import cli
from dbops_client.cli.session import Session

from tests.unit.client.backups_server import BackupsServer
from tests.unit.client.metrics_server import MetricsServer
from tests.unit.client.operations_server import OperationsServer
from tests.unit.client.played_server import PlayedServer
from tests.unit.client.real_server import HealthServer


@pytest.fixture
def played():
    return PlayedServer()


@pytest.fixture
async def server():
    """A plaintext server that runs."""
    server = HealthServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def operations_server():
    """A plaintext server that runs, in a thread of its own."""
    server = OperationsServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def backups_server():
    """A plaintext server that runs, in a thread of its own."""
    server = BackupsServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def metrics_server():
    """A plaintext server that runs, in a thread of its own."""
    server = MetricsServer()
    server.start()
    yield server
    server.close()


@pytest.fixture(params=["sync", "asyncio"])
def call(request, operations_server):
    """`call("operations.get", …)`: what that method of a client returns, of either kind.

    `then` is a method to call on that. An iterator's or watch's items come as a list.
    """
    return caller(request.param, operations_server.target)


@pytest.fixture(params=["sync", "asyncio"])
def call_backups(request, backups_server):
    """As `call`, of the server that has backups."""
    return caller(request.param, backups_server.target)


@pytest.fixture(params=["sync", "asyncio"])
def call_metrics(request, metrics_server):
    """As `call`, of the server of metrics."""
    return caller(request.param, metrics_server.target)


def caller(kind, target):

    def call_sync(method, *args, then=None, **kwargs):
        with DbopsClient(target, token="t0ken") as client:
            found = attrgetter(method)(client)(*args, **kwargs)
            if then is not None:
                found = getattr(found, then)()
            return list(found) if isinstance(found, Iterator) else found

    async def call_async(method, *args, then=None, **kwargs):
        async with AsyncDbopsClient(target, token="t0ken") as client:
            found = attrgetter(method)(client)(*args, **kwargs)
            if isinstance(found, Awaitable):
                found = await found
            if then is not None:
                found = getattr(found, then)()
            if isinstance(found, Awaitable):
                return await found
            return [each async for each in found] if isinstance(found, AsyncIterator) else found

    if kind == "sync":
        return call_sync
    return lambda *args, **kwargs: asyncio.run(call_async(*args, **kwargs))


class Dbops:
    """The command, run in this process; `settings` are those of the last run."""

    def __init__(self, connect):
        self._connect = connect
        self.settings = None

    def __call__(self, *args, console=None, env=None):
        session = Session(connect=self._connect)
        if console is not None:
            session.console = lambda: console
        # The settings of whoever runs the tests are not the tests'.
        unset = ("DBOPS_SERVER", "DBOPS_TOKEN", "DBOPS_TOKEN_FILE", "COLUMNS", "FORCE_COLOR")
        clean = dict.fromkeys(unset)
        runner = CliRunner(env={**clean, **(env or {})})
        result = runner.invoke(cli, args, obj=session, prog_name="dbops")
        self.settings = session.settings
        if not isinstance(result.exception, SystemExit | None):
            raise result.exception
        return result


@pytest.fixture
def dbops(played):
    """The command, against the played server whatever the settings."""
    return Dbops(lambda settings: DbopsClient(channel=played.channel, timeout_s=60))


@pytest.fixture
def dbops_operations(operations_server):
    """The command, against the server that keeps operations."""
    return Dbops(lambda settings: DbopsClient(operations_server.target, timeout_s=60))


@pytest.fixture
def dbops_backups(backups_server):
    """The command, against the server that has backups."""
    return Dbops(lambda settings: DbopsClient(backups_server.target, timeout_s=60))


@pytest.fixture
def dbops_metrics(metrics_server):
    """The command, against the server of metrics."""
    return Dbops(lambda settings: DbopsClient(metrics_server.target, timeout_s=60))


@pytest.fixture
def dbops_on_real_channels():
    return Dbops(Session().connect)
