"""Runs `pg_dump` in parallel, and takes what it writes from its directory while it writes.

`pg_dump` writes a file for each table, front to back, and never looks at it again. So a file is
read while it grows, and what was read of it is given back to the disk by a hole. The scratch
directory holds what is not stored yet, not the dump.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dbopsd.backup.catalog.commit import Stream
from dbopsd.backup.codec.sealed_object import DataKey
from dbopsd.backup.logical.errors import DumpFailed, ScratchFull
from dbopsd.backup.logical.toc import TOC
from dbopsd.backup.parts import PartWriter
from dbopsd.backup.repository import Repository
from dbopsd.operations.kind import RunsPrograms

JOBS: Final = 2

_PROGRAM: Final = "pg_dump"
_PART_BYTES: Final = 8 * 2**20
_READ_BYTES: Final = 2**20
_PAUSE_S: Final = 0.03
_LEAST_FREE_BYTES: Final = 256 * 2**20
# How the server waits for a table that somebody has locked for himself.
_LOCK_WAIT_MS: Final = 300_000
_KEPT_CAUSE: Final = 500
_KEEP_SIZE_AND_PUNCH_HOLE: Final = 0x01 | 0x02

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class DumpRequest:
    """What `pg_dump` is to do. `tables`: patterns; none are all. `directory` is not there yet."""

    database: str
    tool: Path
    service: str
    environment: dict[str, str]
    snapshot: str
    tables: Sequence[str]
    directory: Path
    schema_only: bool = False


@dataclass
class DumpStream:
    """Stores a dump, a stream for each of its files, while it is made."""

    repository: Repository
    folder: str
    data_key: DataKey | None
    progress: Callable[[int], None]
    free_bytes: Callable[[Path], int] = field(default=lambda path: shutil.disk_usage(path).free)
    _done_bytes: int = 0
    most_scratch_bytes: int = 0
    """The most that the scratch directory has held."""

    async def take(self, run: RunsPrograms, request: DumpRequest) -> tuple[Stream, ...]:
        """The streams of the dump. Raises `DumpFailed`, `ScratchFull`, and what the store does."""
        async with run.program(
            *_command(request), environment=request.environment, summary=_PROGRAM
        ) as program:
            ended = asyncio.create_task(program.wait())
            try:
                streams = await self._follow(request.directory, ended)
            finally:
                ended.cancel()
                await asyncio.wait([ended])
            if ended.result() != 0:
                raise DumpFailed(request.database, cause_of(program.stderr, _PROGRAM))
        return streams

    async def _follow(self, directory: Path, ended: asyncio.Task[int]) -> tuple[Stream, ...]:
        streams: dict[str, asyncio.Task[Stream]] = {}
        turns = asyncio.Semaphore(JOBS)
        try:
            while True:
                over = ended.done()
                for path in await asyncio.to_thread(self._look, directory):
                    # The table of contents is written last, at once.
                    if path.name not in streams and (over or path.name != TOC):
                        streams[path.name] = asyncio.create_task(self._store(path, ended, turns))
                for task in [each for each in streams.values() if each.done()]:
                    task.result()
                if over and all(each.done() for each in streams.values()):
                    break
                await asyncio.sleep(_PAUSE_S)
            return tuple(streams[name].result() for name in sorted(streams))
        finally:
            for task in streams.values():
                task.cancel()
            await asyncio.gather(*streams.values(), return_exceptions=True)

    def _look(self, directory: Path) -> list[Path]:
        """The files of the dump. Raises `ScratchFull`."""
        try:
            paths = sorted(directory.iterdir())
        except FileNotFoundError:
            return []
        if self.free_bytes(directory) < _LEAST_FREE_BYTES:
            raise ScratchFull(str(directory))
        held = 0
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                held += path.stat().st_blocks * 512
        self.most_scratch_bytes = max(self.most_scratch_bytes, held)
        return paths

    async def _store(
        self, path: Path, ended: asyncio.Task[int], turns: asyncio.Semaphore
    ) -> Stream:
        async with (
            turns,
            PartWriter(
                self.repository.store,
                f"{self.folder}{path.name}",
                self.repository.compression,
                self.data_key,
                part_bytes=_PART_BYTES,
            ) as writer,
        ):
            reader = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                position = 0
                while True:
                    # Before it is read: what is written before the end of the writer is read, too.
                    whole = ended.done() or _nobody_writes(reader)
                    data = await asyncio.to_thread(os.pread, reader, _READ_BYTES, position)
                    if data:
                        await writer.write(data)
                        await asyncio.to_thread(_give_back, path, position, len(data))
                        position += len(data)
                        self._done_bytes += len(data)
                        self.progress(self._done_bytes)
                    elif whole:
                        break
                    else:
                        await asyncio.sleep(_PAUSE_S)
                parts = await writer.finish()
            finally:
                os.close(reader)
            await asyncio.to_thread(path.unlink)
            return Stream(path.name, parts)


def cause_of(stderr: bytes, program: str) -> str:
    """What a program says of why it failed, in one line."""
    lines = stderr.decode(errors="replace").splitlines()
    errors = [line for line in lines if " error: " in line or " detail: " in line] or lines[-1:]
    cause = " ".join(" ".join(errors).split()).replace(f"{program}: error: ", "")
    return cause[:_KEPT_CAUSE] or "it said nothing"


def _command(request: DumpRequest) -> tuple[str, ...]:
    """The command line. Nothing secret is in it."""
    return (
        str(request.tool),
        f"--dbname={request.service}",
        "--no-password",
        "--format=directory",
        # Its other connections would only read rows.
        *(["--schema-only"] if request.schema_only else [f"--jobs={JOBS}"]),
        # The store's codec compresses better.
        "--compress=0",
        "--no-sync",
        f"--lock-wait-timeout={_LOCK_WAIT_MS}",
        f"--snapshot={request.snapshot}",
        f"--file={request.directory}",
        *(["--strict-names"] if request.tables else []),
        *(f"--table={table}" for table in request.tables),
    )


def _nobody_writes(reader: int) -> bool:
    """Whether no process has the file open for writing: only then it can be leased for reading."""
    try:
        # Whoever opens it for writing meanwhile would otherwise end us by SIGIO.
        fcntl.fcntl(reader, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(reader, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError:
        return False  # somebody writes, or the file system knows no leases
    fcntl.fcntl(reader, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return True


def _give_back(path: Path, start: int, length: int) -> None:
    """Give the blocks of a part of the file back to the disk, where the file system can."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        _libc.fallocate(
            ctypes.c_int(descriptor),
            ctypes.c_int(_KEEP_SIZE_AND_PUNCH_HOLE),
            ctypes.c_long(start),
            ctypes.c_long(length),
        )
    finally:
        os.close(descriptor)
