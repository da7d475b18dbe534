"""The store, the keys and the codec of a database's backups, as its configuration says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from dbopsd.backup.catalog.catalog import Catalog, list_systems, read_catalog
from dbopsd.backup.catalog.commit import CommitRecord, check_commit
from dbopsd.backup.catalog.errors import BackupsNotConfigured
from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.codec.compression import Compression
from dbopsd.backup.codec.data_keys import DataKeys
from dbopsd.backup.codec.errors import BackupDamaged, Damage, KeyMissing, KeyWrong
from dbopsd.backup.codec.key_files import read_keys
from dbopsd.backup.codec.whole_object import MOST_RECORD_BYTES, read_whole
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import ObjectMissing
from dbopsd.backup.store.identity import KnownStores
from dbopsd.backup.store.stores import open_store
from dbopsd.config.backup import DatabaseBackupConfig
from dbopsd.operations.kind import Run

_KNOWN_STORES: Final = "backup/stores"


@dataclass(frozen=True)
class Repository:
    """The backups of a database, of whatever clusters it was."""

    database: str
    config: DatabaseBackupConfig
    store: DurableStore
    keys: DataKeys
    compression: Compression
    _checked: set[str] = field(default_factory=set, compare=False)

    def layout(self, system_identifier: str) -> Layout:
        """The folders of one cluster."""
        return Layout(self.database, system_identifier)

    async def catalog(self, system_identifier: str) -> Catalog:
        """The backups of one cluster, read from the store."""
        return await read_catalog(
            self.store,
            self.layout(system_identifier),
            only_encrypted=self.keys.only_encrypted,
        )

    async def require_genuine(self, record: CommitRecord) -> None:
        """Raise `BackupDamaged` unless whoever wrote the commit record has its data key.

        It has to be in the store as it was read before. A record without a data key is judged by
        the catalog. Raises `KeyMissing` and `KeyWrong`.
        """
        if not record.data_key:
            return
        data_key = await self.keys.load(bytes.fromhex(record.data_key))
        key = self.layout(record.system_identifier).commit(record.id)
        try:
            content = await read_whole(self.store, key, MOST_RECORD_BYTES)
        except ObjectMissing:
            raise BackupDamaged(key, Damage.MISSING, "it is not in the store") from None
        if check_commit(key, content, data_key) != record:
            # The caller goes on with what it has read.
            raise BackupDamaged(key, Damage.FOREIGN, "it was replaced since it was read")

    async def is_genuine(self, record: CommitRecord) -> bool:
        """Whether whoever wrote the commit record has its data key, as far as can be told here."""
        try:
            await self.require_genuine(record)
        except (BackupDamaged, KeyMissing, KeyWrong):
            return False
        return True

    def for_comparison(self) -> "Repository":
        """The same repository, for what is compared with its original (`DataKeys`)."""
        return replace(self, keys=self.keys.for_comparison())

    async def systems(self) -> list[str]:
        """The system identifiers of every cluster that has something in the store."""
        return await list_systems(self.store, self.database)

    async def require_create_only(self) -> None:
        """Raise `StoreUnsuitable` where the store overwrites objects; asked once.

        One that does not is marked as a store that is used: see `prepare_store` before it is.
        """
        if self.store.url not in self._checked:
            await self.store.require_create_only()
            await self.store.prepare()
            self._checked.add(self.store.url)


@asynccontextmanager
async def open_repository(
    database: str, config: DatabaseBackupConfig | None, state_dir: Path | None = None
) -> AsyncIterator[Repository]:
    """The repository, for the time of the context.

    Which store it was is kept in `state_dir`: the first call to another one in its place raises
    `StoreReplaced`. Raises `BackupsNotConfigured` and `KeyUnreadable`. The store is not asked yet.
    """
    if config is None:
        raise BackupsNotConfigured(database)
    keys = await asyncio.to_thread(
        read_keys,
        config.keys.current_key,
        config.keys.keys,
        config.keys.recovery or "",
        accepts_unencrypted=config.keys.accept_unencrypted,
    )
    known = None if state_dir is None else KnownStores(state_dir / _KNOWN_STORES, database)
    store = DurableStore(open_store(config), deadline_s=config.timeout_s, known=known)
    try:
        yield Repository(
            database,
            config,
            store,
            DataKeys(store, f"{database}/", keys),
            Compression.parse(config.codec),
        )
    finally:
        await store.close()


def repository_of(run: Run) -> AbstractAsyncContextManager[Repository]:
    """The repository of an operation's database, as `open_repository`."""
    return open_repository(run.database.name, run.database.config.backup, run.state_dir)
