"""Retention on a store in the file system: what goes, in which order, and what comes between."""

import base64
import contextlib
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dbopsd.backup import delete_backup as module
from dbopsd.backup.apply_retention import apply_retention
from dbopsd.backup.catalog.catalog import Catalog
from dbopsd.backup.catalog.commit import CommitRecord, write_commit
from dbopsd.backup.catalog.errors import BackupNotFound
from dbopsd.backup.catalog.kind import BackupState
from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.catalog.notes import NoteKind, read_notes, write_note
from dbopsd.backup.codec.errors import BackupDamaged
from dbopsd.backup.codec.sealed_object import DataKey
from dbopsd.backup.delete_backup import delete_backup
from dbopsd.backup.leases import BackupBeingDeleted, hold_lease
from dbopsd.backup.model.reports import RetentionReport
from dbopsd.backup.model.requests import ApplyRetentionRequest, DeleteBackupRequest
from dbopsd.backup.repository import Repository, open_repository
from dbopsd.backup.retention.apply import Retention
from dbopsd.backup.retention.errors import (
    BackupHasChildren,
    BackupHeld,
    BackupInUse,
    BackupIsNewest,
)
from dbopsd.backup.store.errors import StoreError
from dbopsd.backup.wal.archive import segment_key
from dbopsd.config.backup import DatabaseBackupConfig
from tests.support.failing_store import FOR_EVER, Call, Fault, Faults, stores_that_fail
from tests.support.operation_run import OperationRun
from tests.support.soak import Soak
from tests.support.stored_backups import (
    SEGMENT_BYTES,
    SYSTEM,
    backup_config,
    store_backup,
)

LAYOUT = Layout("main", SYSTEM)
DAY = timedelta(days=1)
NOW = datetime.now(UTC)


@dataclass
class Cluster:
    """Backups in a store, and the operations on them."""

    config: DatabaseBackupConfig
    run: OperationRun
    directory: Path

    @asynccontextmanager
    async def repository(self) -> AsyncIterator[Repository]:
        async with open_repository("main", self.config) as repository:
            yield repository

    async def retention(
        self, *, after: timedelta = timedelta(), dry_run: bool = False
    ) -> RetentionReport:
        async with self.repository() as repository:
            retention = Retention(self.run, repository, LAYOUT, lambda: datetime.now(UTC) + after)
            return await retention.apply(dry_run=dry_run)

    async def delete(self, id_: str, **fields: Any) -> tuple[str, ...]:
        report = await delete_backup(self.run, DeleteBackupRequest(id_, **fields))
        return tuple(name.rpartition("/")[2] for name in report.deleted)

    async def backup(self, id_: str, days_ago: float, **fields: Any) -> CommitRecord:
        """A backup that began so long ago; its WAL is the segment of its day."""
        start = int(100 - days_ago) * SEGMENT_BYTES
        async with self.repository() as repository:
            return await store_backup(
                repository,
                id_,
                start=start + 100,
                stop=start + 200,
                content_bytes=3000,
                began=NOW - days_ago * DAY,
                **fields,
            )

    async def catalog(self) -> Catalog:
        async with self.repository() as repository:
            return await repository.catalog(SYSTEM)

    async def ids(self) -> list[str]:
        return [each.id for each in (await self.catalog()).backups]

    def files(self) -> set[str]:
        store = self.directory / "store"
        return {
            str(path.relative_to(store))
            for path in store.rglob("*")
            if path.is_file() and ".incoming" not in path.parts
        }

    def objects_of(self, id_: str) -> set[str]:
        return {each for each in self.files() if f"/{id_}/" in each}

    def segments(self) -> list[int]:
        names = [each for each in self.files() if each.startswith(f"{LAYOUT.wal}00000001/")]
        return sorted(
            Segment.parse(each.rpartition("/")[2], SEGMENT_BYTES).number for each in names
        )


def make_cluster(directory: Path, **retention: Any) -> Cluster:
    config = backup_config(directory)
    config = DatabaseBackupConfig.model_validate({**config.model_dump(), "retention": retention})
    database = cast("Any", SimpleNamespace(name="main", config=SimpleNamespace(backup=config)))
    return Cluster(config, OperationRun(database, directory / "run"), directory)


@pytest.fixture
async def cluster(tmp_path: Path) -> Cluster:
    """A full backup and an incremental on it of long ago, two newer ones, and a month of WAL."""
    cluster = make_cluster(tmp_path, window="7d", grace="24h")
    await fill(cluster)
    return cluster


async def fill(cluster: Cluster, first_segment: int = 69) -> None:
    parent = await cluster.backup("full-1", 30)
    await cluster.backup("inc-1", 29, parent=parent)
    await cluster.backup("full-2", 10)
    await cluster.backup("full-3", 0)
    async with cluster.repository() as repository:
        for number in range(first_segment, 102):
            key = segment_key(LAYOUT, Segment(1, number, SEGMENT_BYTES))
            await repository.store.create(key, b"WAL")


async def test_a_grace_lies_between_a_tombstone_and_the_end(cluster: Cluster) -> None:
    report = await cluster.retention()
    assert {each.name: each.deleted for each in report.expired} == {
        "databases/main/backups/full-1": False,
        "databases/main/backups/inc-1": False,
    }
    for each in report.expired:
        assert each.expire_time is not None
        assert abs(each.expire_time - datetime.now(UTC) - DAY) < timedelta(minutes=1)
        assert each.reason == "no rule of retention wants it (window 7d)"
    states = {each.id: each.state for each in (await cluster.catalog()).backups}
    assert states == {
        "full-1": BackupState.EXPIRED,
        "inc-1": BackupState.EXPIRED,
        "full-2": BackupState.COMPLETE,
        "full-3": BackupState.COMPLETE,
    }
    # From the expired one on all WAL is there, and stays for the grace.
    assert cluster.segments() == list(range(70, 102))
    assert report.wal_deleted == 1

    before = cluster.files()
    again = await cluster.retention(after=0.9 * DAY)
    assert not any(each.deleted for each in again.expired)
    assert again.wal_deleted == 0
    assert cluster.files() == before

    last = await cluster.retention(after=1.1 * DAY)
    assert all(each.deleted for each in last.expired)
    assert await cluster.ids() == ["full-2", "full-3"]
    assert not cluster.objects_of("full-1") | cluster.objects_of("inc-1")
    assert last.wal_deleted == 20
    assert cluster.segments() == list(range(90, 102))

    before = cluster.files()
    nothing = await cluster.retention(after=1.1 * DAY)
    assert (nothing.expired, nothing.wal_deleted, nothing.orphans_deleted) == ((), 0, 0)
    assert cluster.files() == before
    assert {each.name: each.reasons for each in nothing.kept} == {
        "databases/main/backups/full-2": ("the window of 7d begins after it",),
        "databases/main/backups/full-3": ("the newest good backup", "in the window of 7d"),
    }


async def test_a_deleted_backup_takes_its_data_key_along(cluster: Cluster) -> None:
    record = (await cluster.catalog()).get("inc-1").record
    kept = (await cluster.catalog()).get("full-2").record
    assert record is not None
    assert kept is not None
    assert any(record.data_key in each for each in cluster.files())
    await cluster.retention()
    await cluster.retention(after=2 * DAY)
    assert not any(record.data_key in each for each in cluster.files())
    assert any(kept.data_key in each for each in cluster.files())


async def test_a_dry_run_says_the_same_and_does_nothing(cluster: Cluster) -> None:
    before = cluster.files()
    said = await cluster.retention(dry_run=True)
    assert cluster.files() == before
    done = await cluster.retention()
    assert said.dry_run
    assert [(each.name, each.reason, each.deleted) for each in said.expired] == [
        (each.name, each.reason, each.deleted) for each in done.expired
    ]
    assert (said.kept, said.wal_deleted) == (done.kept, done.wal_deleted)
    before = cluster.files()
    said = await cluster.retention(dry_run=True, after=2 * DAY)
    assert cluster.files() == before
    done = await cluster.retention(after=2 * DAY)
    assert [(each.name, each.deleted) for each in said.expired] == [
        (each.name, each.deleted) for each in done.expired
    ]
    assert (said.kept, said.wal_deleted) == (done.kept, done.wal_deleted)


async def test_without_a_grace_all_goes_in_one_run(tmp_path: Path) -> None:
    cluster = make_cluster(tmp_path, window="7d", grace="0s")
    await fill(cluster)
    said = await cluster.retention(dry_run=True)
    report = await cluster.retention()
    assert all(each.deleted for each in report.expired + said.expired)
    assert await cluster.ids() == ["full-2", "full-3"]
    assert (said.wal_deleted, report.wal_deleted) == (21, 21)


async def test_what_is_held_after_it_expired_is_kept_again(cluster: Cluster) -> None:
    await cluster.retention()
    async with cluster.repository() as repository:
        until = (datetime.now(UTC) + 9 * DAY).isoformat()
        await write_note(repository.store, LAYOUT, "inc-1", NoteKind.HOLD, {"until": until})
    report = await cluster.retention(after=2 * DAY)
    assert report.expired == ()
    assert (await cluster.catalog()).get("inc-1").state is BackupState.COMPLETE
    # What it rests on, too.
    assert (await cluster.catalog()).get("full-1").state is BackupState.COMPLETE
    report = await cluster.retention(after=10 * DAY, dry_run=True)
    assert "databases/main/backups/inc-1" in [each.name for each in report.expired]


async def test_a_reader_keeps_what_it_reads_and_wal(cluster: Cluster) -> None:
    await cluster.retention()
    async with cluster.repository() as repository:
        wanted = ["full-1", "inc-1"]
        async with hold_lease(
            repository.store, LAYOUT, "restore-1", backups=wanted, wal_from=Lsn(80 * SEGMENT_BYTES)
        ):
            report = await cluster.retention(after=0.05 * DAY)
            assert report.expired == ()
        async with hold_lease(
            repository.store, LAYOUT, "restore-1", backups=[], wal_from=Lsn(80 * SEGMENT_BYTES)
        ):
            report = await cluster.retention()
            assert len(report.expired) == 2
    await cluster.retention(after=2 * DAY)
    assert await cluster.ids() == ["full-2", "full-3"]


async def test_wal_that_a_reader_needs_stays(tmp_path: Path) -> None:
    cluster = make_cluster(tmp_path, window="7d", grace="0s")
    await fill(cluster)
    async with cluster.repository() as repository:
        from_ = Lsn(80 * SEGMENT_BYTES)
        async with hold_lease(repository.store, LAYOUT, "restore-1", backups=[], wal_from=from_):
            await cluster.retention()
            assert cluster.segments() == list(range(80, 102))
    await cluster.retention()
    assert cluster.segments() == list(range(90, 102))


async def test_what_changes_between_two_looks_stays(tmp_path: Path) -> None:
    cluster = make_cluster(tmp_path, window="7d", grace="0s")
    await fill(cluster)
    held = False
    async with cluster.repository() as repository:
        mark = repository.store.create

        async def create(key: str, content: Any) -> None:
            nonlocal held
            await mark(key, content)
            if b"deleting" in bytes(content) and not held:
                held = True
                until = (datetime.now(UTC) + DAY).isoformat()
                await write_note(
                    repository.store, LAYOUT, "full-1", NoteKind.HOLD, {"until": until}
                )

        repository.store.create = create  # type: ignore[method-assign]
        run = Retention(cluster.run, repository, LAYOUT, lambda: datetime.now(UTC))
        report = await run.apply(dry_run=False)
    assert [each.name for each in report.expired if each.deleted] == [
        "databases/main/backups/inc-1"
    ]
    assert await cluster.ids() == ["full-1", "full-2", "full-3"]
    assert (await cluster.catalog()).get("full-1").state is BackupState.COMPLETE


async def test_a_newest_backup_that_lacks_an_object_is_no_reason_to_let_others_go(
    cluster: Cluster,
) -> None:
    (cluster.directory / "store" / LAYOUT.backup("full-3") / "base.00000").unlink()
    (cluster.directory / "store" / LAYOUT.backup("full-2") / "base.00000").write_bytes(b"short")
    before = cluster.files()
    report = await cluster.retention(after=2 * DAY)
    assert report.expired == ()
    kept = {each.name.rpartition("/")[2]: each.reasons for each in report.kept}
    assert "the newest good backup" in kept["inc-1"]
    assert kept["full-1"] == ("inc-1 rests on it",)
    missing = f"{LAYOUT.backup('full-3')}base.00000 is missing or has another size"
    assert kept["full-3"] == (f"damaged ({missing}), in the window of 7d",)
    assert before - cluster.files() == {segment_key(LAYOUT, Segment(1, 69, SEGMENT_BYTES))}


async def test_leavings_of_unfinished_backups_are_swept_after_a_day(cluster: Cluster) -> None:
    async with cluster.repository() as repository:
        for id_ in ("full-old", "full-new", "full-made"):
            await repository.store.create(f"{LAYOUT.backup(id_)}base.00000", b"x")
            await repository.store.create(f"{LAYOUT.backup(id_)}base.00001", b"x")
        await repository.store.create("_probes/0123", b"x")
    store = cluster.directory / "store"
    old = (NOW - 2 * DAY).timestamp()
    for id_ in ("full-old", "full-made", "full-new"):
        os.utime(store / LAYOUT.backup(id_) / "base.00000", (old, old))
    for id_ in ("full-old", "full-made"):
        os.utime(store / LAYOUT.backup(id_) / "base.00001", (old, old))
    os.utime(store / "_probes/0123", (old, old))
    async with (
        cluster.repository() as repository,
        hold_lease(repository.store, LAYOUT, "create-1", backups=[], making="full-made"),
    ):
        assert (await cluster.retention(dry_run=True)).orphans_deleted == 2
        assert cluster.objects_of("full-old")
        report = await cluster.retention()
    assert report.orphans_deleted == 2
    assert not cluster.objects_of("full-old")
    assert len(cluster.objects_of("full-new")) == len(cluster.objects_of("full-made")) == 2
    assert "_probes/0123" not in cluster.files()
    assert (await cluster.retention()).orphans_deleted == 2  # full-made
    assert (await cluster.retention()).orphans_deleted == 0


async def test_a_store_that_is_full_is_no_reason_not_to_make_room(cluster: Cluster) -> None:
    await cluster.retention()
    with stores_that_fail(Faults(Fault.FULL, count=FOR_EVER)):
        report = await cluster.retention(after=2 * DAY)
    assert all(each.deleted for each in report.expired)
    assert await cluster.ids() == ["full-2", "full-3"]
    assert cluster.segments() == list(range(90, 102))


async def test_a_commit_record_is_gone_before_anything_else_of_its_backup(
    cluster: Cluster,
) -> None:
    with stores_that_fail(Faults()) as faults:
        await cluster.delete("full-1", with_children=True)
    for id_ in ("inc-1", "full-1"):
        deleted = faults.calls.index(Call("delete", LAYOUT.commit(id_)))
        assert deleted < faults.calls.index(Call("list", LAYOUT.backup(id_)))
        others = [
            number
            for number, call in enumerate(faults.calls)
            if call.method == "delete" and call.key.startswith(LAYOUT.backup(id_))
        ]
        assert min(others) == deleted


async def retention_to_the_end(cluster: Cluster) -> None:
    await apply_retention(cluster.run, ApplyRetentionRequest())


async def deletion(cluster: Cluster) -> None:
    request = DeleteBackupRequest("full-1", with_children=True)
    await delete_backup(cluster.run, request)


def _removes(call: Call) -> bool:
    return call.method in ("create", "delete")


@pytest.mark.soak
@pytest.mark.parametrize("work", [retention_to_the_end, deletion])
@pytest.mark.parametrize(
    "fault", [Fault.LOSE_ANSWER, pytest.param(Fault.FAIL, marks=pytest.mark.thorough)]
)
async def test_a_process_that_dies_at_any_call_leaves_nothing_half_deleted_that_looks_whole(
    tmp_path: Path, work: Callable[[Cluster], Awaitable[None]], fault: Fault, soak: Soak
) -> None:
    cluster = make_cluster(tmp_path, window="7d", grace="0s")
    await fill(cluster, 86)
    store, kept = tmp_path / "store", tmp_path / "kept"
    shutil.copytree(store, kept)
    with stores_that_fail(Faults(only=_removes)) as faults:
        await work(cluster)
    calls = len(faults.calls)
    assert calls > 10
    for at in range(calls) if soak.long else range(soak.seed % 4, calls, 4):
        shutil.rmtree(store)
        shutil.copytree(kept, store, copy_function=os.link)
        failing = Faults(fault, at, FOR_EVER, only=_removes)
        with stores_that_fail(failing), contextlib.suppress(StoreError):
            await work(cluster)
        await everything_listed_is_whole(cluster)
        await work_or_gone(cluster, work)
        await everything_listed_is_whole(cluster)
        assert await cluster.ids() == ["full-2", "full-3"]
        await retention_to_the_end(cluster)
        assert not cluster.objects_of("full-1") | cluster.objects_of("inc-1")
        assert cluster.segments() == list(range(90, 102))
        before = cluster.files()
        await retention_to_the_end(cluster)
        assert cluster.files() == before


async def work_or_gone(cluster: Cluster, work: Callable[[Cluster], Awaitable[None]]) -> None:
    """Do it again, as the next attempt would."""
    try:
        await work(cluster)
    except BackupNotFound:
        assert not cluster.objects_of("full-1")


async def everything_listed_is_whole(cluster: Cluster) -> None:
    catalog = await cluster.catalog()
    files = cluster.files()
    for backup in catalog.backups:
        assert backup.state is not BackupState.BROKEN, backup.problem
        record = backup.record
        assert record is not None
        assert {each.path for each in record.objects} <= files
        assert catalog.chain(backup)
        segment = Segment.at(1, record.start_lsn, SEGMENT_BYTES)
        assert segment_key(LAYOUT, segment) in files or segment.number < 86


@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.LOSE_ANSWER])
async def test_one_failing_call_of_the_store_changes_nothing(tmp_path: Path, fault: Fault) -> None:
    cluster = make_cluster(tmp_path, window="7d", grace="0s")
    await fill(cluster)
    with stores_that_fail(Faults()) as faults:
        await cluster.retention(dry_run=True)
    at = len(faults.calls) // 2
    with stores_that_fail(Faults(fault, at)) as faults:
        await retention_to_the_end(cluster)
    assert faults.happened == 1
    assert await cluster.ids() == ["full-2", "full-3"]
    assert cluster.segments() == list(range(90, 102))


async def test_a_backup_is_deleted_on_request(cluster: Cluster) -> None:
    with pytest.raises(BackupHasChildren, match="--with-children"):
        await cluster.delete("full-1")
    before = cluster.files()
    assert await cluster.delete("full-1", with_children=True, dry_run=True) == ("inc-1", "full-1")
    assert cluster.files() == before
    assert await cluster.delete("full-1", with_children=True) == ("inc-1", "full-1")
    assert await cluster.ids() == ["full-2", "full-3"]
    assert not cluster.objects_of("full-1") | cluster.objects_of("inc-1")
    with pytest.raises(BackupNotFound):
        await cluster.delete("full-1")


async def test_the_newest_good_backup_is_not_deleted(cluster: Cluster) -> None:
    with pytest.raises(BackupIsNewest, match="take another one first"):
        await cluster.delete("full-3")
    (cluster.directory / "store" / LAYOUT.commit("full-3")).write_bytes(b"{}")
    with pytest.raises(BackupIsNewest, match="full-2"):
        await cluster.delete("full-2")
    # A damaged one may go, and the newest of a cluster that was.
    assert await cluster.delete("full-3") == ("full-3",)
    async with cluster.repository() as repository:
        await store_backup(repository, "full-9", system="7500000000000000002", began=NOW)
    assert await cluster.delete("full-2") == ("full-2",)


async def test_a_held_backup_is_not_deleted(cluster: Cluster) -> None:
    async with cluster.repository() as repository:
        until = (datetime.now(UTC) + DAY).isoformat()
        await write_note(repository.store, LAYOUT, "inc-1", NoteKind.HOLD, {"until": until})
    for dry_run in (True, False):
        with pytest.raises(BackupHeld, match="inc-1"):
            await cluster.delete("full-1", with_children=True, dry_run=dry_run)
    assert len(await cluster.ids()) == 4


async def test_a_backup_in_use_is_not_deleted(cluster: Cluster) -> None:
    async with (
        cluster.repository() as repository,
        hold_lease(repository.store, LAYOUT, "restore-1", backups=["full-1"]),
    ):
        with pytest.raises(BackupInUse, match="restore-1"):
            await cluster.delete("full-1", with_children=True)
    assert await cluster.delete("full-1", with_children=True) == ("inc-1", "full-1")


async def test_who_takes_a_lease_just_before_a_deletion_is_seen_and_just_after_is_refused(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster.repository() as repository:
        lease = hold_lease(repository.store, LAYOUT, "restore-1", backups=["full-1", "inc-1"])
        taken = False

        async def mark(*arguments: Any) -> Any:
            nonlocal taken
            if not taken:
                taken = True
                await lease.__aenter__()
            return await marked(*arguments)

        marked = module.mark_deleting
        monkeypatch.setattr(module, "mark_deleting", mark)
        with pytest.raises(BackupInUse):
            await cluster.delete("full-1", with_children=True)
        await lease.__aexit__(None, None, None)
        # What was noted is taken back.
        assert (await cluster.catalog()).get("full-1").state is BackupState.COMPLETE
        await write_note(repository.store, LAYOUT, "inc-1", NoteKind.EXPIRED, {"deleting": True})
        with pytest.raises(BackupBeingDeleted):
            async with hold_lease(repository.store, LAYOUT, "restore-2", backups=["inc-1"]):
                pass
        notes = await read_notes(repository.store, LAYOUT)
        assert NoteKind.KEPT in notes["full-1"]


async def test_a_forged_newest_backup_has_no_real_one_removed(tmp_path: Path) -> None:
    cluster = make_cluster(tmp_path, keep=1)
    real = await cluster.backup("full-1", 40)
    async with cluster.repository() as repository:
        forged = replace(
            real,
            id="full-2",
            start_time=NOW - DAY,
            stop_time=NOW,
            streams=(),
        )
        # Whoever can write to the store knows the ids of data keys, and no data key.
        foreign = DataKey(bytes.fromhex(real.data_key), os.urandom(32))
        await repository.store.create(LAYOUT.commit("full-2"), write_commit(forged, foreign))
    report = await cluster.retention()
    assert [each.name.rpartition("/")[2] for each in report.expired] == []
    reasons = {each.name.rpartition("/")[2]: each.reasons for each in report.kept}
    assert "the newest good backup" in reasons["full-1"]
    assert "was not written with the data key" in " ".join(reasons["full-2"])


async def test_a_forged_note_has_no_key_of_a_real_backup_forgotten(tmp_path: Path) -> None:
    cluster = make_cluster(tmp_path, keep=1)
    real = await cluster.backup("full-1", 1)
    keys = {each for each in cluster.files() if "/keys/" in each}
    for data_key in (real.data_key, "zz", "../../other"):
        fields = {"reason": "forged", "grace_s": 0, "deleting": True, "data_key": data_key}
        async with cluster.repository() as repository:
            id_ = f"gone-{secrets.token_hex(2)}"
            await write_note(repository.store, LAYOUT, id_, NoteKind.EXPIRED, fields)
    await cluster.retention()
    assert {each for each in cluster.files() if "/keys/" in each} == keys
    assert not {each for each in cluster.files() if "/notes/gone-" in each}
    async with cluster.repository() as repository:
        await repository.require_genuine(real)


def use_another_key(cluster: Cluster, name: str) -> None:
    """Configure a key of this name in the place of `k1`."""
    other = cluster.directory / "another"
    other.write_bytes(base64.b64encode(os.urandom(32)))
    keys = {"current": name, name: f"file:{other}"}
    whole = {**cluster.config.model_dump(), "keys": keys}
    cluster.config = DatabaseBackupConfig.model_validate(whole)
    cluster.run.database.config.backup = cluster.config


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("k9", "cannot be judged without key 'k1'"),
        ("k1", "cannot be judged: key 'k1' is another one here"),
    ],
)
async def test_what_cannot_be_judged_for_want_of_a_key_is_kept_and_the_rest_goes_by_the_rules(
    tmp_path: Path, name: str, why: str
) -> None:
    cluster = make_cluster(tmp_path, keep=1, window=None, grace="0s")
    parent = await cluster.backup("full-1", 90)
    await cluster.backup("full-5", 0)
    use_another_key(cluster, name)
    await cluster.backup("inc-1", 80, parent=parent)
    await cluster.backup("full-2", 60)
    await cluster.backup("full-3", 40)
    report = await cluster.retention()
    assert [each.name.rpartition("/")[2] for each in report.expired] == ["full-2"]
    assert await cluster.ids() == ["full-1", "inc-1", "full-3", "full-5"]
    assert {each.name.rpartition("/")[2]: each.reasons for each in report.kept} == {
        "full-1": (why, "inc-1 rests on it"),
        "inc-1": (f"full-1, which it rests on, {why}",),
        # What nobody can read takes the place of none.
        "full-3": ("the newest good backup", "one of the 1 newest"),
        "full-5": (why,),
    }


async def test_the_wal_after_what_cannot_be_judged_stays_as_long_as_a_rule_would_want_it(
    tmp_path: Path,
) -> None:
    cluster = make_cluster(tmp_path, window="7d", grace="0s")
    await fill(cluster)
    use_another_key(cluster, "k9")
    await cluster.backup("full-4", 0)
    await cluster.retention()
    # That of the backups themselves, and all since the one with which the window begins.
    assert await cluster.ids() == ["full-1", "inc-1", "full-2", "full-3", "full-4"]
    assert cluster.segments() == [70, 71, *range(90, 102)]


async def test_a_newest_backup_that_cannot_be_judged_is_not_deleted(tmp_path: Path) -> None:
    cluster = make_cluster(tmp_path, keep=1)
    await cluster.backup("full-1", 9)
    await cluster.backup("full-2", 8)
    use_another_key(cluster, "k9")
    with pytest.raises(BackupIsNewest, match="full-2"):
        await cluster.delete("full-2")
    await cluster.backup("full-3", 7)
    assert await cluster.delete("full-2") == ("full-2",)


async def test_a_forged_newest_backup_has_no_real_one_deleted(tmp_path: Path) -> None:
    cluster = make_cluster(tmp_path, keep=1)
    real = await cluster.backup("full-1", 40)
    async with cluster.repository() as repository:
        forged = replace(real, id="full-2", start_time=NOW, stop_time=NOW, streams=())
        foreign = DataKey(bytes.fromhex(real.data_key), os.urandom(32))
        await repository.store.create(LAYOUT.commit("full-2"), write_commit(forged, foreign))
    with pytest.raises(BackupIsNewest, match="full-1"):
        await cluster.delete("full-1")
    assert await cluster.delete("full-2") == ("full-2",)
    async with cluster.repository() as repository:
        # Its key, which the forged one named, is still there.
        await repository.require_genuine(real)


async def test_a_record_that_was_replaced_since_it_was_read_is_not_believed(
    tmp_path: Path,
) -> None:
    cluster = make_cluster(tmp_path, keep=1)
    real = await cluster.backup("full-1", 1)
    async with cluster.repository() as repository:
        await repository.require_genuine(real)
        with pytest.raises(BackupDamaged, match="replaced since it was read"):
            await repository.require_genuine(replace(real, stop_lsn=Lsn(real.stop_lsn + 8)))


async def test_commit_records_are_not_read_for_each_removed_backup(tmp_path: Path) -> None:
    reads = []
    for removed in (1, 4):
        directory = tmp_path / str(removed)
        directory.mkdir()
        cluster = make_cluster(directory, keep=1, window=None, grace="0s")
        for number in range(removed):
            await cluster.backup(f"full-{number}", 90 - number)
        await cluster.backup("full-9", 0)
        with stores_that_fail(Faults()) as faults:
            await cluster.retention()
        assert await cluster.ids() == ["full-9"]
        reads.append(faults.calls.count(Call("read", LAYOUT.commit("full-9"))))
    assert reads[0] == reads[1]


async def test_a_data_key_is_forgotten_once_no_damaged_record_may_name_it(tmp_path: Path) -> None:
    cluster = make_cluster(tmp_path, keep=1, window=None, grace="0s")
    gone = await cluster.backup("full-1", 40)
    await cluster.backup("full-2", 20)
    await cluster.backup("full-3", 0)
    damaged = tmp_path / "store" / LAYOUT.commit("full-2")
    damaged.write_bytes(b"{}")
    for _ in range(2):
        await cluster.retention()
        assert await cluster.ids() == ["full-2", "full-3"]
        assert any(gone.data_key in each for each in cluster.files())
    assert await cluster.delete("full-2") == ("full-2",)
    await cluster.retention()
    assert not any(gone.data_key in each for each in cluster.files())
    assert not any("/notes/full-1" in each for each in cluster.files())


async def test_a_record_with_a_data_key_that_is_none_is_damaged(tmp_path: Path) -> None:
    cluster = make_cluster(tmp_path, keep=1)
    real = await cluster.backup("full-1", 1)
    async with cluster.repository() as repository:
        forged = replace(real, id="full-2", data_key="zz")
        await repository.store.create(LAYOUT.commit("full-2"), write_commit(forged, None))
    found = {each.id: each.state for each in (await cluster.catalog()).backups}
    assert found == {"full-1": BackupState.COMPLETE, "full-2": BackupState.BROKEN}
