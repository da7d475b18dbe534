"""What a measurement works with: real servers, daemons, and processes that end with it."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self, TypeVar

from bench.child import Child
from bench.daemon import Daemon
from tests.support import replication
from tests.support.demo import counted
from tests.support.replication import ReplicationPair
from tests.support.servers import PostgresServer, PostgresServers, Settings

_MAJOR = 18
# Of the tests' settings, the one that costs: every statement in the server's log.
_QUIET: Mapping[str, str] = {"log_statement": "none"}
_DURABLE: Mapping[str, str] = {"fsync": "on", "full_page_writes": "on"}
_ROWS, _QUICK_ROWS = 2_000_000, 200_000

T = TypeVar("T")


class Workbench:
    """Whatever it gives is gone once its context is left, in the opposite order.

    `quick` asks for fewer rounds and shorter waits, `long` for what takes many minutes; `rows` are
    those of a large table; `say` shows what goes on.
    """

    def __init__(
        self,
        servers: PostgresServers,
        *,
        quick: bool,
        say: Callable[[str], None],
        rows: int | None = None,
        long: bool = False,
    ) -> None:
        self.quick = quick
        self.say = say
        self.rows = rows or self.of(full=_ROWS, quick=_QUICK_ROWS)
        self.long = long
        self._servers = servers
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def of(self, full: T, quick: T) -> T:
        """The one for this run."""
        return quick if self.quick else full

    def part(self) -> "Workbench":
        """One for a part of the measurement, whose servers and processes end with it."""
        return Workbench(
            self._servers, quick=self.quick, say=self.say, rows=self.rows, long=self.long
        )

    def postgres(
        self,
        *,
        durable: bool = False,
        logged: bool = False,
        settings: Settings | None = None,
        major: int = _MAJOR,
    ) -> PostgresServer:
        """A server of the measurement's own, with `settings` of its own.

        `durable`: what it commits is on the disk. `logged`: every statement is in its log.
        """
        settings = {
            **({} if logged else _QUIET),
            **(_DURABLE if durable else {}),
            **(settings or {}),
        }
        server = self._servers.disposable(major, settings)
        self._stack.callback(self._servers.discard, server)
        return server

    def replication_pair(self) -> ReplicationPair:
        """A primary and its streaming standby."""
        pair = replication.replicate(self._servers, _MAJOR, _QUIET)
        self._stack.callback(replication.discard, self._servers, pair)
        return pair

    def directory(self, name: str) -> Path:
        """A new directory that a server's account can pass through."""
        return self._servers.directory(name)

    def child(self, module: str, *arguments: str) -> Child:
        """`python -m bench.played.MODULE`."""
        return self._stack.enter_context(Child(module, *arguments))

    def daemon(self, state_dir: Path, **settings: str) -> Daemon:
        """`dbopsd serve`."""
        return self._stack.enter_context(Daemon(state_dir, **settings))

    def demo_daemon(
        self, state_dir: Path, *, counted_in: Path | None = None, **settings: str
    ) -> Daemon:
        """`dbopsd serve` with the demo's kinds of operations.

        `counted_in`: a byte is written there for each statement on a control store in SQLite.
        """
        if counted_in is None:
            return self._stack.enter_context(Daemon(state_dir, "tests.support.demo", **settings))
        environment = {counted.COUNT_FILE: str(counted_in)}
        return self._stack.enter_context(
            Daemon(state_dir, counted.MODULE, environment=environment, **settings)
        )

    def otlp_sink(self) -> str:
        """The endpoint of a process that takes telemetry and throws it away."""
        return str(self.child("otlp_sink").ask("endpoint"))
