"""One failure of the store at any call of backup, WAL archiving, retention and rotation.

Whatever the work then says, its next attempt succeeds, everything that is listed is whole, a
restore has every row that was committed before its WAL was stored, and maintenance that is run
again changes nothing.
"""

import asyncio
import base64
import contextlib
import random
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from dbopsd.backup.apply_retention import apply_retention
from dbopsd.backup.backups import list_backups
from dbopsd.backup.catalog.kind import BackupKind, BackupState
from dbopsd.backup.model.requests import (
    ApplyRetentionRequest,
    RecoveryTarget,
    RotateKeysRequest,
    VerifyBackupsRequest,
)
from dbopsd.backup.rotate_keys import rotate_keys
from dbopsd.backup.verify_backups import verify_backups
from dbopsd.db.database import Database
from dbopsd.errors import DbopsError
from tests.support.backed_up import BACKUP_SETTINGS, backed_up, repository_of
from tests.support.backup_keys import KEYS
from tests.support.failing_store import FOR_EVER, Fault, Faults, stores_that_fail
from tests.support.operation_run import OperationRun
from tests.support.patience import eventually
from tests.support.receiving import archived, lsn_of, receiving, wait_until_archived
from tests.support.restores import back_up, restored_server
from tests.support.scratch import new_directory
from tests.support.servers import PostgresServer, PostgresServers
from tests.support.soak import Soak

_ANSWER_S: Final = 0.5
_FLUSH_S: Final = 0.5
_JUDGED_EVERY: Final = 10


@dataclass
class _Site:
    """A server whose backups and WAL go to a store, and the rows that were committed on it."""

    server: PostgresServer
    database: Database
    place: Path
    rows: int = 0
    restores: int = 0
    key: str = "k1"
    done: list[str] = field(default_factory=list)

    def run(self) -> OperationRun:
        return OperationRun(self.database, self.place)

    def files(self) -> set[str]:
        store = self.place / "store"
        found = (path.relative_to(store) for path in store.rglob("*") if path.is_file())
        return {str(path) for path in found if path.parts[0] != ".incoming"}

    async def commit_row(self) -> None:
        self.rows += 1
        statement = f"INSERT INTO rows VALUES ({self.rows}, repeat('x', 2000))"
        await asyncio.to_thread(self.server.execute, statement)

    @asynccontextmanager
    async def around(self, work: str) -> AsyncIterator[None]:
        """What else goes on: while a backup is made, WAL is received, to a store that works."""
        if work not in ("full", "incremental"):
            yield
            return
        async with receiving(self.database, self.place / "state"):
            await self.all_stored()
            yield
            await self.all_stored()

    async def all_stored(self) -> None:
        lsn = await asyncio.to_thread(lsn_of, self.server)
        await wait_until_archived(self.database, self.server, lsn, timeout=60)


async def _full(site: _Site, _faults: Faults) -> None:
    await back_up(site.database, site.place)


async def _incremental(site: _Site, _faults: Faults) -> None:
    await back_up(site.database, site.place, kind=BackupKind.INCREMENTAL)


async def _wal(site: _Site, faults: Faults) -> None:
    """Receive what was written, until it is stored or the store has failed a few times."""
    await asyncio.to_thread(site.server.execute, "SELECT pg_switch_wal()")
    await site.commit_row()
    lsn = await asyncio.to_thread(lsn_of, site.server)
    quiet = Faults()

    async def enough() -> bool:
        if faults.count == FOR_EVER and faults.happened > 2:
            return True
        with stores_that_fail(quiet):
            return (await archived(site.database, site.server)).covers(lsn)

    async with receiving(site.database, site.place / "state"):
        await eventually(enough, timeout=60, what=f"WAL before {lsn} is stored")


async def _retention(site: _Site, _faults: Faults) -> None:
    await apply_retention(site.run(), ApplyRetentionRequest())


async def _rotation(site: _Site, _faults: Faults) -> None:
    await rotate_keys(site.run(), RotateKeysRequest(to=site.key))


_WORKS: Final[Mapping[str, Callable[[_Site, Faults], Awaitable[None]]]] = {
    "full": _full,
    "incremental": _incremental,
    "wal": _wal,
    "retention": _retention,
    "rotation": _rotation,
}


@pytest.fixture(scope="module")
def server(servers: PostgresServers, postgres_version: int) -> Iterator[PostgresServer]:
    settings = {**BACKUP_SETTINGS, "summarize_wal": True}
    server = servers.disposable(postgres_version, settings)
    server.execute("CREATE TABLE rows (n int PRIMARY KEY, filling text)")
    yield server
    servers.discard(server)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the account of a restored server reaches."""
    directory = new_directory("dbopsd-campaign-")
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
async def site(server: PostgresServer, place: Path) -> AsyncIterator[_Site]:
    sources = {}
    for name in ("k1", "k2"):
        path = place / name
        path.write_bytes(base64.b64encode(KEYS[name]))
        sources[name] = f"file:{path}"
    async with backed_up(
        server,
        place,
        keys={"current": "k1", **sources},
        retention={"keep": 2, "window": None, "grace": "0s"},
        timeout_s=_ANSWER_S,
        wal_flush_s=_FLUSH_S,
        restore_roots=[str(place)],
    ) as database:
        yield _Site(server, database, place)


@pytest.mark.soak
@pytest.mark.timeout(24 * 3600)
async def test_a_failure_at_any_call_loses_nothing(site: _Site, soak: Soak) -> None:
    chance = soak.random()
    positions = {}
    for name, work in _WORKS.items():
        await site.commit_row()
        async with site.around(name):
            with stores_that_fail(Faults()) as counted:
                await work(site, counted)
        positions[name] = len(counted.calls)
        assert counted.calls
    cases = [
        (name, fault, at, count)
        for name, calls in positions.items()
        for fault in Fault
        for at in range(calls)
        for count in (1, FOR_EVER)
    ]
    chance.shuffle(cases)
    if not soak.long:
        cases = _one_of_each_work(cases)
    for number, (name, fault, at, count) in enumerate(cases, 1):
        times = "once" if count == 1 else "for ever"
        site.done.append(f"{name} {fault.value} at {at} of {positions[name]} {times}")
        await _fail_once(site, name, Faults(fault, at, count), chance)
        if number % _JUDGED_EVERY == 0:
            await _judge(site, soak)
    await _judge(site, soak)


def _one_of_each_work(
    cases: list[tuple[str, Fault, int, int]],
) -> list[tuple[str, Fault, int, int]]:
    # What hangs for ever takes its deadline at every attempt.
    quick = [case for case in cases if case[1] is not Fault.HANG or case[3] == 1]
    return [next(case for case in quick if case[0] == name) for name in _WORKS]


async def _fail_once(site: _Site, name: str, faults: Faults, chance: random.Random) -> None:
    site.key = chance.choice(["k1", "k2"])
    await site.commit_row()
    work = _WORKS[name]
    async with site.around(name):
        with stores_that_fail(faults), contextlib.suppress(DbopsError):
            await work(site, faults)
        try:
            await work(site, Faults())
        except Exception as error:
            raise AssertionError(site.done[-1]) from error


async def _judge(site: _Site, soak: Soak) -> None:
    """Raise AssertionError where something is damaged, lost or changes for no reason."""
    about = "; ".join(site.done[-_JUDGED_EVERY:])
    async with site.around("full"):
        await site.commit_row()
    verified = await verify_backups(site.run(), VerifyBackupsRequest(all=True))
    assert all(each.ok for each in verified.backups), f"{verified} after {about}"
    assert not verified.wal.gaps, f"{verified} after {about}"
    async with repository_of(site.database) as repository:
        listed = await list_backups(repository, expired=True)
    assert {each.state for each in listed} == {BackupState.COMPLETE}, about
    latest = RecoveryTarget(latest=True)
    names = ["", *(each.name.rpartition("/")[2] for each in listed)]
    for id_ in names if soak.long else names[1:2]:
        site.restores += 1
        into = site.place / f"restored-{site.restores}"
        asked = {"directory": str(into), "backup_id": id_}
        async with restored_server(site.database, site.place, latest, **asked) as (_, restored):
            found = restored.execute("SELECT count(*), max(n) FROM rows").fetchone()
            assert found == (site.rows, site.rows), f"{id_ or 'newest'} after {about}"
        shutil.rmtree(into)
    for name in ("retention", "rotation"):
        await _WORKS[name](site, Faults())
        before = site.files()
        await _WORKS[name](site, Faults())
        assert site.files() == before, f"{name} again, after {about}"
