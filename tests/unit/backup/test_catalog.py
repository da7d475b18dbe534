"""The catalog as listing the store finds it, and commit records."""

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dbopsd.backup.catalog.catalog import Catalog
from dbopsd.backup.catalog.commit import (
    FORMAT,
    CommitRecord,
    RowCounts,
    TableRows,
    Tablespace,
    check_commit,
    read_commit,
    write_commit,
)
from dbopsd.backup.catalog.errors import BackupNotFound, BackupsNotConfigured, CommitRecordTooLarge
from dbopsd.backup.catalog.kind import BackupKind, BackupState
from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.catalog.notes import NoteKind, write_note
from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.codec.sealed_object import DataKey
from dbopsd.backup.repository import Repository, open_repository
from tests.support.stored_backups import SYSTEM, backup_config, store_backup

_LAYOUT = Layout("main", SYSTEM)
_KEY = DataKey(bytes(range(16)), bytes(range(32)))
_AT = datetime(2026, 11, 30, 2, 0, 0, 123456, tzinfo=UTC)
_RECORD = CommitRecord(
    id="full-1",
    database="main",
    kind=BackupKind.FULL,
    system_identifier=SYSTEM,
    server_version="18.6",
    timeline=3,
    start_lsn=Lsn(0x2_0000_0028),
    stop_lsn=Lsn(0x2_0000_0130),
    start_time=_AT,
    stop_time=_AT + timedelta(minutes=1),
    codec="zstd:3",
    made_by="1.0",
    source="primary",
    streams=(),
    data_key=_KEY.id.hex(),
    tablespaces=(Tablespace(16384, "/srv/ä b"),),
    row_counts=RowCounts(Lsn(5), (TableRows("app", "public", "t", 7),), ("app.u: locked",)),
)


@pytest.fixture
async def repository(tmp_path: Path) -> AsyncIterator[Repository]:
    async with open_repository("main", backup_config(tmp_path)) as opened:
        yield opened


async def _store(repository: Repository, id_: str, **more: Any) -> CommitRecord:
    return await store_backup(repository, id_, content_bytes=1_000, **more)


async def _store_record(repository: Repository, record: CommitRecord) -> None:
    await repository.store.create(_LAYOUT.commit(record.id), write_commit(record, None))


async def _catalog(repository: Repository) -> Catalog:
    return await repository.catalog(SYSTEM)


class TestCommitRecord:
    @pytest.mark.parametrize("key", [None, _KEY])
    def test_comes_back(self, key: DataKey | None) -> None:
        path = _LAYOUT.commit("full-1")
        content = write_commit(_RECORD, key)
        assert read_commit(path, content) == _RECORD
        assert json.loads(content)["start_lsn"] == "2/28"
        if key is not None:
            check_commit(path, content, key)

    def test_every_bit_is_watched(self) -> None:
        path = _LAYOUT.commit("full-1")
        content = write_commit(_RECORD, _KEY)
        for position in range(len(content)):
            changed = bytearray(content)
            changed[position] ^= 1
            try:
                found = read_commit(path, bytes(changed))
                check_commit(path, bytes(changed), _KEY)
            except BackupDamaged:
                continue
            assert found == _RECORD
            assert json.loads(changed) == json.loads(content), f"byte {position}"

    def test_a_forged_one_is_found_by_the_data_key(self) -> None:
        path = _LAYOUT.commit("full-1")
        fields = json.loads(write_commit(_RECORD, _KEY))
        seal = fields.pop("seal")
        fields["timeline"] = 4
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
        fields["seal"] = {**seal, "sha256": hashlib.sha256(canonical).hexdigest()}
        forged = json.dumps(fields).encode()
        assert read_commit(path, forged).timeline == 4
        with pytest.raises(BackupDamaged) as raised:
            check_commit(path, forged, _KEY)
        assert raised.value.problem is Damage.FOREIGN
        without = write_commit(_RECORD, None)
        with pytest.raises(BackupDamaged):
            check_commit(path, without, _KEY)
        for mac in (None, 7, "é", "\ud800"):
            fields["seal"]["mac"] = mac
            with pytest.raises(BackupDamaged):
                check_commit(path, json.dumps(fields).encode(), _KEY)

    @pytest.mark.parametrize("content", [b"", b"junk", b"[]", b"{}", b'{"seal": 1, "format": 1}'])
    def test_what_is_no_record_is_damaged(self, content: bytes) -> None:
        with pytest.raises(BackupDamaged):
            check_commit(_LAYOUT.commit("full-1"), content, _KEY)

    def test_one_that_nobody_would_read_is_not_written(self) -> None:
        content = write_commit(_RECORD, None)
        assert write_commit(_RECORD, None, most_bytes=len(content)) == content
        with pytest.raises(CommitRecordTooLarge, match="'full-1' was not committed"):
            write_commit(_RECORD, None, most_bytes=len(content) - 1)

    def test_belongs_to_its_place(self) -> None:
        content = write_commit(_RECORD, None)
        for layout, id_ in (
            (_LAYOUT, "full-2"),
            (Layout("main", "7300000000000000009"), "full-1"),
            (Layout("other", SYSTEM), "full-1"),
        ):
            with pytest.raises(BackupDamaged) as raised:
                read_commit(layout.commit(id_), content)
            assert raised.value.problem is Damage.FOREIGN

    def test_of_a_newer_version_is_read_while_its_format_is_ours(self) -> None:
        path = _LAYOUT.commit("full-1")
        newer = json.loads(write_commit(_RECORD, None))
        del newer["seal"]

        def seal(fields: dict[str, object]) -> bytes:
            canonical = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
            digest = hashlib.sha256(canonical).hexdigest()
            return json.dumps({**fields, "seal": {"sha256": digest}}).encode()

        assert read_commit(path, seal({**newer, "novelty": [1]})) == _RECORD
        with pytest.raises(BackupDamaged, match="only a newer dbopsd"):
            read_commit(path, seal({**newer, "format": FORMAT + 1}))

    @pytest.mark.parametrize("content", [b"", b"{}", b"null", b"[]", b"{", b"\xff", b"3", b'"x"'])
    def test_that_is_none_is_damaged(self, content: bytes) -> None:
        with pytest.raises(BackupDamaged):
            read_commit(_LAYOUT.commit("full-1"), content)


class TestCatalog:
    async def test_of_an_empty_store_is_empty(self, repository: Repository) -> None:
        assert await repository.systems() == []
        assert (await _catalog(repository)).backups == []

    async def test_is_rebuilt_from_the_store_alone(self, repository: Repository) -> None:
        full = await _store(repository, "full-1")
        first = await _store(repository, "incremental-1", parent=full)
        second = await _store(repository, "incremental-2", parent=first)
        other = await _store(repository, "full-2")
        await repository.store.create(f"{_LAYOUT.backup('full-3')}base.00000", b"half")
        catalog = await _catalog(repository)
        assert [each.record for each in catalog.backups] == [full, other, first, second]
        assert catalog.uncommitted == ["full-3"]
        assert catalog.chain(catalog.get("incremental-2")) == [full, first, second]
        assert [each.id for each in catalog.children("full-1")] == [
            "incremental-2",
            "incremental-1",
        ]
        assert {each.state for each in catalog.backups} == {BackupState.COMPLETE}
        assert await repository.systems() == [SYSTEM]
        with pytest.raises(BackupNotFound):
            catalog.get("full-3")

    async def test_a_backup_without_its_parent_is_broken(
        self, repository: Repository, tmp_path: Path
    ) -> None:
        full = await _store(repository, "full-1")
        first = await _store(repository, "incremental-1", parent=full)
        await _store(repository, "incremental-2", parent=first)
        (tmp_path / "store" / _LAYOUT.commit("full-1")).unlink()
        catalog = await _catalog(repository)
        assert {each.id: each.problem for each in catalog.backups} == {
            "incremental-1": "its parent full-1 is missing",
            "incremental-2": "its parent incremental-1 is damaged",
        }
        assert {each.state for each in catalog.backups} == {BackupState.BROKEN}
        with pytest.raises(BackupNotFound, match="full-1"):
            catalog.chain(catalog.get("incremental-2"))

    async def test_where_there_are_keys_what_is_not_encrypted_is_broken(
        self, repository: Repository
    ) -> None:
        await _store_record(repository, replace(_RECORD, data_key=""))
        found = (await _catalog(repository)).get("full-1")
        assert found.state is BackupState.BROKEN
        assert "accept_unencrypted" in found.problem

    async def test_a_clock_that_was_set_back_breaks_no_chain(self, repository: Repository) -> None:
        full = _RECORD
        child = replace(
            full, id="incremental-1", parent="full-1", start_time=_AT - timedelta(hours=1)
        )
        await _store_record(repository, full)
        await _store_record(repository, child)
        catalog = await _catalog(repository)
        assert [each.state for each in catalog.backups] == [BackupState.COMPLETE] * 2
        assert catalog.chain(catalog.get("incremental-1")) == [full, child]

    async def test_a_ring_of_parents_ends(self, repository: Repository) -> None:
        for id_, parent in (("incremental-1", "incremental-2"), ("incremental-2", "incremental-1")):
            await _store_record(repository, replace(_RECORD, id=id_, parent=parent))
        catalog = await _catalog(repository)
        assert {each.state for each in catalog.backups} == {BackupState.BROKEN}
        with pytest.raises(BackupNotFound):
            catalog.chain(catalog.get("incremental-1"))

    async def test_a_damaged_record_is_a_broken_backup(
        self, repository: Repository, tmp_path: Path
    ) -> None:
        full = await _store(repository, "full-1")
        await _store(repository, "incremental-1", parent=full)
        await _store(repository, "full-2")
        path = tmp_path / "store" / _LAYOUT.commit("full-1")
        path.write_bytes(path.read_bytes().replace(b'"timeline": 1', b'"timeline": 2'))
        catalog = await _catalog(repository)
        broken = {each.id for each in catalog.backups if each.state is BackupState.BROKEN}
        assert broken == {"full-1", "incremental-1"}
        assert catalog.get("full-1").record is None

    async def test_states_follow_the_notes(self, repository: Repository) -> None:
        await _store(repository, "full-1")

        async def after(kind: NoteKind, **fields: object) -> BackupState:
            await write_note(repository.store, _LAYOUT, "full-1", kind, fields)
            return (await _catalog(repository)).get("full-1").state

        assert await after(NoteKind.EXPIRED, reason="age", grace_s=1) is BackupState.EXPIRED
        assert await after(NoteKind.KEPT) is BackupState.COMPLETE
        assert await after(NoteKind.EXPIRED, reason="age", grace_s=1) is BackupState.EXPIRED
        assert await after(NoteKind.VERIFIED, ok=False, problems=[]) is BackupState.BROKEN
        assert await after(NoteKind.VERIFIED, ok=True) is BackupState.EXPIRED
        until = "2030-01-01T00:00:00+00:00"
        await after(NoteKind.HOLD, until=until)
        held = (await _catalog(repository)).get("full-1").held_until
        assert held == datetime.fromisoformat(until)


async def test_backups_that_are_not_configured_are_said_to_be() -> None:
    with pytest.raises(BackupsNotConfigured, match=r"\[databases.main.backup\]"):
        async with open_repository("main", None):
            pass


async def test_a_directory_with_a_space_is_that_directory(tmp_path: Path) -> None:
    config = backup_config(tmp_path).model_copy(update={"store": (tmp_path / "two words").as_uri()})
    async with open_repository("main", config) as repository:
        await repository.require_create_only()
        await repository.store.create("main/a", b"1")
    assert (tmp_path / "two words/main/a").read_bytes() == b"1"
