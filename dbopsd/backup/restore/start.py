"""Starts a restored cluster where nobody but us reaches it, and confirms where recovery ended."""

import asyncio
import contextlib
import os
import re
import shlex
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.model.reports import ReachedMoment
from dbopsd.backup.model.requests import TargetAction
from dbopsd.backup.restore.cluster import RestoredCluster
from dbopsd.backup.restore.directory import read_owned
from dbopsd.backup.restore.errors import DirectoryUnusable, RecoveryFailed
from dbopsd.backup.restore.recovery_settings import scratch_settings
from dbopsd.db.server.account import ServerAccount
from dbopsd.db.server.directories import check_reachable, make_directory, write_private
from dbopsd.db.server.errors import StateDirectoryUnreachable
from dbopsd.db.server.installation import Installation, reachable
from dbopsd.db.server.leftovers import end_leftovers, server_processes
from dbopsd.db.server.process import command_as
from dbopsd.db.server.process import run as run_as
from dbopsd.db.server.settings import Settings, arguments, conninfo, socket_directories
from dbopsd.db.statement import load_sql
from dbopsd.operations.kind import Run

RESTORES: Final = "restores"
"""The folder in a worker's state directory that is this kind's."""

PORT: Final = 5432
_ACCESS_FILE: Final = "dbopsd_hba.conf"
_LOG_FILE: Final = "dbopsd_restore.log"
_STATE: Final = load_sql(__package__, "recovery_state.sql").statement.query_text
_REPLAYING: Final = re.compile(r"\bstartup +recovering ([0-9A-F]{24})")
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
_LOG_TAIL_BYTES: Final = 2000
# pg_ctl waits for recovery, however long: the operation has a limit of its own.
_PATIENCE_S: Final = 10**8


@dataclass(frozen=True)
class RestoredServer:
    """A restored cluster's server. It listens on a socket that only its account, and root, reach.

    Whoever reaches it is whom he says he is: `superuser` is known once recovery is over.
    """

    run: Run
    restored: RestoredCluster
    sockets: Path
    superuser: str = ""

    def conninfo(self, dbname: str = "postgres", user: str = "") -> str:
        """How to connect; there is no password."""
        return conninfo(
            host=str(self.sockets), port=PORT, user=user or self.superuser, dbname=dbname
        )


def cannot_enter(data: Path, unreachable: str, account: ServerAccount) -> DirectoryUnusable:
    """The error for a directory that the server could not run in."""
    problem = (
        f"account '{account.name}', which PostgreSQL runs as, cannot enter '{unreachable}': let it "
        "search that (chmod o+x), or restore without starting it"
    )
    return DirectoryUnusable(str(data), problem)


@asynccontextmanager
async def started(run: Run, restored: RestoredCluster) -> AsyncIterator[RestoredServer]:
    """The server, for the time of the context, once recovery has ended or has paused.

    It takes no more memory than a drill needs. However this process ends, the server ends with it.
    Raises `RecoveryFailed`.
    """
    account, data = restored.account, restored.data
    installation = await _installation(run, restored)
    control = await run_as(installation.tool("pg_controldata"), "-D", str(data), account=account)
    scratch = scratch_settings(installation.major, control.output, restored.action)
    sockets = await _prepare(restored)
    command = command_as(
        account,
        installation.tool("postgres"),
        *("-D", str(data)),
        *arguments({**_settings(restored, sockets), **scratch}),
        death_signal=signal.SIGQUIT,
    )
    try:
        async with run.program(*command, summary="postgres") as program:
            ending = asyncio.create_task(program.wait())
            try:
                server = RestoredServer(run, restored, sockets)
                yield await _until_recovered(
                    server, ending.done, lambda: program.stderr.decode(errors="replace")
                )
            finally:
                ending.cancel()
    finally:
        await _remove_sockets(sockets, data)


async def leave_running(run: Run, restored: RestoredCluster) -> RestoredServer:
    """Start the server so that it stays, and return once recovery has ended or has paused.

    If that fails it is ended. Raises `RecoveryFailed`.
    """
    account, data = restored.account, restored.data
    installation = await _installation(run, restored)
    sockets = await _prepare(restored)
    log = data / _LOG_FILE
    try:
        done = await run_as(
            installation.tool("pg_ctl"),
            *("start", "--wait", f"--timeout={_PATIENCE_S}", "--silent"),
            *("-D", str(data), "-l", str(log)),
            *("-o", shlex.join(arguments(_settings(restored, sockets)))),
            account=account,
        )
        if done.exit_status != 0:
            raise _failed(restored, await asyncio.to_thread(_tail, log, account) or done.output)

        def ended() -> bool:
            return not server_processes(data)

        server = RestoredServer(run, restored, sockets)
        return await _until_recovered(server, ended, lambda: _tail(log, account))
    except BaseException:
        await asyncio.shield(end_leftovers(data))
        await asyncio.shield(_remove_sockets(sockets, data))
        raise


async def confirm(server: RestoredServer) -> ReachedMoment:
    """Where recovery ended. Raises `RecoveryFailed` unless that is where it was to end."""
    plan = server.restored.plan
    state = await _ask(server, server.superuser)
    if state is None:
        raise _failed(server.restored, "the server does not answer")
    missed = plan.stop.missed_by(state.reached, plan.backup.stop_lsn)
    if missed:
        raise _failed(server.restored, missed)
    return ReachedMoment(state.last_commit, str(state.reached), plan.target.xid, plan.target.name)


async def barrier(place: Path, account: ServerAccount) -> str:
    """The directory at or above a place that the server's account cannot enter; empty: none."""
    try:
        await check_reachable(place, account)
    except StateDirectoryUnreachable as error:
        return error.barrier
    return ""


@dataclass(frozen=True, slots=True)
class _State:
    recovering: bool
    reached: Lsn
    last_commit: datetime | None
    superuser: str


async def _until_recovered(
    server: RestoredServer, ended: Callable[[], bool], log: Callable[[], str]
) -> RestoredServer:
    run, restored = server.run, server.restored
    users = dict.fromkeys([run.database.dsn.role, "postgres", restored.account.name])
    start = restored.plan.backup.start_lsn
    stop = restored.plan.stop.record
    total = max(0, stop.lsn - start) if stop else 0
    pause_s = _FIRST_PAUSE_S
    while True:
        if await asyncio.to_thread(ended):
            raise _failed(restored, await asyncio.to_thread(log))
        for user in filter(None, users):
            state = await _ask(server, user)
            if state is None:
                continue
            if not state.recovering:
                return replace(server, superuser=state.superuser)
            break
        reached = await asyncio.to_thread(_replaying, restored)
        if reached:
            run.progress("recover", max(0, reached - start), total, "By")
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


async def _ask(server: RestoredServer, user: str) -> _State | None:
    """What the server says; None if it does not let us in (yet)."""
    done = await server.run.child(
        str(server.restored.plan.installation.tool("psql")),
        *("--no-psqlrc", "--no-password", "--tuples-only", "--no-align", "--field-separator=\t"),
        *("--dbname", server.conninfo("postgres", user), "--command", _STATE),
        summary="psql",
    )
    fields = done.stdout.decode().rstrip("\n").split("\t")
    if done.exit_status != 0 or len(fields) != 4:
        return None
    recovering, reached, last_commit, superuser = fields
    return _State(
        recovering == "t",
        Lsn.parse(reached) if reached else Lsn(0),
        datetime.fromisoformat(last_commit).replace(tzinfo=UTC) if last_commit else None,
        superuser,
    )


def _replaying(restored: RestoredCluster) -> Lsn:
    """Where the segment begins that is replayed, of a server that lets nobody in; 0: not known."""
    for pid in server_processes(restored.data):
        with contextlib.suppress(OSError):
            title = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            if found := _REPLAYING.search(title):
                return Segment.parse(found[1], restored.plan.backup.segment_bytes).start
    return Lsn(0)


def _settings(restored: RestoredCluster, sockets: Path) -> Settings:
    """What a server has that is not to meet the one that it is a copy of, nor its peers."""
    data = restored.data
    return {
        "data_directory": str(data),
        "hba_file": str(data / _ACCESS_FILE),
        "external_pid_file": "",
        "listen_addresses": "",
        "port": PORT,
        "unix_socket_directories": socket_directories(str(sockets), PORT),
        "unix_socket_permissions": "0700",
        "unix_socket_group": "",
        "ssl": False,
        "logging_collector": False,
        "log_destination": "stderr",
        # A hot standby pauses where the WAL tells that the live server got more connections.
        "hot_standby": restored.action is TargetAction.PAUSE,
        "update_process_title": True,
        "archive_mode": False,
        # Its subscriptions are those of the live server, and so are its jobs.
        "max_logical_replication_workers": 0,
        "cron.launch_active_jobs": False,
    }


async def _installation(run: Run, restored: RestoredCluster) -> Installation:
    """PostgreSQL's programs, where the server's account can run them."""
    account, installation = restored.account, restored.plan.installation
    folder = run.state_dir / RESTORES
    await asyncio.to_thread(make_directory, folder, account)
    copies = folder / f"installation-{installation.major}"
    return await reachable(installation, account, copies)


async def _prepare(restored: RestoredCluster) -> Path:
    """The directory for the socket, and the file that lets in whoever gets there."""
    account, data = restored.account, restored.data
    unreachable = await barrier(data, account)
    if unreachable:
        raise cannot_enter(data, unreachable, account)
    access = "local all all trust\nlocal replication all trust\n"
    await asyncio.to_thread(write_private, data / _ACCESS_FILE, access, account)
    if socket_directories(str(data), PORT):
        return data
    return await asyncio.to_thread(_short_directory, account)


def _short_directory(account: ServerAccount) -> Path:
    """One whose path is short enough for a socket."""
    made = Path(tempfile.mkdtemp(prefix="dbopsd-restored-", dir="/tmp"))  # 0700, random
    if account.foreign:
        os.chown(made, account.uid, account.gid)
    return made


async def _remove_sockets(sockets: Path, data: Path) -> None:
    if sockets == data:
        return
    for entry in await asyncio.to_thread(lambda: list(sockets.iterdir())):
        entry.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        await asyncio.to_thread(sockets.rmdir)


def _tail(log: Path, account: ServerAccount) -> str:
    return (read_owned(log, account.uid) or "")[-_LOG_TAIL_BYTES:]


def _failed(restored: RestoredCluster, log: str) -> RecoveryFailed:
    """The error, with what the server says last of what went wrong."""
    lines = log.strip().splitlines()
    grave = [line for line in lines if "FATAL" in line or "PANIC" in line or "could not" in line]
    cause = " ".join((grave or lines or ["it said nothing"])[-1].split())
    return RecoveryFailed(str(restored.data), restored.plan.described_target, cause)
