"""The files of a cluster from its backups: fetched, checked, and a chain combined into one."""

import asyncio
import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.parts import read_parts
from dbopsd.backup.repository import Repository
from dbopsd.backup.restore.directory import VERSION_FILE, RestoreDirectory
from dbopsd.backup.restore.errors import RestoreFailed
from dbopsd.backup.restore.plan import Plan
from dbopsd.backup.restore.tar_extractor import TarExtractor
from dbopsd.backup.store.base import Content
from dbopsd.operations.gather_or_cancel import gather_or_cancel
from dbopsd.operations.kind import Run

TABLESPACE_LINKS: Final = "pg_tblspc"

_BASE: Final = "base"
_MANIFEST: Final = "manifest"
_MANIFEST_FILE: Final = "backup_manifest"
_AHEAD: Final = 8
# Whole files are linked from the parts, which go, in place of copied: came with it.
_LINKS_FROM: Final = 18


class ChainFiles:
    """Brings the files of a plan's chain to where a cluster is made ready."""

    def __init__(self, run: Run, repository: Repository, plan: Plan) -> None:
        self._run = run
        self._repository = repository
        self._plan = plan
        self._total = sum(record.size_bytes for record in plan.chain)
        self._done = 0

    async def bring(self, directory: RestoreDirectory, tablespaces: Mapping[int, Path]) -> None:
        """Fill `directory.cluster` and the new directories of the tablespaces, by their OIDs.

        Raises `BackupDamaged`, `KeyMissing`, `KeyWrong` and `RestoreFailed`.
        """
        if len(self._plan.chain) == 1:
            await self._extract(self._plan.backup, directory.cluster, tablespaces, directory)
            return
        await asyncio.to_thread(directory.parts.mkdir, mode=0o700)
        parts = [await self._part(directory, number) for number in range(len(self._plan.chain))]
        await self._combine(directory, parts, tablespaces)
        await asyncio.to_thread(shutil.rmtree, directory.parts)

    async def _part(self, directory: RestoreDirectory, number: int) -> Path:
        """A backup of the chain as a directory, as `pg_combinebackup` takes it, and verified.

        A damaged one would be combined without a word into a cluster that verifies.
        """
        record = self._plan.chain[number]
        part = directory.parts / f"{number:03}"
        spaces = {each.oid: _part_of_tablespace(part, each.oid) for each in record.tablespaces}
        await self._extract(record, part, spaces)
        digest = hashlib.sha256()
        with (part / _MANIFEST_FILE).open("xb") as file:
            async for content in read_parts(
                self._repository.store, self._repository.keys, record.stream(_MANIFEST)
            ):
                digest.update(content)
                file.write(content)
        if digest.hexdigest() != record.manifest_sha256:
            path = record.stream(_MANIFEST)[0].path
            raise BackupDamaged(path, Damage.FOREIGN, "it is not the manifest that was recorded")
        for oid, folder in spaces.items():
            link = part / TABLESPACE_LINKS / str(oid)
            await asyncio.to_thread(link.symlink_to, folder)
        self._run.progress("verify", number, len(self._plan.chain), "{backup}")
        await self._tool(
            "pg_verifybackup", "--no-parse-wal", "--exit-on-error", "--quiet", str(part)
        )
        return part

    async def _combine(
        self, directory: RestoreDirectory, parts: list[Path], tablespaces: Mapping[int, Path]
    ) -> None:
        self._run.progress("combine")
        options = [f"--output={directory.cluster}", "--no-sync", "--manifest-checksums=NONE"]
        for oid, new in tablespaces.items():
            old = _part_of_tablespace(parts[-1], oid)
            options.append(f"--tablespace-mapping={_escaped(old)}={_escaped(new)}")
        if not tablespaces and self._plan.installation.major >= _LINKS_FROM:
            options.append("--link")
        await self._tool("pg_combinebackup", *options, *map(str, parts))
        await asyncio.to_thread((directory.cluster / VERSION_FILE).rename, directory.version_file)

    async def _extract(
        self,
        record: CommitRecord,
        folder: Path,
        tablespaces: Mapping[int, Path],
        claimed: RestoreDirectory | None = None,
    ) -> None:
        apart = {} if claimed is None else {VERSION_FILE: claimed.version_file}
        await self._extract_stream(record, _BASE, folder, apart)
        for oid, space in tablespaces.items():
            await self._extract_stream(record, str(oid), space, {})

    async def _extract_stream(
        self, record: CommitRecord, name: str, folder: Path, apart: Mapping[str, Path]
    ) -> None:
        """Extract while the next frames are fetched and opened."""
        parts = record.stream(name)
        await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        waiting: asyncio.Queue[Content | None] = asyncio.Queue(_AHEAD)

        async def fetch() -> None:
            async for content in read_parts(self._repository.store, self._repository.keys, parts):
                await waiting.put(content)
            await waiting.put(None)

        async def extract() -> None:
            with TarExtractor(folder, parts[0].path, apart) as extractor:
                while contents := await _taken(waiting):
                    await asyncio.to_thread(_feed, extractor, contents)
                    self._done += sum(map(len, contents))
                    self._run.progress("fetch", self._done, self._total, "By")
                extractor.finish()

        await gather_or_cancel([fetch(), extract()])

    async def _tool(self, name: str, *arguments: str) -> None:
        program = str(self._plan.installation.tool(name))
        done = await self._run.child(program, *arguments, summary=name)
        if done.exit_status != 0:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()
            lines = said.splitlines() or [f"exit status {done.exit_status}"]
            raise RestoreFailed(name, lines[-1])


async def _taken(waiting: asyncio.Queue[Content | None]) -> list[Content]:
    """All that waits, at least one; empty at the end. One thread then takes several frames."""
    found = [await waiting.get()]
    while found[-1] is not None and not waiting.empty():
        found.append(waiting.get_nowait())
    if found[-1] is None and len(found) > 1:
        waiting.put_nowait(None)
    return [content for content in found if content is not None]


def _feed(extractor: TarExtractor, contents: Sequence[Content]) -> None:
    for content in contents:
        extractor.feed(content)


def _part_of_tablespace(part: Path, oid: int) -> Path:
    return part.with_name(f"{part.name}-{oid}")


def _escaped(path: Path) -> str:
    """A path as `--tablespace-mapping` has it."""
    return os.fspath(path).replace("\\", "\\\\").replace("=", "\\=")
