"""The embedded PostgreSQL: created, started, supervised and stopped by the daemon."""

import asyncio
import logging
from pathlib import Path

import stamina

from dbopsd.db.server.account import server_account
from dbopsd.db.server.cluster import Cluster, StopMode
from dbopsd.db.server.directories import Layout, check_reachable, make_directory, make_own_directory
from dbopsd.db.server.errors import ServerExited
from dbopsd.db.server.installation import Installation, embedded_installation
from dbopsd.db.server.lock import DirectoryLock
from dbopsd.db.server.settings import Settings, embedded_settings
from dbopsd.errors import DbopsError

DIRECTORY = "postgresql"
FIRST_STATEMENTS = ("CREATE EXTENSION pg_stat_statements",)

# A server that ran for so long is taken to be well: the next exit starts the back-off anew.
STABLE_S = 30.0
_RESTART_DELAY_S = 0.1
_MAX_RESTART_DELAY_S = 30.0
_LOG_CHECK_S = 60.0

log = logging.getLogger(__name__)


class EmbeddedServer:
    """A PostgreSQL of the daemon's own in `state_dir/postgresql`.

    One process at a time may have it. `installation` is the embedded one unless given; `settings`
    come on top of `embedded_settings`.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        installation: Installation | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._state_dir = state_dir.absolute()
        self._directory = self._state_dir / DIRECTORY
        self._installation = installation
        self._settings: Settings = settings or {}
        self._lock = DirectoryLock(self._directory)
        self._cluster: Cluster | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._restarts = 0

    @property
    def cluster(self) -> Cluster:
        """The server itself, from `start()` on."""
        if self._cluster is None:
            raise RuntimeError("the embedded server was not started")
        return self._cluster

    @property
    def dsn(self) -> str:
        """How to connect as the superuser; it holds no password. The same for its whole life."""
        return self.cluster.dsn()

    @property
    def log_path(self) -> Path:
        """The server's log."""
        return Layout(self._directory).log

    @property
    def running(self) -> bool:
        """Whether the server process lives; it may be starting."""
        return self._cluster is not None and self._cluster.running

    @property
    def restarts(self) -> int:
        """How often the server has come back after it had ended unasked."""
        return self._restarts

    async def start(self) -> str:
        """Make the server if need be, start it, watch over it from then on; return the DSN.

        Raises `EmbeddedServerUnavailable`, `StateDirectoryInUse`, `StateDirectoryUnreachable` and
        the other errors of this package; then nothing is left running.
        """
        installation = self._installation or await embedded_installation()
        account = await server_account(self._directory / "data")
        await asyncio.to_thread(make_directory, self._state_dir, account)
        await check_reachable(self._state_dir, account)
        await asyncio.to_thread(make_own_directory, self._directory, account)
        await asyncio.to_thread(self._lock.acquire)
        try:
            settings = {**embedded_settings(installation.major), **self._settings}
            cluster = Cluster(self._directory, installation, settings=settings)
            if not cluster.initialised:
                log.info("making a new PostgreSQL %s in %s", installation.version, self._directory)
                await cluster.initialise(statements=FIRST_STATEMENTS)
            await cluster.start()
        except BaseException:
            self._lock.release()
            raise
        self._cluster = cluster
        self._supervisor = asyncio.create_task(
            self._supervise(cluster), name="embedded PostgreSQL supervisor"
        )
        self._supervisor.add_done_callback(_report)
        return self.dsn

    async def stop(self, mode: StopMode = "fast") -> None:
        """Stop watching and stop the server. May be called at any time, more than once."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.cancel()
            await asyncio.wait({supervisor})
        try:
            if self._cluster is not None:
                await self._cluster.stop(mode)
        finally:
            self._lock.release()

    async def _supervise(self, cluster: Cluster) -> None:
        while True:
            await self._watch(cluster)
            await self._report_exit(cluster)
            await asyncio.sleep(_RESTART_DELAY_S)
            async for attempt in stamina.retry_context(
                on=(DbopsError, OSError),
                attempts=None,
                timeout=None,
                wait_initial=_RESTART_DELAY_S,
                wait_max=_MAX_RESTART_DELAY_S,
                wait_jitter=_RESTART_DELAY_S,
            ):
                with attempt:
                    await self._restart(cluster)

    async def _watch(self, cluster: Cluster, *, for_s: float | None = None) -> None:
        """Return when the server has ended, or after `for_s`; keep its log bounded until then."""
        loop = asyncio.get_running_loop()
        until = None if for_s is None else loop.time() + for_s
        ending = asyncio.ensure_future(cluster.wait())
        try:
            while not ending.done():
                try:
                    await asyncio.to_thread(cluster.rotate_log)
                except OSError as error:  # a full disk is no reason to stop watching
                    log.warning("%s cannot be rotated: %s", cluster.log_path, error)
                left_s = _LOG_CHECK_S if until is None else until - loop.time()
                if left_s <= 0:
                    return
                await asyncio.wait({ending}, timeout=min(left_s, _LOG_CHECK_S))
        finally:
            ending.cancel()

    async def _restart(self, cluster: Cluster) -> None:
        """Start the server and see it through `STABLE_S`; raises if it does not get there."""
        await cluster.start()
        self._restarts += 1
        log.warning("the embedded PostgreSQL is back (restart %d)", self._restarts)
        await self._watch(cluster, for_s=STABLE_S)
        if not cluster.running:
            raise await self._report_exit(cluster)

    async def _report_exit(self, cluster: Cluster) -> ServerExited:
        error = ServerExited(
            directory=str(cluster.data_dir),
            exit_status=await cluster.wait(),
            log_path=str(cluster.log_path),
            log_tail=await asyncio.to_thread(cluster.log_tail),
        )
        log.error("%s", error)
        return error


def _report(supervisor: asyncio.Task[None]) -> None:
    if not supervisor.cancelled() and (error := supervisor.exception()) is not None:
        log.error("the embedded PostgreSQL is no longer watched", exc_info=error)
