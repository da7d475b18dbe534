"""Data keys: one for each backup and each day's WAL, kept in the store wrapped by other keys.

A data key is wrapped once by each key-encryption key that opens it, in an object of its own below
`keys/`, and perhaps once for an age recipient. Rotation creates wraps and deletes others; nothing
that is encrypted is touched.
"""

import base64
import contextlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pyrage
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dbopsd.backup.codec.errors import BackupDamaged, Damage, KeyMissing, KeyWrong
from dbopsd.backup.codec.key_files import KeyEncryptionKeys
from dbopsd.backup.codec.sealed_json import open_json, seal_json
from dbopsd.backup.codec.sealed_object import DataKey
from dbopsd.backup.codec.whole_object import read_whole
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import ObjectExists, ObjectMissing

PREFIX: Final = "keys/"

# No key-encryption key is called so: the configuration reserves the name.
_RECOVERY: Final = "recovery"
_NONCE_BYTES: Final = 12
_WRAP: Final = re.compile(r"(?P<id>[0-9a-f]{32})/(?P<name>[a-z0-9-]{1,63})\.json")


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What a rotation did: so many data keys were wrapped anew, and so many wraps deleted."""

    rewrapped: int
    deleted: int


@dataclass(frozen=True, slots=True)
class _Wrap:
    """A wrapped data key. `key`: the name of the key that wraps it, or an age recipient."""

    key: str
    wrapped: bytes


Progress = Callable[[int, int], None]
"""Takes how many data keys are done, and how many there are."""


class DataKeys:
    """The data keys below `folder` (`main/` and the like) of a store."""

    def __init__(self, store: DurableStore, folder: str, keys: KeyEncryptionKeys) -> None:
        self._store = store
        self._folder = folder
        self._keys = keys
        self._known: dict[bytes, DataKey] = {}

    @property
    def key_id(self) -> str:
        """The name of the key that new data keys are wrapped by; empty: nothing is encrypted."""
        return self._keys.current

    @property
    def only_encrypted(self) -> bool:
        """Whether what is not encrypted is somebody else's, and not to be read."""
        return bool(self._keys.current) and not self._keys.accepts_unencrypted

    def for_comparison(self) -> "DataKeys":
        """The same keys, which read what is not encrypted, too.

        For what is compared with its original, which nobody can have forged then.
        """
        admitting = replace(self._keys, accepts_unencrypted=True)
        return DataKeys(self._store, self._folder, admitting)

    async def create(self) -> DataKey | None:
        """A new data key, whose wraps are in the store; None if nothing is to be encrypted."""
        if not self._keys.current:
            return None
        made = DataKey(os.urandom(16), os.urandom(32))
        if self._keys.recipient:
            await self._wrap_for_recovery(made)
        await self._wrap(made, self._keys.current)
        self._known[made.id] = made
        return made

    async def load(self, id_: bytes) -> DataKey:
        """The data key of an id. Raises `KeyMissing`, `KeyWrong` and `BackupDamaged`."""
        if id_ not in self._known:
            try:
                self._known[id_] = await self._unwrap(id_, await self._wraps(id_))
            except BackupDamaged as damaged:
                if damaged.problem is not Damage.MISSING:
                    raise
                # A rotation deleted a wrap since it was listed, and had written another before.
                self._known[id_] = await self._unwrap(id_, await self._wraps(id_))
        return self._known[id_]

    def known(self, id_: bytes) -> DataKey:
        """A data key that was created or loaded before. Raises `KeyMissing`."""
        found = self._known.get(id_)
        if found is None:
            raise KeyMissing(())
        return found

    async def forget(self, id_: bytes) -> None:
        """Delete every wrap of a data key of which nothing is left: the key for good."""
        for name in await self._wraps(id_):
            await self._store.delete(self._object(id_, name))
        self._known.pop(id_, None)

    async def rotate(self, to: str, progress: Progress) -> Rewrapped:
        """Have every data key wrapped by `to` and by no other key but that for recovery.

        Begun again after it was interrupted, it does what is left. Raises `KeyMissing` where `to`
        is not configured, or a data key has no wrap by a configured key, and `KeyWrong`; what was
        wrapped anew until then stays so.
        """
        if to not in self._keys.keys:
            raise KeyMissing((to,))
        rewrapped = deleted = 0
        found = sorted((await self._all()).items())
        for done, (id_, names) in enumerate(found):
            progress(done, len(found))
            data_key = await self._unwrap(id_, names)
            rewrapped += await self._ensure_wraps(data_key, to, names)
            others = [name for name in names if name not in (to, _RECOVERY)]
            for name in others:
                await self._store.delete(self._object(id_, name))
                deleted += 1
            if others and to not in await self._wraps(id_):
                # Another rotation, to another key, has deleted ours meanwhile.
                await self._wrap(data_key, to)
        progress(len(found), len(found))
        return Rewrapped(rewrapped, deleted)

    async def _ensure_wraps(self, data_key: DataKey, to: str, names: Sequence[str]) -> bool:
        """Have sound wraps by `to` and for recovery; whether one had to be written."""
        written = False
        if not (to in names and await self._is_sound(data_key, to)):
            await self._wrap(data_key, to)
            written = True
        if self._keys.recipient and not (
            _RECOVERY in names and await self._is_sound(data_key, _RECOVERY)
        ):
            await self._wrap_for_recovery(data_key)
            written = True
        return written

    async def _is_sound(self, data_key: DataKey, name: str) -> bool:
        """Whether a wrap holds the data key. One that does not is deleted, to be written anew.

        Raises `KeyWrong` where it was made by another key of the same name.
        """
        try:
            if name == _RECOVERY:
                # Only its recipient can open it.
                sound = (await self._read(data_key.id, name)).key == self._keys.recipient
            else:
                sound = await self._unwrap(data_key.id, [name]) == data_key
        except BackupDamaged:
            sound = False
        if not sound:
            await self._store.delete(self._object(data_key.id, name))
        return sound

    async def _all(self) -> dict[bytes, list[str]]:
        found: dict[bytes, list[str]] = defaultdict(list)
        async for each in self._store.list(self._folder + PREFIX):
            named = _WRAP.fullmatch(each.key.removeprefix(self._folder + PREFIX))
            if named is not None:
                found[bytes.fromhex(named["id"])].append(named["name"])
        return found

    async def _wraps(self, id_: bytes) -> list[str]:
        prefix = f"{self._folder}{PREFIX}{id_.hex()}/"
        return [
            each.key.removeprefix(prefix).removesuffix(".json")
            async for each in self._store.list(prefix)
        ]

    async def _unwrap(self, id_: bytes, names: Sequence[str]) -> DataKey:
        problem: KeyWrong | BackupDamaged | None = None
        for name in sorted(names, key=lambda name: name != self._keys.current):
            if name not in self._keys.keys:
                continue
            try:
                wrapped = (await self._read(id_, name)).wrapped
                key = AESGCM(self._keys.keys[name]).decrypt(
                    wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _bound(id_, name)
                )
            except InvalidTag:
                problem = KeyWrong(name)
            except BackupDamaged as damaged:
                problem = problem or damaged
            else:
                return DataKey(id_, key)
        if problem is not None:
            raise problem
        raise KeyMissing(tuple(sorted(set(names) - {_RECOVERY})))

    async def _wrap(self, data_key: DataKey, name: str) -> None:
        nonce = os.urandom(_NONCE_BYTES)
        cipher = AESGCM(self._keys.keys[name])
        wrapped = nonce + cipher.encrypt(nonce, data_key.key, _bound(data_key.id, name))
        await self._write(data_key.id, name, "AES-256-GCM", wrapped)
        # What was read back opens: only then another wrap may go.
        if await self._unwrap(data_key.id, [name]) != data_key:
            raise KeyWrong(name)

    async def _wrap_for_recovery(self, data_key: DataKey) -> None:
        recipient = pyrage.x25519.Recipient.from_str(self._keys.recipient)
        wrapped = pyrage.encrypt(data_key.key, [recipient])
        await self._write(data_key.id, _RECOVERY, "age", wrapped)

    async def _write(self, id_: bytes, name: str, algorithm: str, wrapped: bytes) -> None:
        key = self._object(id_, name)
        fields = {
            "key": self._keys.recipient if name == _RECOVERY else name,
            "algorithm": algorithm,
            "wrapped": base64.b64encode(wrapped).decode(),
        }
        with contextlib.suppress(ObjectExists):  # somebody else has wrapped it by the same key
            await self._store.create(key, seal_json(key, fields))

    async def _read(self, id_: bytes, name: str) -> _Wrap:
        key = self._object(id_, name)
        try:
            fields = open_json(key, await read_whole(self._store, key))
            return _Wrap(fields["key"], base64.b64decode(fields["wrapped"], validate=True))
        except ObjectMissing:
            raise BackupDamaged(key, Damage.MISSING, "the wrap of a data key") from None
        except (ValueError, KeyError, TypeError):
            raise BackupDamaged(key, Damage.FOREIGN, "it is no wrap of a data key") from None

    def _object(self, id_: bytes, name: str) -> str:
        return f"{self._folder}{PREFIX}{id_.hex()}/{name}.json"


def _bound(id_: bytes, name: str) -> bytes:
    return id_ + name.encode()
