"""A restore that dies at any moment leaves nothing that looks like a cluster, and is done again."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbopsd.backup.model.requests import RecoveryTarget
from dbopsd.backup.restore.errors import DirectoryNotEmpty
from dbopsd.db.database import Database
from tests.support.backed_up import BACKUP_SETTINGS, backed_up, storing_wal
from tests.support.daemon import ROOT
from tests.support.patience import eventually_blocking
from tests.support.restores import back_up, restore, restored_server
from tests.support.scratch import new_directory
from tests.support.servers import PostgresServers
from tests.support.soak import Soak

_log = logging.getLogger(__name__)

# The same restore in a process of its own, which is killed.
_PROGRAM = """
import asyncio, sys
from pathlib import Path
from dbopsd.backup.model.requests import RecoveryTarget
from tests.support.backed_up import backed_up
from tests.support.patience import eventually_blocking
from tests.support.restores import restore

class Gone:
    bin_dir = Path(sys.argv[2])
    def dsn(self):
        return sys.argv[3]

async def main():
    place = Path(sys.argv[1])
    async with backed_up(Gone(), place, restore_roots=[str(place)]) as database:
        print("ready", flush=True)
        await restore(
            database, place, RecoveryTarget(latest=True), directory=str(place / "to"),
            operation="op1", start=len(sys.argv) > 4,
        )
        print("done", flush=True)

asyncio.run(main())
"""


@pytest.fixture
def place() -> Iterator[Path]:
    directory = new_directory("dbopsd-restore-")
    yield directory
    shutil.rmtree(directory)


def _killed(place: Path, bin_dir: Path, dsn: str, after_s: float, *, started: bool = False) -> bool:
    """Whether the restore was killed before its end; with `started`, once its server is there."""
    command = [sys.executable, "-c", _PROGRAM, str(place), str(bin_dir), dsn]
    if started:
        command.append("start")
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if started:
            pid_file = place / "to/postmaster.pid"
            eventually_blocking(pid_file.exists, timeout=60, what="the server starts")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=after_s)
        os.kill(process.pid, signal.SIGKILL)
        return "done" not in process.stdout.read()


async def _restored_again(database: Database, place: Path) -> None:
    target = RecoveryTarget(latest=True)
    directory = str(place / "to")
    if any((place / "to").iterdir() if (place / "to").exists() else ()):
        with pytest.raises(DirectoryNotEmpty):
            await restore(database, place, target, directory=directory, operation="op2")
    async with restored_server(database, place, target, directory=directory, operation="op1") as (
        _,
        restored,
    ):
        assert restored.execute("SELECT n FROM counted").fetchall() == [(1,), (2,)]
    assert not [each for each in (place / "to").iterdir() if each.name.startswith(".dbopsd")]


@pytest.mark.soak
async def test_a_restore_that_is_killed_is_done_again_and_by_nobody_else(
    servers: PostgresServers, place: Path, soak: Soak
) -> None:
    server = servers.disposable(18, {**BACKUP_SETTINGS, "summarize_wal": True})
    chance = soak.random()
    killed = 0
    async with backed_up(server, place, restore_roots=[str(place)]) as database:
        async with storing_wal(server, database):
            server.execute("CREATE TABLE counted (n int)")
            await back_up(database, place)
            server.execute("INSERT INTO counted VALUES (1)")
            server.execute("INSERT INTO counted VALUES (2)")
        dsn = server.dsn()
        servers.discard(server)
        for number in range(soak.scale(2, 60)):
            if soak.over:
                break
            started = number % 2 == 1
            after_s = chance.uniform(0.0, 0.05 if started else 1.5)
            _log.info("restore %d: killed after %.3f s, started: %s", number, after_s, started)
            killed += await asyncio.to_thread(
                _killed, place, server.bin_dir, dsn, after_s, started=started
            )
            if (place / "to/PG_VERSION").exists():
                # All of it is there by then.
                assert (place / "to/postgresql.auto.conf").exists()
                assert (place / "to/global/pg_control").exists()
                marks = [each.name for each in (place / "to").iterdir() if "dbopsd" in each.name]
                if not marks:
                    shutil.rmtree(place / "to")
            await _restored_again(database, place)
            shutil.rmtree(place / "to")
    assert killed
