"""A writer commits numbered rows all along: a restore to any moment has those committed by then.

No more, and no fewer. `--seed` repeats a run, `--soak` tries 50 moments:

    make soak ARGS="-k test_moments --postgres=15,17,18 --every-case"
"""

import asyncio
import contextlib
import logging
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.model.requests import RecoveryTarget, Source
from dbopsd.backup.restore.errors import TargetAmbiguous
from dbopsd.db.database import Database
from tests.support.backed_up import BACKUP_SETTINGS, backed_up, storing_wal
from tests.support.counted_commits import CREATE, Line, Writer
from tests.support.replication import ReplicationPair, discard, replicate
from tests.support.restores import back_up, restore, restored_server
from tests.support.scratch import new_directory
from tests.support.servers import PostgresServer, PostgresServers
from tests.support.soak import Soak

pytestmark = pytest.mark.soak

_log = logging.getLogger(__name__)


def _settings(major: int) -> dict[str, str | int | bool]:
    settings: dict[str, str | int | bool] = {
        **BACKUP_SETTINGS,
        "full_page_writes": True,
        "track_commit_timestamp": True,
        "log_statement": "none",
        "wal_keep_size": "1GB",
    }
    return {**settings, "summarize_wal": True} if major >= 17 else settings


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the account of a restored server reaches."""
    directory = new_directory("dbopsd-restore-")
    yield directory
    shutil.rmtree(directory)


async def _has(
    database: Database,
    place: Path,
    target: RecoveryTarget,
    rows: list[int],
    *,
    mappings: dict[str, str] | None = None,
    tables: tuple[str, ...] = ("counted",),
    timelines: int = 1,
) -> None:
    _log.info("%s has %d rows", target, len(rows))
    directory = place / "restored"
    async with restored_server(
        database,
        place,
        target,
        directory=str(directory),
        tablespace_mappings=mappings or {},
    ) as (_, restored):
        for table in tables:
            found = restored.execute(f"SELECT n FROM {table} ORDER BY n").fetchall()
            assert [n for (n,) in found] == rows, (target, table)
        (new,) = restored.execute(
            "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)"
        ).fetchone() or ("0",)
        # Not the number of one that the archive has already.
        assert int(new, 16) > timelines
        places = restored.execute(
            "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE oid > 16383"
        ).fetchall()
        assert {where for (where,) in places} <= set((mappings or {}).values())
    await asyncio.to_thread(shutil.rmtree, directory)
    for new in (mappings or {}).values():
        await asyncio.to_thread(shutil.rmtree, new)


async def test_moments_across_a_chain_and_a_tablespace(
    servers: PostgresServers, postgres_version: int, place: Path, soak: Soak
) -> None:
    chance = soak.random()
    server = servers.disposable(postgres_version, _settings(postgres_version))
    side = servers.directory("side")
    shutil.chown(side, server.data_dir.owner(), server.data_dir.group())
    server.execute(f"CREATE TABLESPACE side LOCATION '{side}'")
    server.execute(f"{CREATE}; CREATE TABLE counted_side (n int) TABLESPACE side")
    line = Line()
    mappings = {str(side): str(place / "restored-side")}
    async with backed_up(server, place, restore_roots=[str(place)]) as database:
        async with storing_wal(server, database):
            writer = Writer(server, line, side="counted_side")
            with writer.writing(chance):
                await asyncio.to_thread(writer.wait_for, 5)
                await back_up(database, place)
                first = writer.last
                await asyncio.to_thread(writer.wait_for, soak.scale(20, 150))
                if postgres_version >= 17:
                    for _ in range(2):
                        made = await back_up(database, place, kind=BackupKind.INCREMENTAL)
                        assert made.kind is BackupKind.INCREMENTAL, made.fallback
                        await asyncio.to_thread(writer.wait_for, soak.scale(20, 150))
        servers.discard(server)
        for _ in range(soak.scale(5, 50)):
            target, rows = line.moment(chance, first)
            await _has(
                database,
                place,
                target,
                rows,
                mappings=mappings,
                tables=("counted", "counted_side"),
            )
        every = line.until(writer.last)
        await _has(database, place, RecoveryTarget(latest=True), every, mappings=mappings)


async def test_moments_across_a_failover_from_backups_of_primary_and_standby(
    servers: PostgresServers, postgres_version: int, place: Path, soak: Soak
) -> None:
    chance = soak.random()
    pair = replicate(servers, postgres_version, _settings(postgres_version))
    old, new = Line(), Line()
    with contextlib.ExitStack() as stack:
        stack.callback(discard, servers, pair)
        async with backed_up(
            pair.primary, place, dsn=pair.dsn(), restore_roots=[str(place)]
        ) as database:
            first = await _fail_over(pair, database, place, old, new, chance, soak)
            # What only the old primary has is on timeline 1 alone.
            await _check_ambiguous(database, place, old, new)
            moments = [
                (old, "1", first),
                (new, "2", first),
                (new, "latest", new.commits[-1].n - 20),
                (new, "", new.commits[-1].n - 10),
            ]
            for number in range(soak.scale(6, 50)):
                line, timeline, after = moments[number % len(moments)]
                target, rows = line.moment(chance, after, timeline)
                if not timeline and target.xid:
                    continue  # both timelines may have one of this number
                await _has(database, place, target, rows, timelines=2)
            every = new.until(new.commits[-1].n)
            await _has(database, place, RecoveryTarget(latest=True), every)


async def _fail_over(
    pair: ReplicationPair,
    database: Database,
    place: Path,
    old: Line,
    new: Line,
    chance: random.Random,
    soak: Soak,
) -> int:
    """Have a standby take over, while the primary goes on for a while; the first row to try."""
    pair.primary.execute(CREATE)
    pair.wait_until_caught_up()
    async with storing_wal(pair.primary, database):
        writer = Writer(pair.primary, old)
        with writer.writing(chance):
            await asyncio.to_thread(writer.wait_for, 5)
            await back_up(database, place, source=Source.PRIMARY)
            first = writer.last
            await asyncio.to_thread(writer.wait_for, soak.scale(15, 100))
            await back_up(database, place, source=Source.STANDBY)
            await asyncio.to_thread(writer.wait_for, soak.scale(15, 100))
            pair.cut_link()
            await asyncio.to_thread(writer.wait_for, 15)
    pair.primary.stop("immediate")
    await asyncio.to_thread(pair.promote)
    standby: PostgresServer = pair.standby
    ((last,),) = standby.execute("SELECT max(n) FROM counted")
    new.commits += [each for each in old.commits if each.n <= int(str(last))]
    assert len(old.commits) > len(new.commits)
    async with storing_wal(standby, database):
        writer = Writer(standby, new)
        with writer.writing(chance):
            await asyncio.to_thread(writer.wait_for, soak.scale(30, 150))
    return first


async def _check_ambiguous(database: Database, place: Path, old: Line, new: Line) -> None:
    lost = [each for each in old.commits if each not in new.commits]
    middle = lost[len(lost) // 2]
    for target in (RecoveryTarget(time=middle.at), RecoveryTarget(lsn=middle.after)):
        with pytest.raises(TargetAmbiguous):
            await restore(database, place, target, directory=str(place / "restored"))
    assert not (place / "restored").exists()
