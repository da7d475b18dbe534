"""One data directory and the one server process that works in it."""

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from dbopsd.db.server.account import ServerAccount, server_account
from dbopsd.db.server.directories import (
    Layout,
    check_reachable,
    empty,
    make_own_directory,
    make_private,
    read_text,
    remove,
    sync,
    write_private,
)
from dbopsd.db.server.errors import (
    DataDirectoryUnusable,
    ServerInitialisationFailed,
    ServerStartFailed,
)
from dbopsd.db.server.installation import Installation, reachable
from dbopsd.db.server.leftovers import end_leftovers, postmaster_status, server_processes
from dbopsd.db.server.ports import LOOPBACK, is_free, kept_port
from dbopsd.db.server.process import ends, run, send, spawn
from dbopsd.db.server.serverlog import ServerLog
from dbopsd.db.server.settings import (
    INCLUDE_LINE,
    SETTINGS_FILE,
    Settings,
    arguments,
    conninfo,
    render,
    socket_directories,
)

SUPERUSER = "postgres"

StopMode = Literal["smart", "fast", "immediate"]

_STOP_SIGNALS: dict[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}
_READY = ("ready", "standby")
_POLL_S = 0.01
_PORT_ATTEMPTS = 3
# The builtin locale C.UTF-8, the same on every system and version of its C library, is in 17.
_BUILTIN_LOCALE_MAJOR = 17

log = logging.getLogger(__name__)


class Cluster:
    """A data directory below `directory` and its server, listening on 127.0.0.1.

    `settings` are written to a file that postgresql.conf includes; ALTER SYSTEM wins over them.
    Where it listens and where it logs cannot be changed. Not safe for concurrent calls; one event
    loop, in a thread that lives as long as the server shall (see `process.spawn`).
    """

    def __init__(
        self, directory: Path, installation: Installation, *, settings: Settings | None = None
    ) -> None:
        self._layout = Layout(directory.absolute())
        self._installation = installation
        self._settings: Settings = settings or {}
        self._log = ServerLog(self._layout.log)
        self._account: ServerAccount | None = None
        self._port: int | None = None
        self._process: asyncio.subprocess.Process | None = None

    @property
    def data_dir(self) -> Path:
        """The data directory."""
        return self._layout.data

    @property
    def log_path(self) -> Path:
        """The server's log; older parts are beside it with `.1` to `.4` appended."""
        return self._layout.log

    @property
    def passfile(self) -> Path:
        """The superuser's password, as libpq reads it."""
        return self._layout.passfile

    @property
    def installation(self) -> Installation:
        """The programs in use: after `start()` perhaps a copy that the server can reach."""
        return self._installation

    @property
    def initialised(self) -> bool:
        """Whether there is a complete data directory."""
        return (self._layout.data / "PG_VERSION").exists()

    @property
    def running(self) -> bool:
        """Whether the process that `start()` started lives."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None unless `running`."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def port(self) -> int:
        """The TCP port, from the first `start()` on."""
        if self._port is None:
            raise RuntimeError("a cluster has no port before its first start")
        return self._port

    def dsn(self, **parameters: str | int) -> str:
        """How to connect as the superuser, without the password: libpq reads it from `passfile`.

        `parameters` replace or add to libpq's.
        """
        defaults: dict[str, str | int] = {
            "host": LOOPBACK,
            "port": self.port,
            "user": SUPERUSER,
            "dbname": "postgres",
            "passfile": str(self.passfile),
            "sslmode": "disable",
        }
        return conninfo(**(defaults | parameters))

    def log_tail(self) -> str:
        """The end of what the server has logged since it was started."""
        return self._log.tail()

    def rotate_log(self) -> None:
        """Keep the log within its bounds. Blocks for the copying of a large file."""
        self._log.rotate()

    async def initialise(self, *, statements: Sequence[str] = (), durable: bool = True) -> None:
        """Make the data directory, complete or not at all, and run `statements` in `postgres`.

        Data checksums, UTF-8, scram-sha-256 for every connection, a random password for the
        superuser. Each statement is one line. `durable=False` does not wait for the disk. What an
        interrupted call left is removed. Raises `ServerInitialisationFailed`.
        """
        account = await self._prepare()
        layout = self._layout
        if self.initialised:
            raise DataDirectoryUnusable(
                directory=str(layout.data), problem="it exists already", remedy="start it"
            )
        draft = layout.initialising / "data"
        await end_leftovers(draft)
        password = secrets.token_urlsafe(32)
        await asyncio.to_thread(self._make_draft, password)
        try:
            await self._initdb(draft, account, durable=durable)
            await asyncio.to_thread(self._configure, draft, account)
            await self._single_user(draft, account, statements)
            await asyncio.to_thread(self._publish, draft, password)
        finally:
            # Also when cancelled. What cannot be removed yet, the next call removes.
            shutil.rmtree(layout.initialising, ignore_errors=True)

    async def start(self, *, timeout_s: float = 300.0) -> None:
        """Return once the server takes connections (a standby: read-only ones).

        Whatever still works in the data directory is ended first; after a crash the server
        recovers, which takes as long as it takes: choose `timeout_s` accordingly. Raises
        `ServerStartFailed`, `DataDirectoryUnusable`.
        """
        if self.running:
            return
        account = await self._prepare()
        await asyncio.to_thread(self._check_version)
        await end_leftovers(self._layout.data)
        # A dead server's socket has a lock file with its process id, misleading as postmaster.pid.
        await asyncio.to_thread(empty, self._layout.sockets)
        if not self._layout.passfile.exists():
            await self._renew_password(account)
        await asyncio.to_thread(self._configure, self._layout.data, account)
        first = self._port is None
        for attempt in range(_PORT_ATTEMPTS):
            if first:
                self._port = await asyncio.to_thread(kept_port, self._layout.port)
            try:
                await self._launch(account, timeout_s)
            except ServerStartFailed:
                # Somebody took the port after we had chosen it. Later starts keep to it: by then
                # others know it.
                port_lost = not await asyncio.to_thread(is_free, self.port)
                if not first or not port_lost or attempt == _PORT_ATTEMPTS - 1:
                    raise
            else:
                log.info("PostgreSQL %s is ready: %s", self._installation.version, self._summary())
                return

    async def stop(self, mode: StopMode = "fast", *, timeout_s: float = 30.0) -> None:
        """Return once the server has ended; past `timeout_s` without a checkpoint, then killed."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        for number, patience_s in ((_STOP_SIGNALS[mode], timeout_s), (signal.SIGQUIT, 5.0)):
            send(process, number)
            # A stopped process gets no signal but this.
            send(process, signal.SIGCONT)
            if await ends(process, patience_s):
                return
            log.warning("PostgreSQL process %d ignores %s", process.pid, number.name)
        await self._kill(process)

    async def wait(self) -> int:
        """Return once the server has ended: its exit status, negative for a signal."""
        if self._process is None:
            raise RuntimeError("a cluster that was never started cannot end")
        return await self._process.wait()

    async def _prepare(self) -> ServerAccount:
        """Account, directories and programs, each such that the server can use them."""
        if self._account is not None:
            return self._account
        layout = self._layout
        account = await server_account(layout.data)
        await asyncio.to_thread(make_own_directory, layout.directory, account)
        await check_reachable(layout.directory, account)
        await asyncio.to_thread(make_private, layout.log.parent)
        await asyncio.to_thread(make_private, layout.sockets, account)
        self._installation = await reachable(self._installation, account, layout.copies)
        self._account = account
        return account

    def _make_draft(self, password: str) -> None:
        layout = self._layout
        remove(layout.initialising)
        make_private(layout.initialising, self._account)
        write_private(layout.initialising / "password", f"{password}\n", self._account)

    async def _initdb(self, draft: Path, account: ServerAccount, *, durable: bool) -> None:
        if self._installation.major >= _BUILTIN_LOCALE_MAJOR:
            locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        else:
            locale = ["--locale=C.UTF-8"]
        result = await run(
            self._installation.tool("initdb"),
            *("--pgdata", str(draft), "--username", SUPERUSER),
            *("--pwfile", str(draft.with_name("password"))),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", *locale),
            *("--data-checksums", *([] if durable else ["--no-sync"])),
            account=account,
        )
        if result.exit_status != 0:
            raise self._initialisation_failed("initdb", result.exit_status, result.output)

    async def _single_user(
        self, data_dir: Path, account: ServerAccount, statements: Sequence[str]
    ) -> None:
        """Run the statements without a server, one line each, up to the first error."""
        if not statements:
            return
        result = await run(
            self._installation.tool("postgres"),
            *("--single", "-D", str(data_dir), "-c", "exit_on_error=on"),
            *("-c", "log_min_error_statement=panic", "-c", "log_statement=none"),
            *("-c", "log_checkpoints=off", "postgres"),
            account=account,
            feed="".join(f"{statement}\n" for statement in statements).encode(),
        )
        if result.exit_status != 0:
            raise self._initialisation_failed(
                "postgres --single", result.exit_status, result.output
            )

    def _publish(self, draft: Path, password: str) -> None:
        layout = self._layout
        # The password first: a data directory whose password nobody knows would be complete.
        self._write_passfile(password)
        draft.rename(layout.data)
        sync(layout.directory)

    def _write_passfile(self, password: str) -> None:
        write_private(self._layout.passfile, f"{LOOPBACK}:*:*:{SUPERUSER}:{password}\n")

    async def _renew_password(self, account: ServerAccount) -> None:
        log.warning("%s is missing: the superuser gets a new password", self.passfile)
        password = secrets.token_urlsafe(32)
        statement = f"ALTER ROLE {SUPERUSER} PASSWORD '{password}'"
        await self._single_user(self._layout.data, account, [statement])
        await asyncio.to_thread(self._write_passfile, password)

    def _check_version(self) -> None:
        made_by = (read_text(self._layout.data / "PG_VERSION") or "").strip()
        if not made_by:
            raise DataDirectoryUnusable(
                directory=str(self._layout.data),
                problem="it has no PG_VERSION, so it is no data directory",
                remedy="initialise it, or name another directory",
            )
        if made_by != str(self._installation.major):
            raise DataDirectoryUnusable(
                directory=str(self._layout.data),
                problem=f"PostgreSQL {made_by} made it and this is {self._installation.version}",
                remedy=f"install PostgreSQL {made_by} again, or move its data with pg_upgrade",
            )

    def _configure(self, data_dir: Path, account: ServerAccount) -> None:
        wanted = render(self._settings)
        if read_text(data_dir / SETTINGS_FILE) != wanted:
            write_private(data_dir / SETTINGS_FILE, wanted, account)
        main = data_dir / "postgresql.conf"
        text = read_text(main) or ""
        if INCLUDE_LINE not in text:
            write_private(main, f"{text}\n{INCLUDE_LINE}", account)

    async def _launch(self, account: ServerAccount, timeout_s: float) -> None:
        listening: Settings = {
            "listen_addresses": LOOPBACK,
            "port": self.port,
            "unix_socket_directories": socket_directories(str(self._layout.sockets), self.port),
            "unix_socket_permissions": "0700",
            "logging_collector": False,
            "log_destination": "stderr",
        }
        descriptor = await asyncio.to_thread(self._log.open)
        try:
            process = await spawn(
                self._installation.tool("postgres"),
                *("-D", str(self._layout.data), *arguments(listening)),
                account=account,
                death_signal=signal.SIGINT,
                output=descriptor,
            )
        finally:
            os.close(descriptor)
        self._process = process
        try:
            await self._until_ready(process, timeout_s)
        except BaseException:
            send(process, signal.SIGQUIT)
            if not await ends(process, 5.0):
                await self._kill(process)
            raise

    async def _until_ready(self, process: asyncio.subprocess.Process, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while (
            await asyncio.to_thread(postmaster_status, self._layout.data, process.pid) not in _READY
        ):
            ended = await ends(process, _POLL_S)
            waited_s = loop.time() - began
            if ended or waited_s >= timeout_s:
                raise ServerStartFailed(
                    directory=str(self._layout.data),
                    exit_status=process.returncode,
                    waited_s=waited_s,
                    log_path=str(self.log_path),
                    log_tail=await asyncio.to_thread(self.log_tail),
                )

    async def _kill(self, process: asyncio.subprocess.Process) -> None:
        for pid in (process.pid, *await asyncio.to_thread(server_processes, self._layout.data)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await process.wait()

    def _initialisation_failed(
        self, program: str, exit_status: int, output: str
    ) -> ServerInitialisationFailed:
        return ServerInitialisationFailed(
            directory=str(self._layout.data),
            program=program,
            exit_status=exit_status,
            output=output,
        )

    def _summary(self) -> str:
        return f"127.0.0.1:{self._port}, process {self.pid}, data in {self._layout.data}"
