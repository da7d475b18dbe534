"""A drill whose processes are killed leaves no server, no directory and no lease."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbops.v1 import operations_pb2
from dbops_client import DbopsClient

from dbopsd.db.server.leftovers import server_processes
from tests.support.backed_up import BACKUP_SETTINGS
from tests.support.backup_site import BackupSite, backup_site
from tests.support.demo.daemon import worker_processes
from tests.support.installations import DEFAULT_VERSION
from tests.support.killed_imports import kill
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServers
from tests.support.soak import Soak

State = operations_pb2.OperationMetadata
ENDS_S = 120.0
PROMPT = "[operations]\nheartbeat_s = 0.5\ntakeover_after_s = 3\nmax_lost_workers = 1000"

pytestmark = pytest.mark.thorough


@pytest.fixture
def site(servers: PostgresServers) -> Iterator[BackupSite]:
    server = servers.disposable(DEFAULT_VERSION, {**BACKUP_SETTINGS, "summarize_wal": True})
    with backup_site(server, more=PROMPT) as found:
        found.sql("CREATE TABLE numbers (number int PRIMARY KEY)")
        found.add(1)
        found.json("create")
        found.add(2)
        found.json("create", "--kind", "incremental")
        found.wait_until_archived()
        yield found
    servers.discard(server)


def begin(site: BackupSite) -> str:
    """The name of a drill that has begun."""
    answer = site.dbops("drill", "--latest", "--no-wait")
    assert answer.code == 0, answer.err
    return answer.out.strip()


def scratch_servers(site: BackupSite) -> list[int]:
    return [pid for path in drills(site) for pid in server_processes(path)]


def drills(site: BackupSite) -> list[Path]:
    folder = site.daemon.state_dir / "drills"
    return list(folder.iterdir()) if folder.exists() else []


def leases(site: BackupSite) -> list[Path]:
    """The leases in the store, but for those of the WAL receiver's own backups."""
    return [path for path in (site.directory / "store").rglob("leases/*/*") if path.is_file()]


def kill_all(site: BackupSite) -> None:
    """SIGKILL to the daemon and its worker, one right after the other."""
    workers = worker_processes(site.daemon)
    site.daemon.kill()
    for pid in workers:
        kill(pid)


def ended(site: BackupSite, name: str) -> "State.State.ValueType":
    def state() -> "State.State.ValueType | None":
        with DbopsClient(site.daemon.grpc_address) as client:
            found = client.operations.get(name)
            return found.metadata.state if found.done else None

    found = eventually_blocking(state, ENDS_S, f"{name} ends")
    assert found is not None
    return found


def require_nothing(site: BackupSite, name: str) -> None:
    """AssertionError where something is left of the drill."""
    assert scratch_servers(site) == []
    assert drills(site) == []
    assert leases(site) == []
    scratch = site.daemon.state_dir / "scratch" / name.rpartition("/")[2]
    eventually_blocking(lambda: not scratch.exists(), 10, "its scratch directory is gone")


def test_a_drill_that_is_killed_is_made_anew_and_leaves_nothing(site: BackupSite) -> None:
    name = begin(site)
    eventually_blocking(lambda: scratch_servers(site), ENDS_S, "the drill has a server")
    assert leases(site)
    kill_all(site)
    eventually_blocking(lambda: not scratch_servers(site), 10, "the server goes with its drill")
    assert drills(site)
    site.start()
    assert ended(site, name) == State.SUCCEEDED
    require_nothing(site, name)


def test_a_drill_that_is_killed_and_cancelled_leaves_nothing(site: BackupSite) -> None:
    name = begin(site)
    eventually_blocking(lambda: scratch_servers(site), ENDS_S, "the drill has a server")
    kill_all(site)
    site.start(workers=0)
    with DbopsClient(site.daemon.grpc_address) as client:
        client.operations.cancel(name)
    assert leases(site)
    site.daemon.terminate()
    site.start()
    assert ended(site, name) == State.CANCELLED
    require_nothing(site, name)


@pytest.mark.soak
@pytest.mark.timeout(2 * 3600)
def test_drills_that_are_killed_at_any_moment_leave_nothing(site: BackupSite, soak: Soak) -> None:
    chance = soak.random()
    for _ in range(soak.scale(2, 40)):
        name = begin(site)
        time.sleep(chance.uniform(0, 6))
        kill_all(site)
        eventually_blocking(lambda: not scratch_servers(site), 10, "the server goes, too")
        site.start()
        assert ended(site, name) == State.SUCCEEDED
        require_nothing(site, name)
