"""Runs `pg_basebackup` and streams what it writes into the store."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dbopsd.backup.catalog.commit import Stream, Tablespace
from dbopsd.backup.codec.sealed_object import DataKey
from dbopsd.backup.model.requests import Checkpoint
from dbopsd.backup.parts import PartWriter
from dbopsd.backup.physical.backup_label import BackupLabel, parse_label, parse_tablespace_map
from dbopsd.backup.physical.backup_manifest import ManifestReader, NeededWal
from dbopsd.backup.physical.errors import (
    BaseBackupFailed,
    BaseBackupRefused,
    PageChecksumsFailed,
)
from dbopsd.backup.physical.large_pipe import LargePipe
from dbopsd.backup.physical.tar_splitter import (
    BACKUP_LABEL,
    TABLESPACE_MAP,
    TarDamaged,
    TarSplitter,
    Way,
)
from dbopsd.backup.repository import Repository
from dbopsd.db.client_tools import ToolLogin, write_login
from dbopsd.operations.kind import Program, RunsPrograms

BASE: Final = "base"
MANIFEST: Final = "manifest"

_PROGRAM: Final = "pg_basebackup"
# A spread checkpoint takes most of checkpoint_timeout, which is a day at most.
_FIRST_BYTE_S: Final = 90_000.0
# Within a backup nothing takes long but the server's wait for its own archive_command.
_STALLED_S: Final = 900.0
_CHECKSUMS: Final = "checksum error occurred"
_KEPT_CAUSE: Final = 500

Advance = Callable[[int], None]
"""Takes how many bytes have been read so far."""


@dataclass(frozen=True, slots=True)
class BaseBackupRequest:
    """What `pg_basebackup` is to do. `conninfo` has the password.

    `incremental`: a file that has the manifest of the parent. `fetch_wal`: into the backup itself.
    """

    database: str
    tool: Path
    conninfo: str
    label: str
    checkpoint: Checkpoint
    fetch_wal: bool
    rate_limit_bytes: int | None = None
    incremental: Path | None = None
    first_byte_s: float = _FIRST_BYTE_S
    stalled_s: float = _STALLED_S

    def patience_s(self, read: int) -> float:
        """How long the next bytes may take after so many."""
        return self.stalled_s if read else self.first_byte_s


@dataclass(frozen=True, slots=True)
class BaseBackup:
    """A base backup whose streams are stored, and which nothing refers to yet."""

    label: BackupLabel
    needed_wal: Sequence[NeededWal]
    tablespaces: tuple[Tablespace, ...]
    streams: tuple[Stream, ...]
    manifest_sha256: str


@dataclass(frozen=True)
class StreamWriters:
    """Makes the writers of a backup's streams, in its folder of the store."""

    repository: Repository
    folder: str
    data_key: DataKey | None

    def open(self, name: str) -> PartWriter:
        """The writer of one stream."""
        return PartWriter(
            self.repository.store,
            f"{self.folder}{name}",
            self.repository.compression,
            self.data_key,
        )


class ClusterStreams:
    """Takes the tar of the data directory as it comes, and keeps what it tells."""

    def __init__(self, base: PartWriter, manifest: PartWriter) -> None:
        self._base = base
        self._manifest = manifest
        self._splitter = TarSplitter()
        self._reader = ManifestReader()

    async def take(self, data: memoryview) -> None:
        """Store the next bytes of the tar. Raises `TarDamaged` and what the store does."""
        for way, piece in self._splitter.feed(data):
            if way is Way.BASE:
                await self._base.write(piece)
            else:
                await self.take_manifest(piece)

    async def take_manifest(self, data: memoryview) -> None:
        """Store the next bytes of the manifest."""
        self._reader.feed(data)
        await self._manifest.write(data)

    async def finish(self, others: tuple[Stream, ...] = ()) -> BaseBackup:
        """Everything is read: store the rest. Raises ValueError where it makes no backup."""
        self._splitter.finish()
        needed = self._reader.needed_wal()
        label = parse_label(self._splitter.files.get(BACKUP_LABEL, b""))
        tablespaces = parse_tablespace_map(self._splitter.files.get(TABLESPACE_MAP, b""))
        if {str(each.oid) for each in tablespaces} != {each.name for each in others}:
            raise ValueError("the tablespaces are not those of tablespace_map")
        streams = (
            Stream(BASE, await self._base.finish()),
            Stream(MANIFEST, await self._manifest.finish()),
            *others,
        )
        return BaseBackup(label, needed, tablespaces, streams, self._reader.sha256)


async def take_base_backup(
    run: RunsPrograms,
    scratch: Path,
    request: BaseBackupRequest,
    writers: StreamWriters,
    advance: Advance,
) -> BaseBackup:
    """Take a base backup of a cluster without further tablespaces, by a pipe.

    Raises `BaseBackupFailed`, and what the store does.
    """
    async with (
        private_login(scratch, request.conninfo) as login,
        writers.open(BASE) as base,
        writers.open(MANIFEST) as manifest,
    ):
        streams = ClusterStreams(base, manifest)
        read = 0
        with LargePipe() as pipe:
            async with run.program(
                *base_backup_command(request, login, "-"),
                environment=login.environment,
                stdout=pipe.write_fd,
                summary=_PROGRAM,
            ) as program:
                pipe.close_write()
                while data := await _next(pipe, request, read):
                    await _taken(streams, data, request, program)
                    read += len(data)
                    advance(read)
                await require_success(request, program, begun=read > 0)
        return await finished(streams, request)


async def finished(
    streams: ClusterStreams, request: BaseBackupRequest, others: tuple[Stream, ...] = ()
) -> BaseBackup:
    """The backup. Raises `BaseBackupFailed` where what came is none."""
    try:
        return await streams.finish(others)
    except ValueError as error:
        raise BaseBackupFailed(request.database, str(error)) from error


def stalled(request: BaseBackupRequest, read: int) -> BaseBackupFailed:
    """The error where nothing comes any more."""
    cause = (
        f"nothing came from the server for {request.patience_s(read):g} s: it hangs, the network "
        "is cut, or it waits for its own archive_command"
    )
    return BaseBackupFailed(request.database, cause)


async def require_success(request: BaseBackupRequest, program: Program, *, begun: bool) -> None:
    """Raise unless the program ends well. `begun`: something had come by then."""
    status = await program.wait()
    if status == 0:
        return
    lines = program.stderr.decode(errors="replace").splitlines()
    errors = [line for line in lines if " error: " in line] or lines[-1:]
    cause = " ".join(" ".join(errors).split()).replace(f"{_PROGRAM}: error: ", "")
    cause = cause[-_KEPT_CAUSE:] or f"it ended with {status}"
    if _CHECKSUMS in cause:
        raise PageChecksumsFailed(request.database, cause)
    if not begun:
        raise BaseBackupRefused(request.database, cause)
    raise BaseBackupFailed(request.database, cause)


def base_backup_command(
    request: BaseBackupRequest, login: ToolLogin, directory: str
) -> tuple[str, ...]:
    """The command line. Nothing secret is in it."""
    command = [
        str(request.tool),
        *("--dbname", login.dbname, "--no-password"),
        *("--pgdata", directory, "--format=tar", "--no-sync"),
        f"--wal-method={'fetch' if request.fetch_wal else 'none'}",
        f"--checkpoint={request.checkpoint.value.lower()}",
        f"--label={request.label}",
    ]
    if request.rate_limit_bytes is not None:
        command.append(f"--max-rate={request.rate_limit_bytes // 1024}k")
    if request.incremental is not None:
        command.append(f"--incremental={request.incremental}")
    return tuple(command)


@asynccontextmanager
async def private_login(scratch: Path, conninfo: str) -> AsyncIterator[ToolLogin]:
    """A login for programs, gone after the context."""
    directory = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="login-", dir=scratch))
    try:
        yield await asyncio.to_thread(write_login, directory, conninfo)
    finally:
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


async def _next(pipe: LargePipe, request: BaseBackupRequest, read: int) -> memoryview:
    try:
        return await pipe.read(request.patience_s(read))
    except TimeoutError:
        raise stalled(request, read) from None


async def _taken(
    streams: ClusterStreams, data: memoryview, request: BaseBackupRequest, program: Program
) -> None:
    try:
        await streams.take(data)
    except TarDamaged as error:
        raise BaseBackupFailed(request.database, str(error)) from error
