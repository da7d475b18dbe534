"""Which backups are whose: a forged one satisfies no rule, or real ones would go because of it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dbopsd.backup.catalog.catalog import Backup
from dbopsd.backup.codec.errors import BackupDamaged, KeyMissing, KeyWrong
from dbopsd.backup.repository import Repository
from dbopsd.operations.gather_or_cancel import gather_or_cancel

_READ_AT_ONCE: Final = 8


@dataclass(frozen=True)
class JudgedBackups:
    """Backups, each with a problem unless somebody with its key has written its record."""

    backups: Sequence[Backup]
    unjudged: Mapping[str, str]
    """The ids of those of which it cannot be told for want of a key, and why; with what rests on
    them. They may be real: they are to be kept."""


async def judge_backups(repository: Repository, backups: Sequence[Backup]) -> JudgedBackups:
    """Judge the backups of one cluster, in the order of their catalog."""
    limit = asyncio.Semaphore(_READ_AT_ONCE)
    unjudged: dict[str, str] = {}

    async def judge(backup: Backup) -> Backup:
        if backup.record is None or backup.problem:
            return backup
        async with limit:
            try:
                await repository.require_genuine(backup.record)
            except KeyMissing as missing:
                if not missing.keys:
                    return replace(
                        backup, problem="its data key is gone: no wrap of it is in the store"
                    )
                names = " or ".join(f"'{key}'" for key in missing.keys)
                unjudged[backup.id] = f"cannot be judged without key {names}"
            except KeyWrong as wrong:
                unjudged[backup.id] = f"cannot be judged: key '{wrong.key}' is another one here"
            except BackupDamaged as error:
                return replace(backup, problem=f"{error.object}: {error.detail}")
        return backup

    judged = await gather_or_cancel(judge(each) for each in backups)
    # Parents come before their children: a catalog is in the order of time.
    for each in judged:
        parent = each.record.parent if each.record is not None else ""
        if parent in unjudged and not each.problem:
            unjudged.setdefault(each.id, f"{parent}, which it rests on, {unjudged[parent]}")
    return JudgedBackups(
        [replace(each, problem=unjudged.get(each.id, each.problem)) for each in judged], unjudged
    )
