"""A store in a directory, for a disk of its own or a network file system.

An object is written to a file elsewhere in the store, synchronised, and linked to its name, which
fails where the name is taken. Then the directory is synchronised. Whoever is killed in between
leaves a file in `.incoming` and nothing else.

Each directory is opened from the one above it and never through a link: whoever may write to the
store could otherwise have files elsewhere deleted, or made.
"""

import asyncio
import contextlib
import errno
import itertools
import os
import secrets
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Final, TypeVar

from dbopsd.backup.store.base import (
    MOST_BYTES,
    Content,
    ObjectInfo,
    Store,
    check_key,
    check_prefix,
)
from dbopsd.backup.store.errors import (
    ObjectExists,
    ObjectMissing,
    ObjectTooLarge,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnavailable,
    StoreUnsuitable,
)

T = TypeVar("T")

_INCOMING: Final = ".incoming"
# Nobody writes one object for so long.
_LEFT_BEHIND_S: Final = 2 * 86_400.0
_LISTED_AT_ONCE: Final = 1_000
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DENIED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# A pipe would be waited at.
_OBJECT: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DRAFT: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NOTHING_THERE: Final = (FileNotFoundError, NotADirectoryError)
_NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class FileStore(Store):
    """The store in `root`, created with the first object.

    Once it was used, it has to stay the same directory: where it is gone, or another one is in its
    place, as when a disk is no longer mounted, the store is unavailable. Blocking calls run in
    `threads` threads of its own: a file system that hangs stops nobody else.
    """

    def __init__(self, root: Path, *, threads: int = 4) -> None:
        self.url = root.as_uri()
        self._root = root
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="backup-store")
        self._swept = False
        self._used: tuple[int, int] | None = None
        """Device and number of the root, from its first use on."""
        self._durable: set[tuple[str, ...]] = set()
        """Directories whose entries above them are known to be on the disk."""

    async def create(self, key: str, content: Content) -> None:
        await self._call(self._create, _parts(check_key(key)), content)

    async def read(self, key: str, most_bytes: int = MOST_BYTES) -> bytes:
        return await self._call(self._read, _parts(check_key(key)), most_bytes)

    async def info(self, key: str) -> ObjectInfo | None:
        return await self._call(self._info, _parts(check_key(key)))

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        found = self._walk(_parts(check_prefix(prefix)))
        while some := await self._call(_take, found):
            for each in some:
                yield each

    async def folders(self, prefix: str = "") -> Sequence[str]:
        return await self._call(self._folders, _parts(check_prefix(prefix)))

    async def delete(self, key: str) -> None:
        await self._call(self._delete, _parts(check_key(key)))

    async def close(self) -> None:
        # Not waited for: a hung file system would not let go of them.
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _call(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, lambda: work(*arguments))
        except OSError as error:
            raise self._explain(error) from error

    def _explain(self, error: OSError) -> StoreError:
        problem = error.strerror or str(error)
        if error.errno in _FULL:
            return StoreFull(self.url, problem)
        if error.errno in _DENIED:
            return StoreDenied(self.url, problem)
        return StoreUnavailable(self.url, problem)

    def _create(self, parts: tuple[str, ...], content: Content) -> None:
        draft = secrets.token_hex(16)
        try:
            with self._opened((_INCOMING,), create=True) as incoming:
                self._sweep(incoming)
                try:
                    _write(draft, content, incoming)
                    self._link(draft, incoming, parts)
                finally:
                    with contextlib.suppress(OSError):
                        os.unlink(draft, dir_fd=incoming)
        except FileNotFoundError:
            # Somebody removed the directory of drafts.
            self._durable.clear()
            raise

    def _link(self, draft: str, incoming: int, parts: tuple[str, ...]) -> None:
        while True:
            try:
                with self._opened(parts[:-1], create=True) as folder:
                    self._link_in(folder, draft, incoming, parts)
            except FileNotFoundError:
                # Somebody deleted the last object of the directory, and the directory with it.
                self._durable.clear()
                os.stat(draft, dir_fd=incoming)  # not the draft, or it would never end
            else:
                return

    def _link_in(self, folder: int, draft: str, incoming: int, parts: tuple[str, ...]) -> None:
        try:
            os.link(draft, parts[-1], src_dir_fd=incoming, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            # Whoever was killed right after linking has not synchronised the directory.
            os.fsync(folder)
            raise ObjectExists(self.url, "/".join(parts)) from None
        except OSError as error:
            if error.errno in _NO_LINKS:
                problem = f"its file system has no hard links ({error.strerror})"
                raise StoreUnsuitable(self.url, problem) from error
            raise
        os.fsync(folder)

    @contextmanager
    def _opened(self, parts: tuple[str, ...], *, create: bool = False) -> Iterator[int]:
        """The descriptor of a directory of the store. With `create`, it is made durably.

        One that is there already may have been made by somebody who has not synchronised yet.
        """
        descriptor = self._open_root(create=create)
        try:
            for number, part in enumerate(parts, 1):
                if create and parts[:number] not in self._durable:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, 0o700, dir_fd=descriptor)
                    os.fsync(descriptor)
                    self._durable.add(parts[:number])
                above = descriptor
                descriptor = os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
                os.close(above)
            yield descriptor
        finally:
            os.close(descriptor)

    def _open_root(self, *, create: bool) -> int:
        try:
            descriptor = os.open(self._root, _DIRECTORY)
        except NotADirectoryError:
            raise StoreUnavailable(self.url, "it is no directory") from None
        except FileNotFoundError:
            if self._used is not None:
                problem = "its directory is gone: it was moved, deleted or unmounted"
                raise StoreUnavailable(self.url, problem) from None
            if not create:
                raise
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync(self._root.parent)
            descriptor = os.open(self._root, _DIRECTORY)
        found = os.fstat(descriptor)
        here = (found.st_dev, found.st_ino)
        self._used = self._used or here
        if here != self._used:
            os.close(descriptor)
            problem = "another directory is in its place: is its file system mounted?"
            raise StoreUnavailable(self.url, problem)
        return descriptor

    def _sweep(self, incoming: int) -> None:
        """Remove what others left here that were killed, once."""
        if self._swept:
            return
        self._swept = True
        with os.scandir(incoming) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    age_s = time.time() - entry.stat(follow_symlinks=False).st_mtime
                    if age_s > _LEFT_BEHIND_S and entry.is_file(follow_symlinks=False):
                        os.unlink(entry.name, dir_fd=incoming)

    def _read(self, parts: tuple[str, ...], most_bytes: int) -> bytes:
        try:
            with self._opened(parts[:-1]) as folder:
                descriptor = os.open(parts[-1], _OBJECT, dir_fd=folder)
        except _NOTHING_THERE:
            raise ObjectMissing(self.url, "/".join(parts)) from None
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise StoreUnavailable(self.url, f"{'/'.join(parts)} is no file")
            # A buffer is made of as many bytes as are asked for.
            content = b"" if found.st_size > most_bytes else file.read(found.st_size + 1)
            if max(found.st_size, len(content)) > most_bytes:
                raise ObjectTooLarge(self.url, "/".join(parts), most_bytes)
            return content

    def _info(self, parts: tuple[str, ...]) -> ObjectInfo | None:
        try:
            with self._opened(parts[:-1]) as folder:
                found = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
        except _NOTHING_THERE:
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return ObjectInfo("/".join(parts), found.st_size, found.st_mtime)

    def _delete(self, parts: tuple[str, ...]) -> None:
        with contextlib.suppress(*_NOTHING_THERE), self._opened(parts[:-1]) as folder:
            os.unlink(parts[-1], dir_fd=folder)
        for end in range(len(parts) - 1, -1, -1):
            with contextlib.suppress(*_NOTHING_THERE), self._opened(parts[:end]) as folder:
                # Not the store itself, nor what holds something else.
                if end and self._removed(parts[:end]):
                    continue
                os.fsync(folder)
                return

    def _removed(self, parts: tuple[str, ...]) -> bool:
        """Whether a directory was empty, and is gone."""
        self._durable.discard(parts)
        with self._opened(parts[:-1]) as above, contextlib.suppress(OSError):
            os.rmdir(parts[-1], dir_fd=above)
            return True
        return False

    def _walk(self, parts: tuple[str, ...]) -> Iterator[ObjectInfo]:
        for name, found in self._entries(parts):
            if stat.S_ISDIR(found.st_mode):
                yield from self._walk((*parts, name))
            elif stat.S_ISREG(found.st_mode):
                yield ObjectInfo("/".join((*parts, name)), found.st_size, found.st_mtime)

    def _folders(self, parts: tuple[str, ...]) -> Sequence[str]:
        return [name for name, found in self._entries(parts) if stat.S_ISDIR(found.st_mode)]

    def _entries(self, parts: tuple[str, ...]) -> Sequence[tuple[str, os.stat_result]]:
        """What is in a directory, by name; links are not followed."""
        found = []
        with (
            contextlib.suppress(*_NOTHING_THERE),
            self._opened(parts) as folder,
            os.scandir(folder) as entries,
        ):
            for entry in entries:
                if not entry.name.startswith("."):
                    with contextlib.suppress(FileNotFoundError):
                        found.append((entry.name, entry.stat(follow_symlinks=False)))
        return sorted(found, key=itemgetter(0))


def _parts(key: str) -> tuple[str, ...]:
    return tuple(key.rstrip("/").split("/")) if key else ()


def _take(found: Iterator[ObjectInfo]) -> list[ObjectInfo]:
    return list(itertools.islice(found, _LISTED_AT_ONCE))


def _write(name: str, content: Content, folder: int) -> None:
    descriptor = os.open(name, _DRAFT, 0o600, dir_fd=folder)
    try:
        left = memoryview(content).cast("B")
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, _DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
