"""Takes a base backup of a cluster with tablespaces, whose tars cannot come by one pipe.

`pg_basebackup` writes each to a file of a spool. The files are read while they grow, and what was
read is given back to the disk. Where the store is slower than the server, the program is stopped
until there is room again.
"""

import asyncio
import ctypes
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dbopsd.backup.catalog.commit import Stream
from dbopsd.backup.parts import PartWriter, StoredObject
from dbopsd.backup.physical.base_backup import (
    BASE,
    MANIFEST,
    Advance,
    BaseBackup,
    BaseBackupRequest,
    ClusterStreams,
    StreamWriters,
    base_backup_command,
    finished,
    private_login,
    require_success,
    stalled,
)
from dbopsd.backup.physical.errors import BaseBackupFailed, SpoolUnsuitable
from dbopsd.backup.physical.tar_splitter import MANIFEST as MANIFEST_FILE
from dbopsd.backup.physical.tar_splitter import TarDamaged, TarSplitter
from dbopsd.operations.kind import Program, RunsPrograms

SPOOL_BYTES: Final = 256 * 2**20
"""How much may be written and not read yet."""

_TICK_S: Final = 0.02
_CHUNK_BYTES: Final = 2**20
_TAR: Final = ".tar"
# https://man7.org/linux/man-pages/man2/fallocate.2.html
_KEEP_SIZE, _PUNCH_HOLE = 1, 2
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)

Take = Callable[[memoryview], Awaitable[None]]


async def take_spooled_backup(
    run: RunsPrograms,
    scratch: Path,
    request: BaseBackupRequest,
    writers: StreamWriters,
    advance: Advance,
    *,
    spool_bytes: int = SPOOL_BYTES,
) -> BaseBackup:
    """Take a base backup with a stream for each tablespace.

    Raises `BaseBackupFailed`, and what the store does.
    """
    async with AsyncExitStack() as stack:
        login = await stack.enter_async_context(private_login(scratch, request.conninfo))
        folder = await stack.enter_async_context(_spool_folder(scratch))
        base = await stack.enter_async_context(writers.open(BASE))
        manifest = await stack.enter_async_context(writers.open(MANIFEST))
        streams = ClusterStreams(base, manifest)
        spool = _Spool(folder, spool_bytes, streams, writers, stack)
        async with run.program(
            *base_backup_command(request, login, str(folder)),
            environment=login.environment,
            stdout=asyncio.subprocess.DEVNULL,
            summary="pg_basebackup",
        ) as program:
            try:
                await _follow(spool, program, request, advance)
            except TarDamaged as error:
                raise BaseBackupFailed(request.database, str(error)) from error
            await require_success(request, program, begun=spool.read_bytes > 0)
        await _read_file(folder / MANIFEST_FILE, streams.take_manifest)
        try:
            tablespaces = await spool.finish()
        except TarDamaged as error:
            raise BaseBackupFailed(request.database, str(error)) from error
        return await finished(streams, request, tablespaces)


async def _follow(
    spool: "_Spool", program: Program, request: BaseBackupRequest, advance: Advance
) -> None:
    """Read what the program writes until it has ended and everything is read."""
    ended = asyncio.create_task(program.wait())
    # Beside reading, which waits for the store.
    holding = asyncio.create_task(spool.keep_bounded(program))
    moved_at = time.monotonic()
    try:
        while True:
            # Asked before reading: what it wrote last is read after it has ended.
            last = ended.done()
            if await spool.drain():
                moved_at = time.monotonic()
                advance(spool.read_bytes)
            elif last:
                return
            if time.monotonic() - moved_at > request.patience_s(spool.read_bytes):
                raise stalled(request, spool.read_bytes)
            await asyncio.wait({ended}, timeout=0 if last else _TICK_S)
    finally:
        ended.cancel()
        holding.cancel()
        await asyncio.wait({ended, holding})


@dataclass
class _Tar:
    """A tar in the spool, of which the beginning up to `offset` has been read."""

    descriptor: int
    take: Take
    offset: int = 0


@dataclass
class _Spool:
    """The tars in a folder, read while they grow."""

    folder: Path
    limit_bytes: int
    base: ClusterStreams
    writers: StreamWriters
    stack: AsyncExitStack
    tars: dict[str, _Tar] = field(default_factory=dict, init=False)
    tablespaces: dict[str, "_Tablespace"] = field(default_factory=dict, init=False)

    @property
    def read_bytes(self) -> int:
        """How much has been read of all of them."""
        return sum(each.offset for each in self.tars.values())

    async def drain(self) -> int:
        """Read what there is by now; how many bytes that was."""
        for path in await asyncio.to_thread(_tars, self.folder):
            if path.stem not in self.tars:
                await self._open(path)
        drained = 0
        for tar in self.tars.values():
            while content := await asyncio.to_thread(os.pread, *_next_chunk(tar)):
                await tar.take(memoryview(content))
                await asyncio.to_thread(_punch, tar, len(content), self.folder)
                drained += len(content)
        return drained

    async def keep_bounded(self, program: Program) -> None:
        """Stop the program while too much waits to be read, and let it go on after that."""
        stopped = False
        while True:
            waiting = sum(
                os.fstat(each.descriptor).st_size - each.offset for each in self.tars.values()
            )
            stop = waiting > (self.limit_bytes // 2 if stopped else self.limit_bytes)
            if stop != stopped:
                stopped = stop
                with suppress(ProcessLookupError):
                    os.kill(program.pid, signal.SIGSTOP if stop else signal.SIGCONT)
            await asyncio.sleep(_TICK_S)

    async def finish(self) -> tuple[Stream, ...]:
        """The streams of the tablespaces, each whole. Raises `TarDamaged`."""
        return tuple(
            [Stream(oid, await self.tablespaces[oid].finish()) for oid in sorted(self.tablespaces)]
        )

    async def _open(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.stack.callback(os.close, descriptor)
        if path.stem == BASE:
            self.tars[path.stem] = _Tar(descriptor, self.base.take)
            return
        writer = await self.stack.enter_async_context(self.writers.open(path.stem))
        tablespace = self.tablespaces[path.stem] = _Tablespace(writer)
        self.tars[path.stem] = _Tar(descriptor, tablespace.take)


class _Tablespace:
    """Stores the tar of one tablespace."""

    def __init__(self, writer: PartWriter) -> None:
        self._writer = writer
        self._splitter = TarSplitter()

    async def take(self, data: memoryview) -> None:
        for _, piece in self._splitter.feed(data):
            await self._writer.write(piece)

    async def finish(self) -> tuple[StoredObject, ...]:
        self._splitter.finish()
        return await self._writer.finish()


@asynccontextmanager
async def _spool_folder(scratch: Path) -> AsyncIterator[Path]:
    """An empty folder, gone with all that is in it after the context."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="spool-", dir=scratch))
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _tars(folder: Path) -> list[Path]:
    return [each for each in folder.iterdir() if each.suffix == _TAR]


def _next_chunk(tar: _Tar) -> tuple[int, int, int]:
    return tar.descriptor, _CHUNK_BYTES, tar.offset


def _punch(tar: _Tar, length: int, folder: Path) -> None:
    """Give what was read back to the disk."""
    if _LIBC.fallocate(tar.descriptor, _KEEP_SIZE | _PUNCH_HOLE, tar.offset, length) != 0:
        raise SpoolUnsuitable(str(folder), os.strerror(ctypes.get_errno()))
    tar.offset += length


async def _read_file(path: Path, take: Take) -> None:
    with await asyncio.to_thread(path.open, "rb") as file:
        while content := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            await take(memoryview(content))
