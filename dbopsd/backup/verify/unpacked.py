"""A physical backup on disk, for PostgreSQL's programs to look at. No server works in it."""

import asyncio
import os
import shutil
import tarfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Final

from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.parts import StoredObject, read_parts
from dbopsd.backup.repository import Repository
from dbopsd.backup.store.base import Content

_COPY_BYTES: Final = 2**20

Done = Callable[[int], None]


async def write_stream(
    repository: Repository, parts: Sequence[StoredObject], path: Path, done: Done
) -> None:
    """Write a stream as one file. Raises `BackupDamaged`."""
    with path.open("xb") as file:
        async for content in _counted(repository, parts, done):
            await asyncio.to_thread(file.write, content)


async def unpack_tar(
    repository: Repository, parts: Sequence[StoredObject], directory: Path, done: Done
) -> None:
    """Unpack a stream that is a tar into a new directory. Raises `BackupDamaged`.

    Links are left out: those to tablespaces lead into the files of the server itself.
    """
    await asyncio.to_thread(directory.mkdir, mode=0o700, parents=True, exist_ok=True)
    theirs, ours = os.pipe()
    unpacking = asyncio.create_task(asyncio.to_thread(_unpack, theirs, directory))
    try:
        async for content in _counted(repository, parts, done):
            await asyncio.to_thread(_write_all, ours, content)
    except BrokenPipeError:
        pass  # what kept it from reading on is raised by it
    finally:
        os.close(ours)
        # A thread cannot be cancelled: it ends by the end of its input.
        await asyncio.wait([unpacking])
    try:
        await unpacking
    except tarfile.TarError as error:
        raise BackupDamaged(parts[0].path, Damage.HASH, f"it is no tar: {error}") from None


async def _counted(
    repository: Repository, parts: Sequence[StoredObject], done: Done
) -> AsyncIterator[Content]:
    for part in parts:
        async for content in read_parts(repository.store, repository.keys, [part]):
            yield content
        done(part.stored_bytes)


def _write_all(descriptor: int, content: Content) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _unpack(descriptor: int, directory: Path) -> None:
    with os.fdopen(descriptor, "rb") as source, tarfile.open(fileobj=source, mode="r|") as tar:
        for member in tar:
            path = _beneath(directory, member.name)
            if member.isdir():
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            elif member.isfile():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                content = tar.extractfile(member)
                if content is not None:
                    _copy(content, path)
        # To the end of the input, or whoever writes it would not get rid of it.
        while source.read(_COPY_BYTES):
            pass


def _copy(content: IO[bytes], path: Path) -> None:
    with path.open("xb") as file:
        shutil.copyfileobj(content, file, _COPY_BYTES)


def _beneath(directory: Path, name: str) -> Path:
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts:
        raise tarfile.TarError(f"it has a member called {name!r}")
    return directory.joinpath(*parts)
