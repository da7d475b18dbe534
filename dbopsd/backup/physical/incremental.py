"""Which backup an incremental one rests on, or why there is none."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dbopsd.backup.catalog.catalog import Backup, Catalog, is_physical
from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.errors import BackupNotFound
from dbopsd.backup.catalog.kind import BackupState
from dbopsd.backup.codec.errors import BackupDamaged, KeyMissing, KeyWrong
from dbopsd.backup.parts import read_parts
from dbopsd.backup.physical.base_backup import MANIFEST
from dbopsd.backup.repository import Repository
from dbopsd.backup.server import Server


class NoParent(Exception):
    """No incremental backup can be made; the text says why."""


async def find_chain(repository: Repository, server: Server) -> list[CommitRecord]:
    """The chain of the newest backup that an incremental one of this server can rest on.

    That is the last; every object of all of them is in the store, in its length. Raises `NoParent`.
    """
    if not server.summarizes_wal:
        raise NoParent("the server keeps no WAL summaries: set summarize_wal = on, and reload")
    catalog = await repository.catalog(server.system_identifier)
    candidates = [each for each in catalog.backups if _is_good(each)]
    if not candidates:
        others = set(await repository.systems()) - {server.system_identifier}
        if others and not catalog.backups:
            raise NoParent(
                f"the server is cluster {server.system_identifier}, and earlier backups are of "
                f"{', '.join(sorted(others))}"
            )
        raise NoParent("there is no complete backup of this cluster to rest on")
    parent = candidates[-1]
    try:
        chain = catalog.chain(parent)
    except BackupNotFound as error:
        raise NoParent(f"backup {error.backup}, which {parent.id} rests on, is not whole") from None
    for record in chain:
        await _require_genuine(repository, record)
        await _require_objects(repository, catalog, record)
    return chain


@asynccontextmanager
async def parent_manifest(
    repository: Repository, scratch: Path, parent: CommitRecord
) -> AsyncIterator[Path]:
    """The parent's manifest in a file, for the time of the context. Raises `NoParent`.

    It is read from the store and compared with its hash in the commit record.
    """
    path = Path(await asyncio.to_thread(_new_file, scratch))
    try:
        hashed = hashlib.sha256()
        try:
            async for frame in read_parts(
                repository.store, repository.keys, parent.stream(MANIFEST)
            ):
                hashed.update(frame)
                await asyncio.to_thread(_append, path, bytes(frame))
        except (BackupDamaged, KeyMissing, KeyWrong) as error:
            raise NoParent(f"the manifest of {parent.id} cannot be read: {error.message}") from None
        if hashed.hexdigest() != parent.manifest_sha256:
            raise NoParent(f"the manifest of {parent.id} is not the one that was backed up")
        yield path
    finally:
        await asyncio.to_thread(path.unlink, missing_ok=True)


def _is_good(backup: Backup) -> bool:
    record = backup.record
    return backup.state is BackupState.COMPLETE and record is not None and is_physical(record)


async def _require_genuine(repository: Repository, record: CommitRecord) -> None:
    """Take no record that somebody without its key has written.

    One that is not encrypted, and must be, is BROKEN in the catalog.
    """
    try:
        await repository.require_genuine(record)
    except (BackupDamaged, KeyMissing, KeyWrong) as error:
        raise NoParent(f"backup {record.id} cannot be trusted: {error}") from None


async def _require_objects(repository: Repository, catalog: Catalog, record: CommitRecord) -> None:
    folder = catalog.layout.backup(record.id)
    stored = {each.key: each.size_bytes async for each in repository.store.list(folder)}
    for each in record.objects:
        if stored.get(each.path) != each.stored_bytes:
            raise NoParent(f"object {each.path} of backup {record.id} is missing or truncated")


def _new_file(scratch: Path) -> str:
    with tempfile.NamedTemporaryFile(prefix="manifest-", dir=scratch, delete=False) as file:
        return file.name


def _append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)
