"""Writes a backup's tar as files, while it comes, and beneath one folder only.

The tar is what `pg_basebackup` sends: ustar with plain files and directories. Whatever else it has,
and a name that leads out of the folder, is refused: a backup that somebody else wrote is as good as
any to this code.
"""

import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.store.base import Content

_BLOCK: Final = tarfile.BLOCKSIZE
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# Nobody but the server's account and, where the cluster allows it, its group reads a cluster.
_FILE_BITS: Final = 0o640
_DIRECTORY_BITS: Final = 0o750


class TarExtractor:
    """Extracts one tar into `folder`, which is ours and has nothing in it that is to stay.

    `source`: what the tar is in the store, for errors. `apart`: where files go that are not to be
    in the folder yet, by their names. A context manager; blocks.
    """

    def __init__(
        self, folder: Path, source: str, apart: Mapping[str, Path] = MappingProxyType({})
    ) -> None:
        self._folder = folder
        self._source = source
        self._apart = apart
        self._header = bytearray()
        self._file = -1
        # Of the member that comes: what is to be written, and what is left to its block's end.
        self._content = self._padding = 0
        self._ended = False
        # Thousands of files are in a few directories: each is looked at once.
        self._made: set[tuple[str, ...]] = set()

    def feed(self, data: Content) -> None:
        """Take the next bytes. Raises `BackupDamaged` for what is not to be in it, and OSError."""
        left = memoryview(data).cast("B")
        while left:
            if self._content:
                left = left[self._write(left[: self._content]) :]
            elif self._padding:
                skipped = min(self._padding, len(left))
                self._padding -= skipped
                left = left[skipped:]
            else:
                taken = _BLOCK - len(self._header)
                self._header += left[:taken]
                left = left[taken:]
                if len(self._header) == _BLOCK:
                    self._begin(bytes(self._header))
                    self._header.clear()

    def finish(self) -> None:
        """Raise `BackupDamaged` unless the tar was whole."""
        if not self._ended or self._content or self._padding or self._header:
            raise BackupDamaged(self._source, Damage.TRUNCATED, "its tar ends early")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _begin(self, header: bytes) -> None:
        if self._ended:
            if header.strip(b"\0"):
                raise self._refused("something follows the end of its tar")
            return
        if not header.strip(b"\0"):
            self._ended = True
            return
        try:
            member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise self._refused(f"it is no tar: {error}") from None
        parts = self._parts(member.name)
        apart = self._apart.get("/".join(parts))
        path = apart or self._folder.joinpath(*parts)
        try:
            if member.isdir():
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.chmod(0o700 | (member.mode & _DIRECTORY_BITS))
                self._made.add(parts)
            elif member.isreg():
                if apart is None and parts[:-1] not in self._made:
                    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    self._made.add(parts[:-1])
                self._open(path, 0o600 | (member.mode & _FILE_BITS), member.size)
            else:
                raise self._refused(f"'{member.name}' is neither a file nor a directory")
        except (FileExistsError, NotADirectoryError):
            raise self._refused(f"'{member.name}' is in it twice") from None

    def _parts(self, name: str) -> tuple[str, ...]:
        parts = tuple(part for part in name.rstrip("/").split("/") if part != ".")
        if name.startswith("/") or "\0" in name or any(part in ("", "..") for part in parts):
            raise self._refused(f"'{name}' leads out of the cluster")
        return parts

    def _open(self, path: Path, mode: int, size: int) -> None:
        self._file = os.open(path, _FLAGS, mode)
        self._content, self._padding = size, -size % _BLOCK
        if not size:
            self._close()

    def _write(self, content: memoryview) -> int:
        written = os.write(self._file, content)
        self._content -= written
        if not self._content:
            self._close()
        return written

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _refused(self, detail: str) -> BackupDamaged:
        return BackupDamaged(self._source, Damage.FOREIGN, detail)


def files_below(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Every file and directory below a folder, and the folder itself, last; no link is followed.

    The second is whether it is a directory.
    """
    for directory, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            path = Path(directory, name)
            if path.is_symlink() or name in files:
                yield path, False
        yield Path(directory), True
