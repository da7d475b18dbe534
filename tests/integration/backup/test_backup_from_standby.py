"""Backups from a standby, with the primary's WAL."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.model.requests import CreateBackupRequest, Source
from dbopsd.backup.physical.errors import BaseBackupRefused
from tests.support.backed_up import BACKUP_SETTINGS, backed_up, storing_wal
from tests.support.physical_backups import create, record_of, unpack, verify
from tests.support.replication import ReplicationPair, discard, replicate
from tests.support.servers import PostgresServers

STANDBY = CreateBackupRequest(source=Source.STANDBY)


@pytest.fixture(scope="module")
def pair(servers: PostgresServers, postgres_version: int) -> Iterator[ReplicationPair]:
    settings = dict(BACKUP_SETTINGS)
    if postgres_version >= 17:
        settings["summarize_wal"] = True
    pair = replicate(servers, postgres_version, settings)
    yield pair
    discard(servers, pair)


async def test_a_backup_is_taken_from_the_standby_that_is_asked_for(
    pair: ReplicationPair, tmp_path: Path
) -> None:
    pair.primary.execute("CREATE TABLE seen AS SELECT generate_series(1, 100) AS id")
    pair.wait_until_caught_up()
    async with (
        backed_up(pair.primary, tmp_path, dsn=pair.dsn()) as database,
        storing_wal(pair.primary, database),
    ):
        described = await create(database, tmp_path, STANDBY)
        record = await unpack(database, described, tmp_path / "unpacked")
        assert (await create(database, tmp_path)).source == f"primary 127.0.0.1:{pair.primary.port}"
    assert record.source == f"standby 127.0.0.1:{pair.standby.port}"
    verify(pair.primary, tmp_path / "unpacked")
    # Counted on the primary, after the backup.
    assert record.row_counts is not None
    assert record.row_counts.lsn >= record.stop_lsn
    assert {each.table: each.rows for each in record.row_counts.tables}["seen"] == 100


async def test_a_standby_is_preferred_and_the_primary_taken_where_it_does_not_serve(
    pair: ReplicationPair, tmp_path: Path
) -> None:
    settings = {"dsn": pair.dsn(connect_timeout=2), "source": "prefer-standby", "wal": "off"}
    async with backed_up(pair.primary, tmp_path, **settings) as database:
        assert (await create(database, tmp_path)).source.startswith("standby ")
        primary = f"primary 127.0.0.1:{pair.primary.port}"
        standby = f"standby 127.0.0.1:{pair.standby.port}"
        access = pair.standby.data_dir / "pg_hba.conf"
        rules = access.read_text()
        pair.standby.stop()
        access.write_text(re.sub(r"^\S+\s+replication\s.*$", "", rules, flags=re.MULTILINE))
        try:
            source = (await create(database, tmp_path)).source
            assert source.startswith(f"{primary}, in place of a standby: ")
            pair.standby.start()
            source = (await create(database, tmp_path)).source
            assert source.startswith(f"{primary}, in place of {standby}: ")
            assert "no pg_hba.conf entry for replication" in source
            # A caller that asks for the standby itself gets its refusal.
            with pytest.raises(BaseBackupRefused, match=r"no pg_hba\.conf entry"):
                await create(database, tmp_path, STANDBY)
        finally:
            pair.standby.stop()
            access.write_text(rules)
            pair.standby.start()


async def test_a_quiet_standby_refuses_an_incremental_backup_and_a_full_one_is_taken(
    pair: ReplicationPair, tmp_path: Path, postgres_version: int
) -> None:
    if postgres_version < 17:
        return
    async with (
        backed_up(pair.primary, tmp_path, dsn=pair.dsn()) as database,
        storing_wal(pair.primary, database),
    ):
        # The parent is of the primary, and ends after what the standby can begin with.
        await create(database, tmp_path)
        pair.cut_link()
        try:
            request = CreateBackupRequest(kind=BackupKind.INCREMENTAL, source=Source.STANDBY)
            described = await create(database, tmp_path, request)
        finally:
            pair.heal_link()
        assert described.kind is BackupKind.FULL
        assert "manifest requires WAL from" in described.fallback
        assert (await record_of(database, described)).parent == ""
