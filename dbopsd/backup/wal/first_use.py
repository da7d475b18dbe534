"""Has a store ready before something is written to it, unless it stands in the place of another."""

import asyncio
from pathlib import Path
from typing import Final

from dbopsd.backup.repository import Repository
from dbopsd.backup.wal.slot import slot_name
from dbopsd.backup.wal.spool import left_spools, spool_folder
from dbopsd.db.database import Database
from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql

_ARCHIVED: Final = load_sql(__package__, "archived_before.sql").statement


async def prepare_store(repository: Repository, database: Database, state_dir: Path) -> None:
    """Mark the store as one that is used. Raises `StoreEmpty`, `StoreUnsuitable`, `StoreReplaced`.

    A machine that knows of no store yet asks the server whether there was an archive, and raises
    `DatabaseError` where it does not answer. An empty store would otherwise be taken for a new one,
    and the right one be refused once its disk is mounted.
    """
    folder, slot = spool_folder(state_dir, database.name), slot_name(database.name)

    async def ask(session: Session) -> tuple[bool, bool]:
        ((has_slot, has_pushed),) = await session.fetch_all(_ARCHIVED, {"slot": slot})
        return has_slot, has_pushed

    async def archived_before() -> str:
        if await asyncio.to_thread(left_spools, folder):
            return f"'{folder}' has WAL that is not stored"
        has_slot, has_pushed = await database.run(ask, idempotent=True, read_only=False)
        if has_slot:
            return f"the server keeps WAL for it by the slot '{slot}'"
        return "its server has pushed WAL by `dbopsd wal push`" if has_pushed else ""

    await repository.store.require_not_emptied(archived_before)
    await repository.require_create_only()
