"""Seals of marks: only who has the keys says up to when the archive is whole.

A mark without its WAL proves nothing. One that somebody else wrote would, together with a store
that was cut, have a restore succeed without the last commits. So its name ends with a data key's id
and what only that key makes of the rest.
"""

import asyncio
import hmac
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.codec.data_keys import DataKeys
from dbopsd.backup.codec.errors import BackupDamaged, KeyMissing, KeyWrong
from dbopsd.backup.codec.sealed_object import DataKey
from dbopsd.backup.wal.archive import Mark, WalArchive, mark_key
from dbopsd.operations.gather_or_cancel import gather_or_cancel

_PURPOSE: Final = b"dbopsd mark of the WAL archive"
# 128 bits: nobody can try so many names.
_SEAL_DIGITS: Final = 32
_KEYS_AT_ONCE: Final = 8

KeyProblem = KeyMissing | KeyWrong | BackupDamaged


def seal_mark(layout: Layout, mark: Mark, data_key: DataKey | None) -> Mark:
    """The mark with its seal; as it is where nothing is encrypted."""
    if data_key is None:
        return mark
    return replace(mark, data_key=data_key.id.hex(), seal=_seal(layout, mark, data_key))


async def newest_genuine(keys: DataKeys, layout: Layout, marks: Sequence[Mark]) -> Mark | None:
    """The last of `marks` that somebody who has the keys wrote."""
    for mark in reversed(marks):
        try:
            if await _is_genuine(keys, layout, mark):
                return mark
        except (KeyMissing, KeyWrong, BackupDamaged):
            continue
    return None


async def with_genuine_marks(
    keys: DataKeys, archive: WalArchive
) -> tuple[WalArchive, KeyProblem | None]:
    """The archive with those marks only that somebody who has the keys wrote.

    Where a key that is named is not here, or is another one, its marks are left out, and it is the
    second of the result.
    """
    marks = [mark for wal in archive.timelines.values() for mark in wal.marks]
    problem: KeyProblem | None = None
    limit = asyncio.Semaphore(_KEYS_AT_ONCE)

    async def load(id_: str) -> None:
        nonlocal problem
        async with limit:
            try:
                await keys.load(bytes.fromhex(id_))
            except KeyMissing as missing:
                # Without a wrap it is the key of nobody.
                problem = missing if missing.keys else problem
            except (KeyWrong, BackupDamaged) as error:
                problem = error

    await gather_or_cancel(load(id_) for id_ in {mark.data_key for mark in marks} - {""})
    timelines = {
        number: replace(
            wal,
            marks=[mark for mark in wal.marks if _is_sealed(keys, archive.layout, mark)],
        )
        for number, wal in archive.timelines.items()
    }
    return replace(archive, timelines=timelines), problem


def unsealed_note(keys: DataKeys, archive: WalArchive) -> str:
    """What to tell of marks that do not count for want of a seal; empty where there are none."""
    marks = [mark for wal in archive.timelines.values() for mark in wal.marks]
    unsealed = sum(not mark.data_key for mark in marks)
    if not unsealed or not keys.only_encrypted:
        return ""
    return (
        f"{unsealed} of {len(marks)} marks of the WAL archive have no seal, as versions of before "
        "there were seals wrote them, and do not count: set `accept_unencrypted` in "
        "[databases.NAME.backup.keys] if nobody else could write to the store"
    )


async def _is_genuine(keys: DataKeys, layout: Layout, mark: Mark) -> bool:
    if mark.data_key:
        await keys.load(bytes.fromhex(mark.data_key))
    return _is_sealed(keys, layout, mark)


def _is_sealed(keys: DataKeys, layout: Layout, mark: Mark) -> bool:
    """Whether the seal is right, by a data key that was loaded, or none is needed."""
    if not mark.data_key:
        return not keys.only_encrypted
    try:
        data_key = keys.known(bytes.fromhex(mark.data_key))
    except KeyMissing:
        return False
    return hmac.compare_digest(mark.seal, _seal(layout, mark, data_key))


def _seal(layout: Layout, mark: Mark, data_key: DataKey) -> str:
    key = hmac.digest(data_key.key, _PURPOSE, "sha256")
    name = mark_key(layout, replace(mark, data_key="", seal=""))
    return hmac.digest(key, name.encode(), "sha256").hex()[:_SEAL_DIGITS]
