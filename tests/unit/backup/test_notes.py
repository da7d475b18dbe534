"""Notes about backups: which one counts, whatever the clock and the disk do."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dbopsd.backup.catalog import notes
from dbopsd.backup.catalog.layout import Layout, parse_time, time_name
from dbopsd.backup.catalog.notes import (
    NoteKind,
    check_notes,
    delete_notes,
    read_notes,
    write_note,
)
from dbopsd.backup.codec.errors import Damage
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.file_store import FileStore

_LAYOUT = Layout("main", "7300000000000000001")
_BACKUP = "full-20261130t020000z-3f9a1c"
_OTHER = "full-20261129t020000z-1b2c3d"
_AN_HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> DurableStore:
    return DurableStore(FileStore(tmp_path))


class _ClockSetBack(datetime):
    """`datetime`, an hour ago."""

    @classmethod
    def now(cls, tz=None):  # type: ignore[no-untyped-def,override]
        return datetime.now(tz) - _AN_HOUR


async def _only_key(store: DurableStore, backup: str = _BACKUP) -> str:
    (found,) = [each.key async for each in store.list(_LAYOUT.notes(backup))]
    return found


async def test_the_newest_of_each_kind_counts(store: DurableStore) -> None:
    await write_note(store, _LAYOUT, _BACKUP, NoteKind.VERIFIED, {"ok": False})
    held = await write_note(store, _LAYOUT, _BACKUP, NoteKind.HOLD, {"until": "2030-01-01"})
    verified = await write_note(store, _LAYOUT, _BACKUP, NoteKind.VERIFIED, {"ok": True})
    other = await write_note(store, _LAYOUT, _OTHER, NoteKind.DRILLED, {"ok": True, "n": [1, 2]})
    assert await read_notes(store, _LAYOUT) == {
        _BACKUP: {NoteKind.VERIFIED: verified, NoteKind.HOLD: held},
        _OTHER: {NoteKind.DRILLED: other},
    }
    assert await read_notes(store, _LAYOUT, _OTHER) == {_OTHER: {NoteKind.DRILLED: other}}
    assert await check_notes(store, _LAYOUT, _BACKUP) == []


async def test_notes_stay_in_order_when_the_clock_is_set_back(
    store: DurableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = await write_note(store, _LAYOUT, _BACKUP, NoteKind.HOLD, {"until": "2030-01-01"})
    monkeypatch.setattr(notes, "datetime", _ClockSetBack)
    released = await write_note(store, _LAYOUT, _BACKUP, NoteKind.HOLD, {"until": "2020-01-01"})
    again = await write_note(store, _LAYOUT, _BACKUP, NoteKind.HOLD, {"until": "2031-01-01"})
    assert released.at == held.at + timedelta(microseconds=1)
    assert again.at == held.at + timedelta(microseconds=2)
    found = await read_notes(store, _LAYOUT)
    assert found[_BACKUP][NoteKind.HOLD] == again


async def test_a_time_in_a_name_loses_no_microsecond() -> None:
    at = datetime(2026, 11, 30, 2, 0, 0, tzinfo=UTC)
    for step in range(2000):
        each = at + timedelta(microseconds=step * 500_123)
        assert parse_time(time_name(each)) == each
        assert time_name(each) < time_name(each + timedelta(microseconds=1))


@pytest.mark.parametrize("kind", list(NoteKind))
async def test_a_damaged_note_never_lets_go_of_a_backup(
    store: DurableStore, tmp_path: Path, kind: NoteKind
) -> None:
    await write_note(store, _LAYOUT, _BACKUP, kind, {"until": "2026-12-01T00:00:00+00:00"})
    path = tmp_path / await _only_key(store)
    path.write_bytes(path.read_bytes().replace(b"2026-12", b"2026-11"))
    (damaged,) = await check_notes(store, _LAYOUT, _BACKUP)
    assert damaged.problem is Damage.HASH
    found = (await read_notes(store, _LAYOUT)).get(_BACKUP, {})
    match kind:
        case NoteKind.HOLD:
            assert datetime.fromisoformat(found[kind].fields["until"]).year == 9999
        case NoteKind.KEPT:
            assert found[kind].fields == {}
        case _:
            assert found == {}


async def test_a_note_is_of_its_own_backup_only(store: DurableStore, tmp_path: Path) -> None:
    await write_note(store, _LAYOUT, _BACKUP, NoteKind.VERIFIED, {"ok": True})
    path = tmp_path / await _only_key(store)
    moved = tmp_path / _LAYOUT.notes(_OTHER) / path.name
    moved.parent.mkdir()
    path.rename(moved)
    assert [each.problem for each in await check_notes(store, _LAYOUT, _OTHER)] == [Damage.HASH]
    assert await read_notes(store, _LAYOUT) == {}


async def test_every_bit_of_a_note_is_watched(store: DurableStore, tmp_path: Path) -> None:
    fields = {"until": "2030-01-01T00:00:00+00:00"}
    await write_note(store, _LAYOUT, _BACKUP, NoteKind.HOLD, fields)
    path = tmp_path / await _only_key(store)
    content = path.read_bytes()
    for position in range(len(content)):
        path.write_bytes(
            content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]
        )
        unharmed = re.sub(rb"\s", b"", path.read_bytes()) == re.sub(rb"\s", b"", content)
        problems = await check_notes(store, _LAYOUT, _BACKUP)
        assert unharmed or problems, f"byte {position} of {content!r}"


async def test_what_is_no_note_is_left_alone(store: DurableStore) -> None:
    folder = _LAYOUT.notes(_BACKUP)
    for name in ("README", f"{time_name(datetime.now(UTC))}-novelty-abcdef.json", "1-hold.json"):
        await store.create(folder + name, b"?")
    note = await write_note(store, _LAYOUT, _BACKUP, NoteKind.KEPT, {})
    assert await read_notes(store, _LAYOUT) == {_BACKUP: {NoteKind.KEPT: note}}
    await delete_notes(store, _LAYOUT, _BACKUP)
    assert [each async for each in store.list()] == []


async def test_a_note_of_a_newer_format_is_named(store: DurableStore, tmp_path: Path) -> None:
    await write_note(store, _LAYOUT, _BACKUP, NoteKind.HOLD, {"until": "2030-01-01"})
    path = tmp_path / await _only_key(store)
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    (damaged,) = await check_notes(store, _LAYOUT, _BACKUP)
    assert damaged.problem is Damage.FOREIGN
    assert (await read_notes(store, _LAYOUT))[_BACKUP][NoteKind.HOLD].fields["until"] > "9"
