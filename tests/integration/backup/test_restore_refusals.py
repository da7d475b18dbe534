"""What cannot be restored is refused before anything is written, and the reason is the right one.

All tests read one archive, whose server is gone.
"""

import asyncio
import base64
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest

from dbopsd.backup.catalog.errors import BackupNotFound, SystemIdentifierChanged
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.catalog.layout import time_name
from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.codec.errors import BackupDamaged, Damage, KeyMissing, KeyWrong
from dbopsd.backup.model.reports import RecoveryWindows, RestoreReport
from dbopsd.backup.model.requests import RecoveryTarget, TargetAction
from dbopsd.backup.restore.errors import (
    DirectoryNotEmpty,
    TablespaceUnmapped,
    TargetUnreachable,
    WalGapInTheWay,
)
from dbopsd.backup.restore.plan import plan_restore
from dbopsd.backup.restore.windows import list_windows
from dbopsd.db.database import Database
from dbopsd.db.server.leftovers import end_leftovers
from dbopsd.errors import DbopsError
from tests.support.backed_up import BACKUP_SETTINGS, backed_up, repository_of, storing_wal
from tests.support.operation_run import OperationRun
from tests.support.restores import back_up, restore
from tests.support.scratch import new_directory
from tests.support.servers import PostgresServer, PostgresServers

Refusal = TypeVar("Refusal", bound=DbopsError)


@dataclass
class Archive:
    """A store with a backup of a tablespace, WAL of several segments, and what it was made with.

    Rows 1 to 5 are committed, each in a segment of its own but the last.
    """

    place: Path
    bin_dir: Path
    space: Path
    after: list[Lsn]
    """A position just after each commit."""
    times: list[datetime]
    end: Lsn

    @asynccontextmanager
    async def open(self, place: Path, **backup: object) -> AsyncIterator[Database]:
        """The database with a copy of the store in `place`."""
        shutil.copytree(self.place / "store", place / "store")
        gone = _Gone(self.bin_dir)
        settings = {"keys": {"k1": f"file:{self.place / 'k1'}"}, **backup}
        async with backed_up(gone, place, restore_roots=[str(place)], **settings) as database:  # type: ignore[arg-type]  # what it needs of a server
            yield database


@dataclass
class _Gone:
    """A server that nobody reaches any more."""

    bin_dir: Path

    def dsn(self) -> str:
        return "host=127.0.0.1 port=1 user=postgres dbname=postgres"


@pytest.fixture(scope="module")
def archive(servers: PostgresServers, postgres_version: int) -> Iterator[Archive]:
    settings = dict(BACKUP_SETTINGS)
    settings["max_prepared_transactions"] = 3
    if postgres_version >= 17:
        settings["summarize_wal"] = True
    server = servers.disposable(postgres_version, settings)
    place = new_directory("dbopsd-archive-")
    (place / "k1").write_bytes(base64.b64encode(os.urandom(32)))
    yield asyncio.run(_made(server, servers.directory("space"), place))
    shutil.rmtree(place)
    servers.discard(server)


async def _made(server: PostgresServer, space: Path, place: Path) -> Archive:
    shutil.chown(space, server.data_dir.owner(), server.data_dir.group())
    server.execute(f"CREATE TABLESPACE side LOCATION '{space}'")
    server.execute("CREATE TABLE counted (n int) TABLESPACE side")
    found = Archive(place, server.bin_dir, space, [], [], Lsn(0))
    keys = {"k1": f"file:{place / 'k1'}"}
    async with backed_up(server, place, keys=keys) as database, storing_wal(server, database):
        await back_up(database, place)
        if server.version >= 17:
            await back_up(database, place, kind=BackupKind.INCREMENTAL)
        for n in range(1, 6):
            server.execute(f"INSERT INTO counted VALUES ({n})")
            ((at, lsn),) = server.execute(
                "SELECT extract(epoch FROM clock_timestamp()), pg_current_wal_insert_lsn()::text"
            )
            found.times.append(datetime.fromtimestamp(float(str(at)), UTC))
            found.after.append(Lsn.parse(str(lsn)))
            if n == 3:
                await asyncio.to_thread(_prepare, server, _forged(found.after[0]))
            if n < 5:
                server.execute("SELECT pg_switch_wal()")
        text = _forged(Lsn(2**40)).replace("'", "''")
        server.execute(f"SELECT pg_logical_emit_message(false, '{text}', '')")
        server.execute("CHECKPOINT")
        # Marks are set after the last commit.
        await asyncio.sleep(0.5)
        found.end = Lsn.parse(str(server.execute("SELECT pg_current_wal_flush_lsn()")[0][0]))
    server.stop()
    return found


def _forged(lsn: Lsn) -> str:
    """Text that anybody can write into the WAL, and that `pg_waldump` prints as it is."""
    return (
        f"x\nrmgr: Transaction len (rec/tot):     34/    34, tx:        777, lsn: {lsn}, "
        "prev 0/0, desc: COMMIT 2099-01-01 00:00:00 UTC"
    )


def _prepare(server: PostgresServer, name: str) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT pg_current_xact_id()")
        connection.execute(f"PREPARE TRANSACTION '{name}'")
        connection.execute(f"ROLLBACK PREPARED '{name}'")


@pytest.fixture
def place() -> Iterator[Path]:
    directory = new_directory("dbopsd-restore-")
    yield directory
    shutil.rmtree(directory)


def _objects(place: Path, ending: str) -> list[Path]:
    return sorted(place.joinpath("store").rglob(f"*{ending}"))


class _Restores:
    """Restores of one archive into one place."""

    def __init__(self, archive: Archive, database: Database, place: Path) -> None:
        self._mappings = {str(archive.space): str(place / "space")}
        self._database = database
        self._place = place

    async def plan(self, target: RecoveryTarget, **request: object) -> RestoreReport:
        """Only plan: nothing is there afterwards."""
        report = await self.run(target, dry_run=True, **request)
        assert report.dry_run
        assert not (self._place / "to").exists()
        return report

    async def run(self, target: RecoveryTarget, **request: object) -> RestoreReport:
        asked = {
            "directory": str(self._place / "to"),
            "tablespace_mappings": self._mappings,
            **request,
        }
        return await restore(self._database, self._place, target, **asked)

    async def stop(self, target: RecoveryTarget) -> Lsn:
        """Where recovery is to stop."""
        run = OperationRun(self._database, self._place)
        async with repository_of(self._database) as repository:
            plan = await plan_restore(run, repository, target)
        await run.close()
        assert plan.stop.record is not None
        return plan.stop.record.lsn

    async def refused(
        self, error: type[Refusal], target: RecoveryTarget, **request: object
    ) -> Refusal:
        """Refused alike when it is only planned, and nothing is left of it."""
        with pytest.raises(error) as raised:
            await self.run(target, **request)
        for made in (self._place / "to", self._place / "space"):
            assert not made.exists() or not list(made.iterdir())
        return raised.value


LATEST = RecoveryTarget(latest=True)


@pytest.fixture
async def restores(archive: Archive, place: Path) -> AsyncIterator[_Restores]:
    async with archive.open(place) as database:
        yield _Restores(archive, database, place)


async def test_wal_that_is_missing_in_the_middle_is_never_recovered_up_to(
    archive: Archive, place: Path, restores: _Restores
) -> None:
    # Rows 3 and later are after it.
    missing = Segment.at(1, archive.after[2])
    (found,) = _objects(place, str(missing))
    found.unlink()
    for partial in place.rglob(f"{missing}.partial.*"):
        partial.unlink()
    after = archive.times[3]
    for target in (
        LATEST,
        RecoveryTarget(time=after),
        RecoveryTarget(lsn=str(archive.after[3])),
    ):
        error = await restores.refused(WalGapInTheWay, target)
        assert (error.start, error.end) == (str(missing.start), str(missing.end))
        assert error.before
    before = RecoveryTarget(lsn=str(archive.after[1]))
    assert (await restores.plan(before)).plan.segments
    async with archive_windows(archive, place) as windows:
        assert [gap.start_lsn for gap in windows.gaps if gap.start_lsn == str(missing.start)]
        assert windows.windows[-1].end_lsn == str(missing.start)


async def test_a_store_that_was_cut_is_not_made_whole_by_a_forged_mark(
    archive: Archive, place: Path, restores: _Restores
) -> None:
    # Rows 4 and 5 are after it. Who can write to the store says that nothing was.
    cut = Segment.at(1, archive.after[3]).start
    for path in _objects(place, ""):
        name = path.name.partition(".")[0]
        if len(name) == 24 and Segment.parse(name).start >= cut:
            path.unlink()
    later = f"{int(cut):016X}-{time_name(archive.times[4] + timedelta(hours=1))}"
    genuine = _objects(place, "marks")[0]
    seal = next(genuine.iterdir()).name[len(later) :]
    assert seal
    for forged in (later, later + seal):
        (genuine / forged).touch()
    for moment in (archive.times[3], archive.times[4]):
        error = await restores.refused(TargetUnreachable, RecoveryTarget(time=moment))
        assert datetime.fromisoformat(error.before) < archive.times[3]
        assert "1 of " in error.message
        assert "marks of the WAL archive have no seal" in error.message
    assert (await restores.plan(RecoveryTarget(time=archive.times[1]))).plan.segments


async def test_a_moment_outside_of_every_window_is_refused_with_the_nearest(
    archive: Archive, restores: _Restores
) -> None:
    early = archive.times[0] - timedelta(hours=1)
    error = await restores.refused(TargetUnreachable, RecoveryTarget(time=early))
    assert not error.before
    assert datetime.fromisoformat(error.after) <= archive.times[0]
    late = datetime.now(UTC) + timedelta(hours=1)
    error = await restores.refused(TargetUnreachable, RecoveryTarget(time=late))
    assert datetime.fromisoformat(error.before) >= archive.times[-1]
    assert not error.after
    error = await restores.refused(TargetUnreachable, RecoveryTarget(lsn="0/1"))
    assert Lsn.parse(error.after) <= archive.after[0]
    error = await restores.refused(TargetUnreachable, RecoveryTarget(lsn="FF/1"))
    assert Lsn.parse(error.before) >= archive.end


@pytest.mark.parametrize(
    "target", [RecoveryTarget(xid="4000000"), RecoveryTarget(name="never")], ids=["xid", "name"]
)
async def test_what_the_wal_does_not_have_is_refused(
    restores: _Restores, target: RecoveryTarget
) -> None:
    error = await restores.refused(TargetUnreachable, target)
    assert error.before


async def test_a_search_through_the_wal_says_how_far_it_is(archive: Archive, place: Path) -> None:
    async with archive.open(place) as database, repository_of(database) as repository:
        run = OperationRun(database, place, "search")
        with pytest.raises(TargetUnreachable):
            await plan_restore(run, repository, RecoveryTarget(name="never"))
        await run.close()
    told = [
        (done, total, unit) for stage, done, total, unit in run.progress_log if stage == "search"
    ]
    assert told
    assert all(done is not None and done < total for done, total, _ in told)
    assert {unit for *_, unit in told} == {"By"}


async def test_text_in_the_wal_does_not_pass_for_a_commit(
    archive: Archive, restores: _Restores
) -> None:
    # It says that a transaction of long after the time ended before row 2.
    for number in (1, 2):
        stop = await restores.stop(RecoveryTarget(time=archive.times[number]))
        assert archive.after[number] <= stop <= archive.after[number + 1]
    await restores.refused(TargetUnreachable, RecoveryTarget(xid="777"))


async def test_a_time_after_the_last_commit_of_an_idle_server_is_the_end_of_its_wal(
    archive: Archive, restores: _Restores
) -> None:
    report = await restores.plan(RecoveryTarget(time=archive.times[-1]))
    assert "No transaction ended after" in report.instructions[0]


async def test_a_position_at_the_end_of_all_wal_is_reached(
    archive: Archive, place: Path, restores: _Restores
) -> None:
    target = RecoveryTarget(lsn=str(archive.end), exclusive=True)
    report = await restores.run(target, start=True, target_action=TargetAction.PAUSE)
    try:
        assert report.reached is not None
        assert Lsn.parse(report.reached.lsn) == archive.end
        dsn = f"host={report.address} port=5432 user=postgres dbname=postgres"
        with psycopg.connect(dsn) as connection:
            found = connection.execute(
                "SELECT pg_is_in_recovery(), array_agg(n ORDER BY n) FROM counted"
            ).fetchone()
            where = connection.execute(
                "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'side'"
            ).fetchone()
        assert found == (True, [1, 2, 3, 4, 5])
        assert where == (str(place / "space"),)
    finally:
        await end_leftovers(place / "to")


async def test_an_object_that_is_damaged_missing_or_short_fails_the_restore(
    place: Path, restores: _Restores
) -> None:
    whole = {path: path.read_bytes() for path in _objects(place, "") if path.is_file()}
    bases = [path for path in whole if path.name.startswith("base.")]
    # Complete segments: what is stored of the beginning of one may be stored twice.
    wal = [path for path in whole if path.parent.name == "00000001" and not path.suffix]
    for path in (bases[0], bases[-1], wal[-1]):
        content = whole[path]
        flipped = bytearray(content)
        flipped[len(content) // 2] ^= 1
        path.write_bytes(flipped)
        error = await restores.refused(BackupDamaged, LATEST)
        assert path.as_posix().endswith(error.object)
        path.write_bytes(content)
    base = bases[-1]
    base.write_bytes(whole[base][:-1])
    assert (await restores.refused(BackupDamaged, LATEST)).problem is Damage.TRUNCATED
    base.unlink()
    assert (await restores.refused(BackupDamaged, LATEST)).problem is Damage.MISSING
    with pytest.raises(BackupDamaged):
        await restores.plan(LATEST)


async def test_a_key_that_is_another_or_missing_is_named(archive: Archive, place: Path) -> None:
    other = place / "other"
    other.write_bytes(base64.b64encode(os.urandom(32)))
    async with archive.open(place, keys={"k1": f"file:{other}"}) as database:
        await _Restores(archive, database, place).refused(KeyWrong, LATEST)
    shutil.rmtree(place / "store")
    async with archive.open(place, keys={"k2": f"file:{other}"}) as database:
        error = await _Restores(archive, database, place).refused(KeyMissing, LATEST)
        assert error.keys == ("k1",)


async def test_places_are_refused_before_anything_is_written(
    place: Path, restores: _Restores
) -> None:
    with pytest.raises(TablespaceUnmapped):
        await restores.run(LATEST, tablespace_mappings={}, dry_run=True)
    await restores.refused(TablespaceUnmapped, LATEST, tablespace_mappings={})
    (place / "full").mkdir()
    (place / "full/mine").write_text("")
    for dry_run in (True, False):
        with pytest.raises(DirectoryNotEmpty):
            await restores.run(LATEST, directory=str(place / "full"), dry_run=dry_run)
    assert [each.name for each in (place / "full").iterdir()] == ["mine"]


async def test_backups_of_another_cluster_than_the_server_have_to_be_named(
    archive: Archive, servers: PostgresServers, postgres_version: int, place: Path
) -> None:
    # Those of one version are copies of one cluster.
    server = servers.shared(15 if postgres_version == 18 else 18)
    async with archive.open(place, dsn=server.dsn()) as database:
        restores = _Restores(archive, database, place)
        error = await restores.refused(SystemIdentifierChanged, LATEST)
        assert error.backup in error.message
        report = await restores.plan(LATEST, backup_id=error.backup)
        assert report.chain[-1].endswith(error.backup)


async def test_a_backup_that_is_not_there_is_not_found(restores: _Restores) -> None:
    await restores.refused(BackupNotFound, LATEST, backup_id="full-20200101t000000z-000000")


@asynccontextmanager
async def archive_windows(archive: Archive, place: Path) -> AsyncIterator[RecoveryWindows]:
    async with (
        backed_up(_Gone(archive.bin_dir), place) as database,  # type: ignore[arg-type]  # as above
        repository_of(database) as repository,
    ):
        yield await list_windows(repository)
