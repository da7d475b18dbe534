"""Processes of a daemon killed while it backs up: what it lists restores, with every row.

A writer commits numbered rows all along. The daemon, its worker, the programs that work for it and
the server itself are killed at random moments, and started again; the slot is dropped.

    make soak ARGS="-k whatever_is_killed --postgres=17 --minutes=30"
"""

import asyncio
import base64
import contextlib
import json
import logging
import os
import random
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from dbops.v1 import backup_pb2
from dbops_client import DbopsClient, DbopsError, Operation

from dbopsd.backup.backups import list_backups
from dbopsd.backup.catalog.kind import BackupState
from dbopsd.backup.model.requests import Depth, RecoveryTarget, VerifyBackupsRequest
from dbopsd.backup.verify_backups import verify_backups
from tests.support.backed_up import BACKUP_SETTINGS, backed_up, repository_of
from tests.support.backup_keys import KEYS
from tests.support.daemon import Daemon
from tests.support.demo.daemon import worker_processes
from tests.support.killed_imports import kill, new_daemon
from tests.support.operation_run import OperationRun
from tests.support.patience import eventually_blocking
from tests.support.receiving import lsn_of, process_ids, wait_until_archived
from tests.support.restores import restored_server
from tests.support.scratch import new_directory
from tests.support.servers import PostgresServer, PostgresServers
from tests.support.soak import Soak

_ENDS_S: Final = 180.0
_STORED_S: Final = 60.0

_log = logging.getLogger(__name__)


@dataclass
class Writer:
    """Commits rows 1, 2, 3 and so on; `acknowledged` is the last of which the server said so."""

    server: PostgresServer
    acknowledged: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)

    def write(self) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(psycopg.OperationalError):
                self._write_until_lost()
            self._stopped.wait(0.1)

    def _write_until_lost(self) -> None:
        with psycopg.connect(self.server.dsn(), autocommit=True) as connection:
            # A row may be there whose acknowledgement was lost.
            found = connection.execute("SELECT coalesce(max(n), 0) FROM rows").fetchone()
            assert found is not None
            self.acknowledged = max(self.acknowledged, found[0])
            while not self._stopped.is_set():
                following = self.acknowledged + 1
                connection.execute("INSERT INTO rows VALUES (%s, repeat('x', 1000))", (following,))
                self.acknowledged = following
                self._stopped.wait(0.01)

    @contextmanager
    def writing(self) -> Iterator[None]:
        thread = threading.Thread(target=self.write)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()


@dataclass
class Backing:
    """A daemon with a worker, that backs up a server."""

    server: PostgresServer
    place: Path
    config: str
    daemon: Daemon
    asked: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def client(self) -> DbopsClient:
        return DbopsClient(self.daemon.grpc_address, timeout_s=30)

    def restart(self) -> None:
        self.daemon.close()
        self.daemon = new_daemon(self.config, self.place / "state")

    def ask(self, chance: random.Random) -> None:
        """Begin something; what goes with nothing that is under way is refused."""
        backup = backup_pb2.Backup
        with self.client() as client:
            works: list[Callable[[], Operation[Any]]] = [
                lambda: client.backups.create("main", kind=backup.FULL),
                lambda: client.backups.create("main", kind=backup.INCREMENTAL),
                lambda: client.backups.apply_retention("main"),
                lambda: client.backups.rotate_keys("main", chance.choice(["k1", "k2"])),
                lambda: client.backups.verify("main"),
            ]
            chance.shuffle(works)
            for work in works:
                try:
                    self.asked.append(work().name)
                except DbopsError as error:
                    self.refused[error.reason] += 1
                else:
                    return

    def end_all(self) -> None:
        """Return once every operation has ended."""

        def ended() -> bool:
            with self.client() as client:
                return all(client.operations.get(name).done for name in self.asked)

        eventually_blocking(ended, _ENDS_S, "every operation ends")


def _kill_worker(backing: Backing, _chance: random.Random) -> None:
    for pid in worker_processes(backing.daemon):
        kill(pid)


def _kill_daemon(backing: Backing, _chance: random.Random) -> None:
    backing.daemon.kill()
    backing.restart()


def _kill_program(backing: Backing, _chance: random.Random) -> None:
    address = str(backing.server.port)
    for pid in process_ids(
        lambda line: (
            line.partition(" ")[0].endswith(("pg_receivewal", "pg_basebackup")) and address in line
        )
    ):
        kill(pid)


def _restart_server(backing: Backing, chance: random.Random) -> None:
    backing.server.stop(chance.choice(["fast", "immediate"]))
    backing.server.start()


def _stop_worker(backing: Backing, chance: random.Random) -> None:
    """Suspend it until another would take its work over, and have it go on."""
    found = worker_processes(backing.daemon)
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    time.sleep(chance.uniform(0, 5))
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _drop_slot(backing: Backing, _chance: random.Random) -> None:
    """Nothing is lost by it alone: the server keeps WAL for `wal_keep_size`, too."""
    backing.server.execute(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active"
    )


_FAULTS: Final[Mapping[str, Callable[[Backing, random.Random], None]]] = {
    "worker": _kill_worker,
    "daemon": _kill_daemon,
    "program": _kill_program,
    "server": _restart_server,
    "stopped": _stop_worker,
    "slot": _drop_slot,
}


@pytest.fixture
def backing(servers: PostgresServers, postgres_version: int) -> Iterator[Backing]:
    settings = dict(BACKUP_SETTINGS)
    if postgres_version >= 17:
        settings["summarize_wal"] = True
    server = servers.disposable(postgres_version, settings)
    server.execute("CREATE TABLE rows (n int PRIMARY KEY, filling text)")
    place = new_directory("dbopsd-killed-")
    for name in ("k1", "k2"):
        (place / name).write_bytes(base64.b64encode(KEYS[name]))
    config = "\n".join(
        [
            "[databases.main]",
            f"dsn = {json.dumps(server.dsn())}",
            f"pg_bin = {json.dumps(str(server.bin_dir))}",
            "[databases.main.backup]",
            f"store = {json.dumps((place / 'store').as_uri())}",
            "wal_flush_s = 1",
            "[databases.main.backup.keys]",
            'current = "k1"',
            *(f'{name} = "file:{place / name}"' for name in ("k1", "k2")),
            "[databases.main.backup.retention]",
            'keep = 2\ngrace = "0s"',
            "[operations]",
            "heartbeat_s = 0.5\ntakeover_after_s = 3\nmax_lost_workers = 1000",
        ]
    )
    found = Backing(server, place, config, new_daemon(config, place / "state"))
    try:
        yield found
    finally:
        found.daemon.close()
        servers.discard(server)
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.soak
@pytest.mark.timeout(6 * 3600)
async def test_whatever_is_killed_what_is_listed_restores(backing: Backing, soak: Soak) -> None:
    chance = soak.random()
    names = list(_FAULTS)
    writer = Writer(backing.server)
    with writer.writing():
        turns = 0
        while turns < soak.scale(6, 100) and not soak.over:
            await asyncio.to_thread(backing.ask, chance)
            await asyncio.sleep(chance.uniform(0, soak.scale(1.5, 5.0)))
            name = names[turns] if turns < len(names) else chance.choice(names)
            turns += 1
            _log.info("turn %d: %s", turns, name)
            await asyncio.to_thread(_FAULTS[name], backing, chance)
        await asyncio.to_thread(backing.end_all)
        await _require_full(backing)
    _log.info("%d operations, and refused: %s", len(backing.asked), dict(backing.refused))
    assert len(backing.asked) >= turns * 6 // 10, backing.refused
    await _require_whole(backing, writer, soak)


async def _require_full(backing: Backing) -> None:
    """Once nobody kills anything any more, a backup is made."""

    def made() -> bool:
        with backing.client() as client:
            begun = client.backups.create("main", kind=backup_pb2.Backup.FULL)
            begun.result(timeout_s=_ENDS_S)
        return True

    await asyncio.to_thread(eventually_blocking, made, _ENDS_S, "a backup is made")


async def _require_whole(backing: Backing, writer: Writer, soak: Soak) -> None:
    """Raise AssertionError unless all that is listed is whole and restores with every row."""
    sources = {name: f"file:{backing.place / name}" for name in ("k1", "k2")}
    async with backed_up(
        backing.server,
        backing.place,
        keys={"current": "k1", **sources},
        restore_roots=[str(backing.place)],
    ) as database:
        lsn = await asyncio.to_thread(lsn_of, backing.server)
        await wait_until_archived(database, backing.server, lsn, timeout=_STORED_S)
        run = OperationRun(database, backing.place)
        depth = soak.scale(Depth.OBJECTS, Depth.CONTENTS)
        verified = await verify_backups(run, VerifyBackupsRequest(all=True, depth=depth))
        assert verified.ok, verified
        async with repository_of(database) as repository:
            listed = await list_backups(repository, expired=True)
        assert listed
        assert {each.state for each in listed} <= {BackupState.COMPLETE, BackupState.EXPIRED}
        for number, each in enumerate(listed if soak.long else listed[:1]):
            into = backing.place / f"restored-{number}"
            id_ = each.name.rpartition("/")[2]
            asked = {"directory": str(into), "backup_id": id_}
            latest = RecoveryTarget(latest=True)
            async with restored_server(database, backing.place, latest, **asked) as (_, restored):
                found = restored.execute("SELECT count(*), max(n) FROM rows").fetchone()
                assert found == (writer.acknowledged, writer.acknowledged), id_
            shutil.rmtree(into)
