"""Which backups are whose: a forged one satisfies no rule, or real ones would go because of it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from dbopsd.backup.catalog.catalog import Backup
from dbopsd.backup.codec.errors import BackupDamaged, KeyMissing
from dbopsd.backup.repository import Repository

_READ_AT_ONCE: Final = 8


async def genuine_backups(repository: Repository, backups: Sequence[Backup]) -> list[Backup]:
    """The backups, each with a problem whose record was not written by somebody with its key.

    Raises `KeyMissing` and `KeyWrong` where that cannot be told for want of a key: then nothing is
    to be removed.
    """
    limit = asyncio.Semaphore(_READ_AT_ONCE)

    async def judge(backup: Backup) -> Backup:
        if backup.record is None or backup.problem:
            return backup
        async with limit:
            try:
                await repository.require_genuine(backup.record)
            except KeyMissing as missing:
                if missing.keys:
                    raise
                return replace(
                    backup, problem="its data key is gone: no wrap of it is in the store"
                )
            except BackupDamaged as error:
                return replace(backup, problem=f"{error.object}: {error.detail}")
        return backup

    return list(await asyncio.gather(*(judge(each) for each in backups)))
