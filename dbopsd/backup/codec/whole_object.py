"""Objects that are read whole, however large somebody has made them."""

from typing import Final

from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.store.base import MOST_BYTES
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import ObjectTooLarge

MOST_RECORD_BYTES: Final = 256 * 2**20
"""Of a commit record, which has some 350 bytes for each part of a backup: 6 TiB as stored."""


async def read_whole(store: DurableStore, key: str, most_bytes: int = MOST_BYTES) -> bytes:
    """The object's bytes. Raises `ObjectMissing`, and `BackupDamaged` for more than `most_bytes`.

    By default, those of a note, a lease, an event and the like, which have some hundred.
    """
    try:
        return await store.read(key, most_bytes)
    except ObjectTooLarge:
        detail = f"it has more than the {most_bytes} bytes that it can have"
        raise BackupDamaged(key, Damage.FOREIGN, detail) from None
