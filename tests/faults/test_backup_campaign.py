"""One failure of the store at every call of backup, WAL archiving, retention and rotation.

Whatever the work then says, its next attempt succeeds, everything that is listed is whole, a
restore has every row that was committed before its WAL was stored, and maintenance that is run
again changes nothing.

    make soak ARGS="-k any_call --minutes=30 --log-file=LOG --log-file-level=INFO"

writes down each case as it begins; `--seed` has them come in the same order again.
"""

import asyncio
import base64
import contextlib
import logging
import random
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
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
    Depth,
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
from tests.support.failing_store import FOR_EVER, Call, Fault, Faults, stores_that_fail
from tests.support.operation_run import OperationRun
from tests.support.patience import eventually
from tests.support.receiving import archived, lsn_of, receiving, wait_until_archived
from tests.support.restores import back_up, restored_server
from tests.support.scratch import new_directory
from tests.support.servers import PostgresServer, PostgresServers
from tests.support.soak import Soak

_ANSWER_S: Final = 0.5
_FLUSH_S: Final = 0.5
_JUDGED_EVERY: Final = 20
_INCREMENTAL_SINCE: Final = 17
_WAYS: Final = [(fault, count) for fault in Fault for count in (1, FOR_EVER)]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Case:
    """A work of whose calls to the store `count` fail, from number `at` on."""

    work: str
    at: int
    fault: Fault
    count: int

    def __str__(self) -> str:
        times = "once" if self.count == 1 else "for ever"
        return f"{self.work} {self.fault.value} at {self.at} {times}"


@dataclass
class _Site:
    """A server whose backups and WAL go to a store, and the rows that were committed on it."""

    server: PostgresServer
    database: Database
    place: Path
    kept: int
    """How many full backups retention keeps."""
    rows: int = 0
    restores: int = 0
    key: str = "k1"
    done: list[str] = field(default_factory=list)
    """Every failure so far, in words."""
    missed: list[str] = field(default_factory=list)
    """Those whose call was not made: a work makes more calls at one time than at another."""

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

    async def prepare(self, work: str) -> None:
        """Give the work something to do."""
        await self.commit_row()
        if work == "retention":
            # One more than is kept.
            async with self.around("full"):
                await back_up(self.database, self.place)
        if work == "rotation":
            self.key = "k2" if self.key == "k1" else "k1"

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
    settings = dict(BACKUP_SETTINGS)
    if postgres_version >= _INCREMENTAL_SINCE:
        settings["summarize_wal"] = True
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
async def site(server: PostgresServer, place: Path, soak: Soak) -> AsyncIterator[_Site]:
    sources = {}
    for name in ("k1", "k2"):
        path = place / name
        path.write_bytes(base64.b64encode(KEYS[name]))
        sources[name] = f"file:{path}"
    kept = soak.scale(1, 2)
    async with backed_up(
        server,
        place,
        keys={"current": "k1", **sources},
        retention={"keep": kept, "window": None, "grace": "0s"},
        timeout_s=_ANSWER_S,
        wal_flush_s=_FLUSH_S,
        restore_roots=[str(place)],
    ) as database:
        yield _Site(server, database, place, kept)


@pytest.mark.soak
@pytest.mark.timeout(24 * 3600)
async def test_a_failure_at_any_call_loses_nothing(site: _Site, soak: Soak) -> None:
    chance = soak.random()
    cases = _cases(soak.seed, await _calls(site))
    if not soak.long:
        cases = _one_of_each_work(cases)
    for number, case in enumerate(cases, 1):
        _log.info("%d of %d: %s", number, len(cases), case)
        await _fail_once(site, case)
        if number % _JUDGED_EVERY == 0:
            await _judge(site, chance.sample)
            if soak.over:
                break
    depth = soak.scale(Depth.OBJECTS, Depth.CONTENTS)
    await _judge(site, lambda names, _: names if soak.long else names[1:2], depth)
    _log.info("%d failures; %d more did not happen", len(site.done), len(site.missed))
    assert len(site.missed) <= len(site.done) // 4, site.missed


async def _calls(site: _Site) -> dict[str, list[Call]]:
    """The calls of each work, once there are as many backups as are kept."""
    found = {}
    works = [*["full"] * (site.kept - 1), *_WORKS]
    if site.server.version < _INCREMENTAL_SINCE:
        works.remove("incremental")
    for name in works:
        await site.prepare(name)
        async with site.around(name):
            with stores_that_fail(Faults()) as counted:
                await _WORKS[name](site, counted)
        assert counted.calls
        found[name] = counted.calls
        _log.info("%s: %d calls", name, len(counted.calls))
    return found


def _cases(seed: int, calls: Mapping[str, Sequence[Call]]) -> list[_Case]:
    """Every failure of every call, in rounds: in each of them, every call fails in some way.

    A work makes a call more or less at another time: the others come in the same order all the
    same.
    """
    placed = []
    for name, made in calls.items():
        for at, call in enumerate(made):
            chance = random.Random(f"{seed} {name} {at}")
            ways = _ways(call)
            for turn, (fault, count) in enumerate(chance.sample(ways, k=len(ways))):
                placed.append((turn, chance.random(), _Case(name, at, fault, count)))
    return [case for _, _, case in sorted(placed, key=lambda each: each[:2])]


def _ways(call: Call) -> list[tuple[Fault, int]]:
    """How a call may fail: that there is no room is nothing to one that needs none."""
    return [each for each in _WAYS if each[0] is not Fault.FULL or call.method == "create"]


def _one_of_each_work(cases: Sequence[_Case]) -> list[_Case]:
    # What hangs for ever takes its deadline at every attempt.
    quick = [case for case in cases if case.fault is not Fault.HANG or case.count == 1]
    return [
        next(case for case in quick if case.work == name)
        for name in dict.fromkeys(case.work for case in cases)
    ]


async def _fail_once(site: _Site, case: _Case) -> None:
    await site.prepare(case.work)
    work = _WORKS[case.work]
    faults = Faults(case.fault, case.at, case.count)
    async with site.around(case.work):
        with stores_that_fail(faults), contextlib.suppress(DbopsError):
            await work(site, faults)
        (site.done if faults.happened else site.missed).append(str(case))
        try:
            await work(site, Faults())
        except Exception as error:
            raise AssertionError(str(case)) from error


async def _judge(
    site: _Site, choose: Callable[[list[str], int], list[str]], depth: Depth = Depth.OBJECTS
) -> None:
    """Raise AssertionError where something is damaged, lost or changes for no reason.

    `choose` says which backups are restored; '' is whichever leads there.
    """
    about = "; ".join(site.done[-_JUDGED_EVERY:])
    async with site.around("full"):
        await site.commit_row()
    verified = await verify_backups(site.run(), VerifyBackupsRequest(all=True, depth=depth))
    assert verified.ok, f"{verified} after {about}"
    async with repository_of(site.database) as repository:
        listed = await list_backups(repository, expired=True)
    assert {each.state for each in listed} == {BackupState.COMPLETE}, about
    latest = RecoveryTarget(latest=True)
    names = ["", *(each.name.rpartition("/")[2] for each in listed)]
    for id_ in choose(names, 2):
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
