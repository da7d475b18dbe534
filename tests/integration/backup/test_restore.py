"""Restores of real backups into real servers."""

import base64
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dbopsd.backup.backups import list_backups
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.codec.errors import BackupDamaged
from dbopsd.backup.model.requests import RecoveryTarget
from dbopsd.backup.restore.errors import TargetUnreachable
from tests.support.backed_up import backed_up, repository_of, storing_wal
from tests.support.receiving import receiving
from tests.support.restores import back_up, restore, restored_server
from tests.support.scratch import new_directory
from tests.support.servers import PostgresServer


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the account of a restored server reaches."""
    directory = new_directory("dbopsd-restore-")
    yield directory
    shutil.rmtree(directory)


async def test_moments_of_every_kind_have_just_the_rows_committed_by_then(
    cluster: PostgresServer, place: Path
) -> None:
    cluster.execute("CREATE TABLE counted (n int PRIMARY KEY)")
    async with backed_up(cluster, place, restore_roots=[str(place)]) as database:
        async with storing_wal(cluster, database):
            await back_up(database, place)
            cluster.execute("INSERT INTO counted VALUES (1)")
            if cluster.version >= 17:
                await back_up(database, place, kind=BackupKind.INCREMENTAL)
            cluster.execute("INSERT INTO counted VALUES (2)")
            ((lsn,),) = cluster.execute("SELECT pg_current_wal_insert_lsn()::text")
            ((xid,),) = cluster.execute(
                "INSERT INTO counted VALUES (3) RETURNING pg_current_xact_id()::text"
            )
            cluster.execute("SELECT pg_create_restore_point('here')")
            cluster.execute("INSERT INTO counted VALUES (4)")
        await _check_plain_among_encrypted(cluster, place)
        for number, (target, rows) in enumerate(
            [
                (RecoveryTarget(immediate=True), [1] if cluster.version >= 17 else []),
                (RecoveryTarget(lsn=str(lsn), exclusive=True), [1, 2]),
                (RecoveryTarget(xid=str(xid), exclusive=True), [1, 2]),
                (RecoveryTarget(xid=str(xid)), [1, 2, 3]),
                (RecoveryTarget(name="here"), [1, 2, 3]),
                (RecoveryTarget(latest=True), [1, 2, 3, 4]),
            ]
        ):
            directory = place / f"restored{number}"
            async with restored_server(database, place, target, directory=str(directory)) as (
                report,
                restored,
            ):
                found = restored.execute("SELECT n FROM counted ORDER BY n").fetchall()
                assert [n for (n,) in found] == rows, target
                assert restored.execute("SHOW archive_mode").fetchone() == ("off",)
                assert len(report.chain) == (2 if cluster.version >= 17 else 1)
                assert report.reached is not None
                assert (report.reached.xid, report.reached.name) == (target.xid, target.name)


async def _check_plain_among_encrypted(cluster: PostgresServer, place: Path) -> None:
    """Somebody without a key could have put it there: the configuration has to admit it."""
    (place / "k1").write_bytes(base64.b64encode(os.urandom(32)))
    keys = {"k1": f"file:{place / 'k1'}"}
    latest = RecoveryTarget(latest=True)
    request = {"directory": str(place / "restored"), "dry_run": True}
    async with backed_up(cluster, place, restore_roots=[str(place)], keys=keys) as database:
        with pytest.raises(TargetUnreachable):
            await restore(database, place, latest, **request)
        async with repository_of(database) as repository:
            id_ = (await list_backups(repository))[0].name.rpartition("/")[2]
        with pytest.raises(BackupDamaged, match="accept_unencrypted"):
            await restore(database, place, latest, backup_id=id_, **request)
    keys = {**keys, "accept_unencrypted": True}
    async with backed_up(cluster, place, restore_roots=[str(place)], keys=keys) as database:
        assert (await restore(database, place, latest, **request)).dry_run


async def test_what_was_committed_just_before_is_waited_for_and_restored(
    cluster: PostgresServer, place: Path
) -> None:
    cluster.execute("CREATE TABLE fresh (n int)")
    async with (
        backed_up(cluster, place, restore_roots=[str(place)], wal_flush_s=3) as database,
        receiving(database, place),
    ):
        await back_up(database, place)
        for number, kind in enumerate(("latest", "time", "xid")):
            cluster.execute(f"INSERT INTO fresh VALUES ({number})")
            ((xid, now),) = cluster.execute(
                "SELECT (SELECT max(xmin::text::int) FROM fresh)::text,"
                " extract(epoch FROM clock_timestamp())"
            )
            target = {
                "latest": RecoveryTarget(latest=True),
                "time": RecoveryTarget(time=datetime.fromtimestamp(float(str(now)), UTC)),
                "xid": RecoveryTarget(xid=str(xid)),
            }[kind]
            directory = str(place / f"restored-{kind}")
            async with restored_server(database, place, target, directory=directory) as found:
                _, restored = found
                rows = restored.execute("SELECT n FROM fresh ORDER BY n").fetchall()
                assert [n for (n,) in rows] == list(range(number + 1)), kind
