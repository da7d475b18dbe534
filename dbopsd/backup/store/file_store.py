"""A store in a directory, for a disk of its own or a network file system.

An object is written to a file elsewhere in the store, synchronised, and linked to its name, which
fails where the name is taken. Then the directory is synchronised. Whoever is killed in between
leaves a file in `.incoming` and nothing else.
"""

import asyncio
import contextlib
import errno
import itertools
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from dbopsd.backup.store.base import Content, ObjectInfo, Store, check_key, check_prefix
from dbopsd.backup.store.errors import (
    ObjectExists,
    ObjectMissing,
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
_NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class FileStore(Store):
    """The store in `root`, created with the first object.

    Blocking calls run in `threads` threads of its own: a file system that hangs stops nobody else.
    """

    def __init__(self, root: Path, *, threads: int = 4) -> None:
        self.url = root.as_uri()
        self._root = root
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="backup-store")
        self._swept = False
        self._durable: set[Path] = set()
        """Directories whose entries above them are known to be on the disk."""

    async def create(self, key: str, content: Content) -> None:
        check_key(key)
        await self._call(self._create, key, content)

    async def read(self, key: str) -> bytes:
        check_key(key)
        return await self._call(self._read, key)

    async def info(self, key: str) -> ObjectInfo | None:
        check_key(key)
        return await self._call(self._info, key)

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        found = self._walk(self._root / check_prefix(prefix))
        while some := await self._call(_take, found):
            for each in some:
                yield each

    async def folders(self, prefix: str = "") -> Sequence[str]:
        return await self._call(_folders, self._root / check_prefix(prefix))

    async def delete(self, key: str) -> None:
        check_key(key)
        await self._call(self._delete, key)

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

    def _create(self, key: str, content: Content) -> None:
        incoming = self._root / _INCOMING
        draft = incoming / secrets.token_hex(16)
        try:
            self._make_directory(incoming)
            self._sweep(incoming)
            _write(draft, content)
            self._link(draft, key)
        except FileNotFoundError:
            # Somebody removed the directory of drafts, or mounted another one in its place.
            self._durable.clear()
            raise
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)

    def _link(self, draft: Path, key: str) -> None:
        path = self._root / key
        while True:
            try:
                self._make_directory(path.parent)
                os.link(draft, path)
            except FileExistsError:
                # Whoever was killed right after linking has not synchronised the directory.
                with contextlib.suppress(FileNotFoundError):
                    _sync(path.parent)
                raise ObjectExists(self.url, key) from None
            except FileNotFoundError:
                # Somebody deleted the last object of the directory, and the directory with it.
                self._durable.clear()
                if not draft.exists():
                    raise
                continue
            except OSError as error:
                if error.errno in _NO_LINKS:
                    problem = f"its file system has no hard links ({error.strerror})"
                    raise StoreUnsuitable(self.url, problem) from error
                raise
            with contextlib.suppress(FileNotFoundError):  # already deleted
                _sync(path.parent)
            return

    def _make_directory(self, path: Path) -> None:
        """Create a directory of the store durably, with those above it.

        One that is there already may have been made by somebody who has not synchronised yet.
        """
        if path in self._durable:
            return
        if path == self._root:
            path.parent.mkdir(parents=True, exist_ok=True)
        else:
            self._make_directory(path.parent)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        _sync(path.parent)
        self._durable.add(path)

    def _sweep(self, incoming: Path) -> None:
        """Remove what others left here that were killed, once."""
        if self._swept:
            return
        self._swept = True
        for path in incoming.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _LEFT_BEHIND_S:
                    path.unlink()

    def _read(self, key: str) -> bytes:
        try:
            return (self._root / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise ObjectMissing(self.url, key) from None

    def _info(self, key: str) -> ObjectInfo | None:
        try:
            found = (self._root / key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return ObjectInfo(key, found.st_size, found.st_mtime)

    def _delete(self, key: str) -> None:
        path = self._root / key
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
        for directory in path.parents:
            # Not the store itself, nor what holds something else.
            if directory != self._root:
                with contextlib.suppress(OSError):
                    directory.rmdir()
                    continue
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                _sync(directory)
                return

    def _walk(self, directory: Path) -> Iterator[ObjectInfo]:
        try:
            with os.scandir(directory) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = directory / entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(path)
                continue
            try:
                found = entry.stat()
            except FileNotFoundError:
                continue
            key = path.relative_to(self._root).as_posix()
            yield ObjectInfo(key, found.st_size, found.st_mtime)


def _take(found: Iterator[ObjectInfo]) -> list[ObjectInfo]:
    return list(itertools.islice(found, _LISTED_AT_ONCE))


def _folders(directory: Path) -> list[str]:
    try:
        with os.scandir(directory) as scanned:
            return sorted(
                entry.name
                for entry in scanned
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            )
    except (FileNotFoundError, NotADirectoryError):
        return []


def _write(path: Path, content: Content) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        left = memoryview(content).cast("B")
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
