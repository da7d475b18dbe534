"""Full and incremental backups of real servers, read back as PostgreSQL's own tools read them."""

import base64
import hashlib
import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dbopsd.backup.backups import describe_backup, hold_backup, label_backup, list_backups
from dbopsd.backup.catalog.errors import BackupNotFound
from dbopsd.backup.catalog.kind import BackupKind, BackupState
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.catalog.notes import NoteKind, write_note
from dbopsd.backup.create_backup import create_backup
from dbopsd.backup.leases import BackupBeingDeleted
from dbopsd.backup.model.requests import Checkpoint, CreateBackupRequest, Source
from dbopsd.backup.physical.base_backup import BaseBackupRequest, base_backup_command
from dbopsd.backup.physical.errors import IncrementalUnsupported, NoSuchSource
from dbopsd.db.client_tools import write_login
from tests.support.backed_up import backed_up, repository_of, storing_wal
from tests.support.operation_run import OperationRun
from tests.support.physical_backups import (
    combine,
    create,
    create_incremental,
    record_of,
    unpack,
    verify,
)
from tests.support.receiving import archived, receiving
from tests.support.servers import PostgresServer

HAS_INCREMENTAL = 17


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "k1"
    path.write_bytes(base64.b64encode(os.urandom(32)))
    path.chmod(0o600)
    return path


async def test_a_full_backup_is_what_pg_verifybackup_accepts(
    cluster: PostgresServer, tmp_path: Path
) -> None:
    async with backed_up(cluster, tmp_path) as database, storing_wal(cluster, database):
        described = await create(database, tmp_path)
        record = await unpack(database, described, tmp_path / "unpacked")
    verify(cluster, tmp_path / "unpacked")
    assert described.state is BackupState.COMPLETE
    assert record.kind is BackupKind.FULL
    assert record.start_lsn < record.stop_lsn
    assert record.start_time < record.stop_time
    assert record.source == f"primary 127.0.0.1:{cluster.port}"
    assert record.checksums
    assert not record.wal_included


async def test_nothing_of_an_encrypted_backup_is_readable(
    cluster: PostgresServer, tmp_path: Path, key_file: Path
) -> None:
    keys = {"k1": f"file:{key_file}"}
    async with (
        backed_up(cluster, tmp_path, keys=keys, codec="none") as database,
        storing_wal(cluster, database),
    ):
        described = await create(database, tmp_path)
        record = await unpack(database, described, tmp_path / "unpacked")
    verify(cluster, tmp_path / "unpacked")
    assert record.key_id == "k1"
    for each in record.objects:
        assert b"PG_VERSION" not in (tmp_path / "store" / each.path).read_bytes()


async def test_a_backup_without_an_archive_has_its_wal(
    cluster: PostgresServer, tmp_path: Path
) -> None:
    async with backed_up(cluster, tmp_path, wal="off") as database:
        record = await unpack(database, await create(database, tmp_path), tmp_path / "unpacked")
    assert record.wal_included
    assert list((tmp_path / "unpacked" / "pg_wal").glob("0000*"))
    assert record.row_counts is not None
    assert record.row_counts.tables == ()


async def test_the_schedule_of_incremental_backups_fails_on_no_version(
    cluster: PostgresServer, tmp_path: Path
) -> None:
    """Before 17 the first is full, and later ones are none: the WAL archive goes on from it."""
    scheduled = CreateBackupRequest(kind=BackupKind.INCREMENTAL, if_supported=True)
    async with backed_up(cluster, tmp_path) as database, storing_wal(cluster, database):
        first = await create(database, tmp_path, scheduled)
        second = await create(database, tmp_path, scheduled)
        async with repository_of(database) as repository:
            listed = await list_backups(repository)
    assert first.kind is BackupKind.FULL
    if cluster.version < HAS_INCREMENTAL:
        assert second.name == first.name
        assert "the WAL archive is the incremental step" in second.fallback
        assert [each.name for each in listed] == [first.name]
    else:
        assert second.kind is BackupKind.INCREMENTAL
        assert second.parent == first.name


async def test_an_incremental_backup_rests_on_the_newest_and_combines_with_it(
    cluster: PostgresServer, tmp_path: Path
) -> None:
    async with backed_up(cluster, tmp_path) as database, storing_wal(cluster, database):
        if cluster.version < HAS_INCREMENTAL:
            with pytest.raises(IncrementalUnsupported, match="WAL archive is the incremental step"):
                await create_incremental(database, tmp_path)
            return
        cluster.execute("CREATE TABLE chained AS SELECT generate_series(1, 20000) AS id")
        full = await create(database, tmp_path)
        cluster.execute("INSERT INTO chained VALUES (20001)")
        first = await create_incremental(database, tmp_path)
        cluster.execute("INSERT INTO chained VALUES (20002)")
        second = await create_incremental(database, tmp_path)
        assert (first.parent, second.parent) == (full.name, first.name)
        assert first.kind is second.kind is BackupKind.INCREMENTAL
        assert second.size_bytes < full.size_bytes / 3
        record = await record_of(database, second)
        assert record.parent_manifest_sha256 == (await record_of(database, first)).manifest_sha256
        parts = [tmp_path / name for name in ("full", "first", "second")]
        for described, into in zip((full, first, second), parts, strict=True):
            await unpack(database, described, into)
            verify(cluster, into)
    combine(cluster, parts, tmp_path / "combined")
    verify(cluster, tmp_path / "combined")


async def test_an_incremental_backup_that_cannot_be_is_full_and_says_why(
    cluster: PostgresServer, tmp_path: Path
) -> None:
    if cluster.version < HAS_INCREMENTAL:
        return
    async with backed_up(cluster, tmp_path) as database, storing_wal(cluster, database):
        first = await create_incremental(database, tmp_path)
        assert first.kind is BackupKind.FULL
        assert "no complete backup of this cluster" in first.fallback

        manifest = next(each for each in first.objects if "/manifest." in each.path)
        stored = tmp_path / "store" / manifest.path
        content = bytearray(stored.read_bytes())
        content[len(content) // 2] ^= 1
        stored.write_bytes(content)
        second = await create_incremental(database, tmp_path)
        assert second.kind is BackupKind.FULL
        assert "cannot be read" in second.fallback

        (tmp_path / "store" / second.objects[0].path).unlink()
        third = await create_incremental(database, tmp_path)
        assert third.kind is BackupKind.FULL
        assert "missing or truncated" in third.fallback

        _set(cluster, summarize_wal="off")
        try:
            fourth = await create_incremental(database, tmp_path)
        finally:
            _set(cluster, summarize_wal=None)
        assert fourth.kind is BackupKind.FULL
        assert "summarize_wal" in fourth.fallback


async def test_what_somebody_without_a_key_could_write_is_no_parent(
    cluster: PostgresServer, tmp_path: Path, key_file: Path
) -> None:
    if cluster.version < HAS_INCREMENTAL:
        return
    async with backed_up(cluster, tmp_path, wal="off") as database:
        await create(database, tmp_path)
    keys = {"k1": f"file:{key_file}"}
    async with backed_up(cluster, tmp_path, wal="off", keys=keys) as database:
        first = await create_incremental(database, tmp_path)
        assert first.kind is BackupKind.FULL
        assert "no complete backup" in first.fallback
        assert (await create_incremental(database, tmp_path)).parent == first.name

        # Sealed anew by a hash, which everybody can.
        (commit,) = (tmp_path / "store").rglob(f"{first.name.rpartition('/')[2]}/COMMIT.json")
        fields = json.loads(commit.read_bytes())
        seal = {**fields.pop("seal")}
        fields["label"] = "forged"
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        seal["sha256"] = hashlib.sha256(canonical.encode()).hexdigest()
        commit.write_text(json.dumps({**fields, "seal": seal}))
        described = await create_incremental(database, tmp_path)
        assert described.kind is BackupKind.FULL
        assert "cannot be trusted" in described.fallback


async def test_summaries_that_are_gone_make_a_full_backup(
    cluster: PostgresServer, tmp_path: Path
) -> None:
    if cluster.version < HAS_INCREMENTAL:
        return
    async with backed_up(cluster, tmp_path, wal="off") as database:
        await create(database, tmp_path)
        # The WAL must go, too, or the server makes them anew.
        _set(cluster, summarize_wal="off", wal_keep_size="0")
        for _ in range(2):
            cluster.execute("SELECT pg_switch_wal(); CHECKPOINT")
        cluster.stop()
        for each in (cluster.data_dir / "pg_wal" / "summaries").iterdir():
            each.unlink()
        cluster.start()
        _set(cluster, summarize_wal=None, wal_keep_size=None)
        described = await create_incremental(database, tmp_path)
    assert described.kind is BackupKind.FULL
    assert "summar" in described.fallback


def _set(cluster: PostgresServer, **settings: str | None) -> None:
    """Change settings, or with None have them as they were."""
    for name, value in settings.items():
        change = f"RESET {name}" if value is None else f"SET {name} = '{value}'"
        cluster.execute(f"ALTER SYSTEM {change}")
    cluster.execute("SELECT pg_reload_conf()")


async def test_tablespaces_are_streams_of_their_own(
    cluster: PostgresServer, tmp_path: Path
) -> None:
    place = cluster.data_dir.parent / "tablespace one"
    place.mkdir()
    owner = cluster.data_dir.stat()
    os.chown(place, owner.st_uid, owner.st_gid)
    cluster.execute(f"CREATE TABLESPACE one LOCATION '{place}'")
    try:
        cluster.execute("CREATE TABLE placed TABLESPACE one AS SELECT generate_series(1, 1e5)")
        async with backed_up(cluster, tmp_path) as database, storing_wal(cluster, database):
            described = await create(database, tmp_path)
            record = await unpack(database, described, tmp_path / "unpacked")
            if cluster.version >= HAS_INCREMENTAL:
                incremental = await create_incremental(database, tmp_path)
                assert incremental.kind is BackupKind.INCREMENTAL
    finally:
        cluster.execute("DROP TABLE placed")
        cluster.execute("DROP TABLESPACE one")
        shutil.rmtree(place)
    verify(cluster, tmp_path / "unpacked")
    (tablespace,) = record.tablespaces
    assert tablespace.location == str(place)
    assert [each.name for each in record.streams] == ["base", "manifest", str(tablespace.oid)]


async def test_a_primary_is_no_standby(cluster: PostgresServer, tmp_path: Path) -> None:
    request = CreateBackupRequest(source=Source.STANDBY)
    async with backed_up(cluster, tmp_path, wal="off") as database:
        with pytest.raises(NoSuchSource, match="is the primary"):
            await create(database, tmp_path, request)
    async with backed_up(cluster, tmp_path, wal="off", source="prefer-standby") as database:
        source = (await create(database, tmp_path)).source
        name = source.removeprefix("primary ").partition(",")[0]
        why = f"no host of the dsn is a standby ({name} is the primary)"
        assert source == f"primary {name}, in place of a standby: {why}"


async def test_a_hold_keeps_what_was_to_expire_and_is_refused_where_it_is_too_late(
    cluster: PostgresServer, tmp_path: Path
) -> None:
    until = datetime.now(UTC) + timedelta(days=7)
    async with backed_up(cluster, tmp_path, wal="off") as database:
        described = await create(database, tmp_path)
        id_ = described.name.rpartition("/")[2]
        async with repository_of(database) as repository:
            layout = repository.layout(described.system_identifier)
            expiry = {"reason": "test", "grace_s": 3600, "deleting": False}
            await write_note(repository.store, layout, id_, NoteKind.EXPIRED, expiry)
            assert (await describe_backup(repository, id_)).state is BackupState.EXPIRED
            assert await list_backups(repository) == []
            held = await hold_backup(repository, id_, until)
            assert (held.state, held.held_until) == (BackupState.COMPLETE, until)
            expiry["deleting"] = True
            await write_note(repository.store, layout, id_, NoteKind.EXPIRED, expiry)
            with pytest.raises(BackupBeingDeleted):
                await hold_backup(repository, id_, until)


async def test_backups_are_listed_held_and_labelled(
    cluster: PostgresServer, tmp_path: Path
) -> None:
    until = datetime.now(UTC) + timedelta(days=7)
    request = CreateBackupRequest(label="before the move", hold_until=until)
    async with backed_up(cluster, tmp_path, wal="off") as database:
        made = await create(database, tmp_path, request)
        other = await create(database, tmp_path)
        async with repository_of(database) as repository:
            id_ = made.name.rpartition("/")[2]
            listed = await list_backups(repository)
            assert [each.name for each in listed] == [made.name, other.name]
            assert listed[0].held_until == until
            assert listed[0].objects == ()
            assert (await describe_backup(repository, id_)).objects == made.objects
            assert (await hold_backup(repository, id_, None)).held_until is None
            assert (await label_backup(repository, id_, "after it")).label == "after it"
            assert await list_backups(repository, kind=BackupKind.LOGICAL) == []
            with pytest.raises(BackupNotFound):
                await label_backup(repository, "full-nonesuch", "")


async def test_a_backup_may_begin_while_the_receiver_does(
    cluster: PostgresServer, tmp_path: Path
) -> None:
    settings = {"wal_flush_s": 1.0}
    cluster.execute("CREATE TABLE received AS SELECT 1 AS id")
    async with (
        backed_up(cluster, tmp_path, name="received", **settings) as database,
        receiving(database, tmp_path / "duty") as duty,
    ):
        described = await create(database, tmp_path)
        assert duty.failures == []
        stored = await archived(database, cluster)
        assert stored.covers(Lsn.parse(described.stop_lsn))
        # A drill replays to the position of the counts, and sees a record after it.
        record = await record_of(database, described)
        assert record.row_counts is not None
        assert "received" in {each.table for each in record.row_counts.tables}
        assert stored.covers(Lsn(record.row_counts.lsn + 1))
    cluster.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")


async def test_progress_is_told_with_the_size_of_the_cluster(
    cluster: PostgresServer, tmp_path: Path
) -> None:
    async with backed_up(cluster, tmp_path, wal="off") as database:
        run = OperationRun(database, tmp_path)
        described = await create_backup(run, CreateBackupRequest())
        await run.close()
    copied = [told for told in run.progress_log if told[0] == "copy"]
    assert copied == sorted(copied)
    _, done, total, unit = copied[-1]
    assert unit == "By"
    assert done is not None
    # The manifest and the ends of tars come on top.
    assert abs(done - described.size_bytes) < 10_240
    assert done <= total


def test_a_rate_limit_is_passed_on_and_nothing_secret_is_an_argument(tmp_path: Path) -> None:
    request = BaseBackupRequest(
        database="main",
        tool=Path("/usr/bin/pg_basebackup"),
        conninfo="host=db password=secret",
        label="full-1",
        checkpoint=Checkpoint.SPREAD,
        fetch_wal=False,
        rate_limit_bytes=50_000_000,
        incremental=tmp_path / "manifest",
    )
    login = write_login(tmp_path, request.conninfo)
    command = base_backup_command(request, login, "-")
    assert "--max-rate=48828k" in command
    assert "--checkpoint=spread" in command
    assert "--label=full-1" in command
    assert f"--incremental={tmp_path / 'manifest'}" in command
    assert not any("secret" in each for each in command)
