"""Data keys: wrapped, rotated, recovered; and what is said where a key is wrong or missing."""

import asyncio
import base64
import json
import os
from pathlib import Path

import pyrage
import pytest

from dbopsd.backup.codec.data_keys import DataKeys
from dbopsd.backup.codec.errors import (
    BackupDamaged,
    Damage,
    KeyMissing,
    KeyUnreadable,
    KeyWrong,
)
from dbopsd.backup.codec.key_files import KeyEncryptionKeys, read_keys
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import StoreError
from dbopsd.backup.store.file_store import FileStore
from tests.support.backup_keys import IDENTITY, KEYS, RECIPIENT, keys
from tests.support.failing_store import FOR_EVER, FailingStore, Fault, Faults


def _data_keys(root: Path, using: KeyEncryptionKeys, faults: Faults | None = None) -> DataKeys:
    store = FailingStore(FileStore(root), faults or Faults())
    return DataKeys(DurableStore(store, deadline_s=0.2, attempts=2), "main/", using)


def _wraps(root: Path) -> list[str]:
    found = [path.relative_to(root / "main/keys") for path in root.glob("main/keys/*/*")]
    return sorted(path.name.removesuffix(".json") for path in found)


def _nothing(_done: int, _total: int) -> None:
    return


async def _create(root: Path, using: KeyEncryptionKeys, count: int = 1) -> dict[bytes, bytes]:
    made = [await _data_keys(root, using).create() for _ in range(count)]
    return {each.id: each.key for each in made if each is not None}


async def _load(
    root: Path, using: KeyEncryptionKeys, ids: dict[bytes, bytes]
) -> dict[bytes, bytes]:
    data_keys = _data_keys(root, using)
    return {id_: (await data_keys.load(id_)).key for id_ in ids}


async def test_a_data_key_is_opened_by_the_key_that_wrapped_it(tmp_path: Path) -> None:
    made = await _create(tmp_path, keys("k1"), 3)
    assert len(made) == 3
    assert await _load(tmp_path, keys("k2", "k1", "k2"), made) == made
    for path in tmp_path.rglob("*.json"):
        for secret in (*made.values(), KEYS["k1"]):
            assert base64.b64encode(secret) not in path.read_bytes()
            assert secret not in path.read_bytes()


async def test_nothing_is_encrypted_without_a_key(tmp_path: Path) -> None:
    data_keys = _data_keys(tmp_path, KeyEncryptionKeys())
    assert await data_keys.create() is None
    assert list(tmp_path.iterdir()) == []


async def test_a_missing_key_and_a_wrong_one_are_named(tmp_path: Path) -> None:
    made = await _create(tmp_path, keys("k1"))
    with pytest.raises(KeyMissing, match="key 'k1' is needed, and is not configured"):
        await _load(tmp_path, keys("k2"), made)
    with pytest.raises(KeyMissing, match="key 'k1' is needed, and is not configured"):
        await _load(tmp_path, KeyEncryptionKeys(), made)
    with pytest.raises(KeyWrong, match="key 'k1' is not the key"):
        await _load(tmp_path, KeyEncryptionKeys("k1", {"k1": bytes(32)}), made)
    with pytest.raises(KeyMissing, match="no wrap of it is in the store"):
        await _load(tmp_path, keys("k1"), {bytes(16): b""})


async def test_every_bit_of_a_wrap_is_watched(tmp_path: Path) -> None:
    made = await _create(tmp_path, keys("k1"))
    (path,) = tmp_path.rglob("*.json")
    content = path.read_bytes()
    found = set()
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1
        path.write_bytes(bytes(changed))
        try:
            assert await _load(tmp_path, keys("k1"), made) == made
        except BackupDamaged as damaged:
            found.add(damaged.problem)
        else:
            assert json.loads(changed) == json.loads(content)
    assert found == {Damage.HASH, Damage.FOREIGN}


async def test_a_wrap_of_another_data_key_is_refused(tmp_path: Path) -> None:
    made = await _create(tmp_path, keys("k1"), 2)
    one, other = sorted(tmp_path.rglob("*.json"))
    one.write_bytes(other.read_bytes())
    with pytest.raises(BackupDamaged):
        await _load(tmp_path, keys("k1"), made)


async def test_the_recovery_key_alone_opens_everything_by_age(tmp_path: Path) -> None:
    made = await _create(tmp_path, keys("k1", recipient=RECIPIENT), 2)
    identity = pyrage.x25519.Identity.from_str(IDENTITY)
    for id_, key in made.items():
        fields = json.loads((tmp_path / f"main/keys/{id_.hex()}/recovery.json").read_text())
        assert fields["fields"]["key"] == RECIPIENT
        wrapped = base64.b64decode(fields["fields"]["wrapped"])
        assert pyrage.decrypt(wrapped, [identity]) == key
    with pytest.raises(KeyMissing, match="'k1'"):
        await _load(tmp_path, keys("k2", recipient=RECIPIENT), made)


async def test_rotation_leaves_the_new_key_and_recovery(tmp_path: Path) -> None:
    made = await _create(tmp_path, keys("k1"), 2)
    made |= await _create(tmp_path, keys("k2", recipient=RECIPIENT))
    both = keys("k1", "k1", "k2", recipient=RECIPIENT)
    done = await _data_keys(tmp_path, both).rotate("k2", _nothing)
    assert (done.rewrapped, done.deleted) == (2, 2)
    assert _wraps(tmp_path) == ["k2"] * 3 + ["recovery"] * 3
    assert await _load(tmp_path, keys("k2"), made) == made
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    again = await _data_keys(tmp_path, both).rotate("k2", _nothing)
    assert (again.rewrapped, again.deleted) == (0, 0)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before


async def test_a_new_recovery_key_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    other = pyrage.x25519.Identity.generate()
    made = await _create(tmp_path, keys("k1", recipient=str(other.to_public())))
    rotating = _data_keys(tmp_path, keys("k1", recipient=RECIPIENT))
    assert (await rotating.rotate("k1", _nothing)).rewrapped == 1
    (path,) = tmp_path.rglob("recovery.json")
    wrapped = base64.b64decode(json.loads(path.read_text())["fields"]["wrapped"])
    opened = pyrage.decrypt(wrapped, [pyrage.x25519.Identity.from_str(IDENTITY)])
    assert [opened] == list(made.values())


async def test_rotation_refuses_what_it_cannot_do_and_loses_nothing(tmp_path: Path) -> None:
    made = await _create(tmp_path, keys("k1"))
    made_by_k3 = await _create(tmp_path, keys("k3"))
    with pytest.raises(KeyMissing, match="'k9'"):
        await _data_keys(tmp_path, keys("k1")).rotate("k9", _nothing)
    with pytest.raises(KeyMissing, match="'k3'"):
        await _data_keys(tmp_path, keys("k1", "k1", "k2")).rotate("k2", _nothing)
    wrong = KeyEncryptionKeys("k2", {"k2": KEYS["k2"], "k1": bytes(32), "k3": bytes(32)})
    with pytest.raises(KeyWrong):
        await _data_keys(tmp_path, wrong).rotate("k2", _nothing)
    every = keys("k1", "k1", "k2", "k3")
    assert await _load(tmp_path, every, made | made_by_k3) == made | made_by_k3


async def test_rotation_mends_a_damaged_wrap_while_another_is_whole(tmp_path: Path) -> None:
    made = await _create(tmp_path, keys("k1"))
    (folder,) = (tmp_path / "main/keys").iterdir()
    (folder / "k2.json").write_bytes(b"{}")
    both = keys("k1", "k1", "k2")
    assert await _load(tmp_path, keys("k2", "k1", "k2"), made) == made
    assert (await _data_keys(tmp_path, both).rotate("k2", _nothing)).rewrapped == 1
    assert _wraps(tmp_path) == ["k2"]
    assert await _load(tmp_path, keys("k2"), made) == made


async def test_what_is_no_wrap_is_left_alone(tmp_path: Path) -> None:
    made = await _create(tmp_path, keys("k1"))
    (tmp_path / "main/keys/README").write_text("mine")
    await _data_keys(tmp_path, keys("k1", "k1", "k2")).rotate("k2", _nothing)
    assert await _load(tmp_path, keys("k2"), made) == made
    assert (tmp_path / "main/keys/README").read_text() == "mine"


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("count", [1, FOR_EVER], ids=["once", "for-ever"])
async def test_rotation_that_fails_anywhere_loses_nothing(
    tmp_path: Path, fault: Fault, count: int
) -> None:
    """At every call: it succeeds or says no; every data key opens; the next attempt finishes."""
    both = keys("k1", "k1", "k2", recipient=RECIPIENT)
    counted = Faults()
    await _create(tmp_path / "counted", keys("k1"), 2)
    await _data_keys(tmp_path / "counted", both, counted).rotate("k2", _nothing)
    assert len(counted.calls) > 12
    for at in range(len(counted.calls)):
        root = tmp_path / str(at)
        made = await _create(root, keys("k1"), 2)
        faults = Faults(fault, at, count)
        store = FailingStore(FileStore(root), faults)
        rotating = DataKeys(DurableStore(store, deadline_s=0.1, attempts=2), "main/", both)
        try:
            await rotating.rotate("k2", _nothing)
        except (StoreError, BackupDamaged):
            assert faults.happened
        await store.close()
        assert await _load(root, both, made) == made, f"call {at}"
        await _data_keys(root, both).rotate("k2", _nothing)
        assert await _load(root, keys("k2"), made) == made, f"call {at}"
        assert _wraps(root) == ["k2", "k2", "recovery", "recovery"], f"call {at}"


async def test_rotations_side_by_side_lose_nothing(tmp_path: Path) -> None:
    every = keys("k1", "k1", "k2", "k3")
    made = await _create(tmp_path, keys("k1"), 5)
    for turn in range(10):
        targets = ("k2", "k3", "k2") if turn % 2 else ("k3", "k2", "k1")
        done = await asyncio.gather(
            *(_data_keys(tmp_path, every).rotate(to, _nothing) for to in targets),
            return_exceptions=True,
        )
        assert all(
            not isinstance(each, Exception) or isinstance(each, BackupDamaged) for each in done
        ), done
        assert await _load(tmp_path, every, made) == made


async def test_a_data_key_that_is_forgotten_is_gone(tmp_path: Path) -> None:
    made = await _create(tmp_path, keys("k1", recipient=RECIPIENT))
    (id_,) = made
    data_keys = _data_keys(tmp_path, keys("k1"))
    await data_keys.forget(id_)
    await data_keys.forget(id_)
    with pytest.raises(KeyMissing):
        await data_keys.load(id_)
    assert _wraps(tmp_path) == []


def test_keys_are_read_from_files_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = os.urandom(32)
    raw, text = tmp_path / "raw", tmp_path / "text"
    raw.write_bytes(key)
    text.write_text(f"{base64.b64encode(key).decode()}\n")
    monkeypatch.setenv("BACKUP_KEY", base64.b64encode(key).decode())
    sources = {"a": f"file:{raw}", "b": f"file:{text}", "c": "env:BACKUP_KEY"}
    found = read_keys("a", sources, RECIPIENT)
    assert set(found.keys.values()) == {key}
    assert base64.b64encode(key).decode() not in repr(found)
    assert repr(key)[2:-1] not in repr(found)


@pytest.mark.parametrize("content", [b"", b"short", b"A" * 43, bytes(31), bytes(33), b"\xff" * 40])
def test_what_is_no_key_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(KeyUnreadable, match=r"openssl rand -base64 32") as raised:
        read_keys("k1", {"k1": f"file:{path}"})
    assert content.decode("latin-1") not in str(raised.value) or not content
    for source in ("file:/nowhere/key", "env:NO_SUCH_VARIABLE"):
        with pytest.raises(KeyUnreadable, match="k1"):
            read_keys("k1", {"k1": source})
    with pytest.raises(KeyUnreadable, match="age1"):
        read_keys("", {}, "age1nonsense")
