"""The directory that a restore writes into, which is its own from the first moment on.

A folder in it whose name has the operation's id says so. Everything is made ready in there and
moved up at the end, `PG_VERSION` last: until then nothing looks like a cluster. Whoever comes later
removes what was left by the same operation, and nothing else.
"""

import json
import os
import shutil
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dbopsd.backup.restore.errors import DirectoryNotEmpty, DirectoryUnusable
from dbopsd.db.server.directories import sync
from dbopsd.security.roots import locate, open_folder, open_parent

VERSION_FILE: Final = "PG_VERSION"

_MARK: Final = ".dbopsd-restore-"
_TABLESPACES: Final = "tablespaces.json"
_CLUSTER: Final = "cluster"
_PARTS: Final = "parts"


@dataclass(frozen=True)
class RestoreDirectory:
    """A directory claimed for the restore `operation`. `path` has no link in it.

    `owner`: the account that restores, whose our folder in it is.
    """

    path: Path
    operation: str
    owner: int = field(default_factory=os.geteuid)

    @property
    def mark(self) -> Path:
        """Our folder in it."""
        return self.path / f"{_MARK}{self.operation}"

    @property
    def cluster(self) -> Path:
        """Where the cluster is made ready."""
        return self.mark / _CLUSTER

    @property
    def version_file(self) -> Path:
        """Where the file is, until the end, without which it is no cluster."""
        return self.mark / VERSION_FILE

    @property
    def parts(self) -> Path:
        """Where the backups of a chain are before they are combined."""
        return self.mark / _PARTS

    def claim_tablespaces(self, paths: Iterable[Path]) -> None:
        """Note that these directories, which are empty, are filled by this restore. Blocks."""
        note = self.mark / _TABLESPACES
        draft = note.with_suffix(".new")
        draft.write_text(json.dumps([str(path) for path in paths]), encoding="utf-8")
        sync(draft)
        draft.rename(note)
        sync(self.mark)

    def publish(self) -> None:
        """Move the cluster up, the file that makes it one last. Blocks."""
        for entry in sorted(self.cluster.iterdir()):
            entry.rename(self.path / entry.name)
        sync(self.path)
        self.version_file.rename(self.path / VERSION_FILE)
        sync(self.path)

    def release(self) -> None:
        """Remove our folder: from now on the directory is somebody's cluster. Blocks."""
        shutil.rmtree(self.mark, ignore_errors=True)
        if self.path.exists():
            sync(self.path)

    @property
    def claimed(self) -> bool:
        """Whether our folder is there, and ours: the directory may be another account's by now."""
        try:
            found = self.mark.lstat()
        except FileNotFoundError:
            return False
        return stat.S_ISDIR(found.st_mode) and found.st_uid == self.owner

    def clean(self) -> None:
        """Remove what this operation left, if it claimed the directory; else do nothing. Blocks."""
        if not self.claimed:
            return
        for path in json.loads(read_owned(self.mark / _TABLESPACES, self.owner) or "[]"):
            _empty(Path(path), keep="")
        _empty(self.path, keep=self.mark.name)
        shutil.rmtree(self.mark)
        sync(self.path)


def claim(path: str, roots: Sequence[Path], operation: str) -> RestoreDirectory:
    """Make the directory ours. It is created if it is missing, in a parent that is there. Blocks.

    What the same operation left is removed. Raises `PathOutsideRoots`, `DirectoryNotEmpty`,
    `DirectoryUnusable`.
    """
    claimed = RestoreDirectory(_made(path, roots), operation)
    claimed.clean()
    _require_empty(claimed.path)
    try:
        claimed.mark.mkdir(mode=0o700)
    except OSError as error:
        raise DirectoryUnusable(path, error.strerror or str(error)) from error
    sync(claimed.path)
    return claimed


def claim_tablespace(path: str, roots: Sequence[Path], apart_from: Sequence[Path]) -> Path:
    """A directory for a tablespace, empty, neither in nor around the others. Blocks.

    Raises as `claim` does.
    """
    check_claim(path, roots, apart_from)
    made = _made(path, roots)
    _require_empty(made)
    return made


def check_claim(path: str, roots: Sequence[Path], apart_from: Sequence[Path] = ()) -> Path:
    """Raise what claiming the directory would, and change nothing; where it is. Blocks."""
    root, way = locate(path, roots)
    place = root / way
    for other in apart_from:
        if place.is_relative_to(other) or other.is_relative_to(place):
            raise DirectoryUnusable(path, f"it is in, or around, '{other}'")
    if place.is_dir():
        _require_empty(place)
    elif place.exists() or not place.parent.is_dir():
        raise DirectoryUnusable(path, "it is no directory, nor in one that is there")
    return place


def find_claimed(path: str, roots: Sequence[Path], operation: str) -> RestoreDirectory | None:
    """The directory, if this operation claimed it. Blocks."""
    root, way = locate(path, roots)
    found = RestoreDirectory(root / way, operation)
    return found if found.claimed else None


def read_owned(path: Path, uid: int) -> str | None:
    """A file's text, where the account `uid` may write; None if there is none of its own. Blocks.

    What is there could be a link to what only we may read.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return None
    with os.fdopen(descriptor, encoding="utf-8", errors="surrogateescape") as file:
        found = os.fstat(descriptor)
        ours = stat.S_ISREG(found.st_mode) and found.st_uid == uid
        return file.read() if ours else None


def _made(path: str, roots: Sequence[Path]) -> Path:
    """The directory of a path without links, created if need be."""
    try:
        folder, name = open_parent(path, roots)
        with folder:
            if folder.stat(name) is None:
                (folder.path / name).mkdir(mode=0o700)
                sync(folder.path)
        with open_folder(path, roots) as made:
            return made.path
    except OSError as error:
        raise DirectoryUnusable(path, error.strerror or str(error)) from error


def _require_empty(path: Path) -> None:
    if any(path.iterdir()):
        raise DirectoryNotEmpty(str(path))


def _empty(path: Path, *, keep: str) -> None:
    for entry in path.iterdir() if path.exists() else ():
        if entry.is_dir() and not entry.is_symlink():
            if entry.name != keep:
                shutil.rmtree(entry)
        else:
            entry.unlink()
