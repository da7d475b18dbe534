"""The WAL archive while its store fails at whichever call, is full, hangs, or answers late."""

import asyncio
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.wal.receive import receive_wal
from dbopsd.backup.wal.spool import SpoolBusy
from dbopsd.db.database import Database
from tests.support.backed_up import BACKUP_SETTINGS, backed_up
from tests.support.failing_store import FOR_EVER, Fault, Faults, stores_that_fail
from tests.support.patience import eventually
from tests.support.receiving import (
    ReceivingRun,
    check_archive,
    lsn_of,
    receiving,
    slot_position,
    wait_until_archived,
)
from tests.support.servers import PostgresServer, PostgresServers
from tests.support.soak import Soak

WRITE = "INSERT INTO numbers SELECT n FROM generate_series(1, 5000) AS n"
SEGMENT_BYTES = 2**24

_log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def shared(servers: PostgresServers, postgres_version: int) -> Iterator[PostgresServer]:
    server = servers.disposable(postgres_version, BACKUP_SETTINGS)
    server.execute("CREATE TABLE numbers (n int)")
    yield server
    servers.discard(server)


@pytest.fixture
def server(shared: PostgresServer) -> Iterator[PostgresServer]:
    yield shared
    shared.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")


async def write(server: PostgresServer, *, switch: bool = False) -> Lsn:
    statement = f"{WRITE}; SELECT pg_switch_wal()" if switch else WRITE
    return await asyncio.to_thread(lsn_of, server, statement)


async def work(database: Database, server: PostgresServer, state_dir: Path) -> Lsn:
    """Write, end as a killed process does, begin anew, and write on."""
    for _ in range(2):
        async with receiving(database, state_dir):
            await write(server, switch=True)
            await asyncio.sleep(0.5)
            await write(server)
            await asyncio.sleep(0.5)
    return await write(server)


async def check(database: Database, server: PostgresServer, state_dir: Path, lsn: Lsn) -> None:
    """Nothing that was acknowledged is missing, once the store is well again."""
    async with receiving(database, state_dir) as duty:
        found = await wait_until_archived(database, server, lsn)
        assert not duty.failures
    assert len(found.ranges) == 1, found.ranges
    assert found.events == []
    assert len(await check_archive(database, server)) >= 2


@pytest.mark.soak
async def test_one_call_to_the_store_fails(
    server: PostgresServer, tmp_path: Path, soak: Soak
) -> None:
    settings = {"wal_flush_s": 0.3, "timeout_s": 0.3}
    counted = Faults()
    async with backed_up(server, tmp_path / "counted", **settings) as database:
        with stores_that_fail(counted):
            await work(database, server, tmp_path / "counted" / "state")
    calls = counted.calls
    chance = soak.random()
    short = [(fault, chance.randrange(len(calls))) for fault in (Fault.LOSE_ANSWER, Fault.LATE)]
    every = [
        (fault, at)
        for fault in Fault
        for at, call in enumerate(calls)
        if fault is not Fault.FULL or call.method == "create"
    ]
    chance.shuffle(every)
    cases = soak.scale(short, every)
    for number, (fault, at) in enumerate(cases):
        if soak.over:
            break
        _log.info("%d of %d: %s at %d, %s", number, len(cases), fault.value, at, calls[at])
        directory = tmp_path / str(number)
        await asyncio.to_thread(
            server.execute,
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots",
        )
        async with backed_up(server, directory, **settings) as database:
            with stores_that_fail(Faults(fault, at)):
                lsn = await work(database, server, directory / "state")
            await check(database, server, directory / "state", lsn)
        await asyncio.to_thread(shutil.rmtree, directory)


async def test_a_store_that_is_away_stops_receiving_before_the_disk_is_full(
    server: PostgresServer, tmp_path: Path
) -> None:
    spool = tmp_path / "state" / "backup" / "wal" / "main"
    settings = {"wal_flush_s": 0.3, "max_slot_wal": "64MiB"}
    async with backed_up(server, tmp_path, **settings) as database:
        faults = Faults(Fault.FULL, at=FOR_EVER)
        with stores_that_fail(faults):
            async with receiving(database, tmp_path / "state"):
                await wait_until_archived(database, server, await write(server))
                faults.at, faults.count = 0, FOR_EVER
                for _ in range(8):
                    lsn = await write(server, switch=True)
                    # What comes between two looks at the spool is beyond its size.
                    await asyncio.sleep(1.1)

                def stopped() -> bool:
                    held = sum(each.stat().st_size for each in spool.glob("*/0*"))
                    senders = server.execute("SELECT count(*) FROM pg_stat_replication")
                    return held > 0 and senders == [(0,)]

                await eventually(
                    lambda: asyncio.to_thread(stopped), timeout=60, what="it receives no more"
                )
                held = sum(each.stat().st_size for each in spool.glob("*/0*"))
                assert held <= 64 * 2**20 + 2 * SEGMENT_BYTES
                position = await asyncio.to_thread(slot_position, server)
                assert position is not None
                assert position < lsn - 8 * SEGMENT_BYTES + SEGMENT_BYTES
        await check(database, server, tmp_path / "state", lsn)


async def test_a_second_receiver_on_the_machine_waits(
    server: PostgresServer, tmp_path: Path
) -> None:
    async with (
        backed_up(server, tmp_path, wal_flush_s=0.3) as database,
        receiving(database, tmp_path / "state"),
    ):
        await wait_until_archived(database, server, await write(server))
        second = ReceivingRun(database, tmp_path / "state", [])
        try:
            with pytest.raises(SpoolBusy):
                await receive_wal(second)
        finally:
            await second.close()


async def test_two_receivers_on_two_machines_do_each_other_no_harm(
    server: PostgresServer, tmp_path: Path
) -> None:
    async with backed_up(server, tmp_path, wal_flush_s=0.3) as database:
        async with (
            receiving(database, tmp_path / "first") as first,
            receiving(database, tmp_path / "second") as second,
        ):
            for _ in range(3):
                await write(server, switch=True)
                await write(server)
            lsn = await write(server)
            found = await wait_until_archived(database, server, lsn)
            assert not first.failures
            assert not second.failures
        # What one stores last follows on what it stored before: there is no hole at any time.
        assert len(found.ranges) == 1
        assert found.events == []
        await check(database, server, tmp_path / "first", await write(server))


async def test_a_server_that_hangs_is_waited_for(server: PostgresServer, tmp_path: Path) -> None:
    async with backed_up(server, tmp_path, wal_flush_s=0.3) as database:
        async with receiving(database, tmp_path / "state"):
            await wait_until_archived(database, server, await write(server))
            with server.paused():
                await asyncio.sleep(2)
            lsn = await write(server, switch=True)
            await wait_until_archived(database, server, lsn)
        await check(database, server, tmp_path / "state", await write(server, switch=True))
