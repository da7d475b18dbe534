"""Data keys: one for each backup and each day's WAL, kept in the store wrapped by other keys.

A data key is wrapped once by each key-encryption key that opens it, in an object of its own below
`keys/`, and perhaps once for an age recipient. Rotation creates wraps and deletes others; nothing
that is encrypted is touched.
"""

import base64
import json
import os
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

import pyrage
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dbopsd.backup.codec.errors import BackupDamaged, Damage, KeyMissing, KeyWrong
from dbopsd.backup.codec.key_files import KeyEncryptionKeys
from dbopsd.backup.codec.sealed_object import DataKey
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import ObjectMissing

PREFIX: Final = "keys/"

_FORMAT: Final = 1
# No key-encryption key is called so: the configuration reserves the name.
_RECOVERY: Final = "recovery"
_NONCE_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What a rotation did: so many data keys were wrapped anew, and so many wraps deleted."""

    rewrapped: int
    deleted: int


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

    async def rotate(self, to: str) -> Rewrapped:
        """Have every data key wrapped by `to` and by no other key but that for recovery.

        Begun again after it was interrupted, it does what is left. Raises `KeyMissing` where `to`
        is not configured, or a data key has no wrap by a configured key, and `KeyWrong`; what was
        wrapped anew until then stays so.
        """
        if to not in self._keys.keys:
            raise KeyMissing((to,))
        rewrapped = deleted = 0
        for id_, names in sorted((await self._all()).items()):
            data_key = await self._unwrap(id_, names)
            if to not in names:
                await self._wrap(data_key, to)
                rewrapped += 1
            elif await self._unwrap(id_, [to]) != data_key:
                raise KeyWrong(to)
            if self._keys.recipient and _RECOVERY not in names:
                await self._wrap_for_recovery(data_key)
            for name in names:
                if name not in (to, _RECOVERY):
                    await self._store.delete(self._object(id_, name))
                    deleted += 1
        return Rewrapped(rewrapped, deleted)

    async def _all(self) -> dict[bytes, list[str]]:
        found: dict[bytes, list[str]] = defaultdict(list)
        prefix = self._folder + PREFIX
        async for each in self._store.list(prefix):
            id_, _, name = each.key.removeprefix(prefix).partition("/")
            found[bytes.fromhex(id_)].append(name.removesuffix(".json"))
        return found

    async def _wraps(self, id_: bytes) -> list[str]:
        prefix = f"{self._folder}{PREFIX}{id_.hex()}/"
        return [
            each.key.removeprefix(prefix).removesuffix(".json")
            async for each in self._store.list(prefix)
        ]

    async def _unwrap(self, id_: bytes, names: list[str]) -> DataKey:
        wrong = ""
        for name in sorted(names, key=lambda name: name != self._keys.current):
            if name not in self._keys.keys:
                continue
            wrap = await self._read(id_, name)
            try:
                key = AESGCM(self._keys.keys[name]).decrypt(
                    wrap[:_NONCE_BYTES], wrap[_NONCE_BYTES:], _bound(id_, name)
                )
            except InvalidTag:
                wrong = name
                continue
            return DataKey(id_, key)
        if wrong:
            raise KeyWrong(wrong)
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
        fields = {
            "format": _FORMAT,
            "dataKey": id_.hex(),
            "key": self._keys.recipient if name == _RECOVERY else name,
            "algorithm": algorithm,
            "wrapped": base64.b64encode(wrapped).decode(),
        }
        content = json.dumps(fields, indent=2).encode() + b"\n"
        await self._store.create(self._object(id_, name), content)

    async def _read(self, id_: bytes, name: str) -> bytes:
        key = self._object(id_, name)
        try:
            fields = json.loads(await self._store.read(key))
            if fields["format"] != _FORMAT or fields["dataKey"] != id_.hex():
                raise BackupDamaged(key, Damage.FOREIGN, "it is no wrap of this data key")
            return base64.b64decode(fields["wrapped"], validate=True)
        except ObjectMissing:
            raise BackupDamaged(key, Damage.MISSING, "the wrap of a data key") from None
        except (ValueError, KeyError, TypeError):
            raise BackupDamaged(key, Damage.HASH, "it is no wrap of a data key") from None

    def _object(self, id_: bytes, name: str) -> str:
        return f"{self._folder}{PREFIX}{id_.hex()}/{name}.json"


def _bound(id_: bytes, name: str) -> bytes:
    return id_ + name.encode()
