"""The files of a set: listed and read beneath its directory only, each read once."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Self

from dbopsd.migrate.versions.folder.errors import FolderUnreadable
from dbopsd.migrate.versions.folder.problems import Problems, printable
from dbopsd.security.errors import NotARegularFile, PathOutsideRoots
from dbopsd.security.roots import LED_OUT, Folder, open_folder, open_parent

MOST_ENTRIES: Final = 100_000
"""How many names the directories of a set may have in all."""
MOST_FILE_BYTES: Final = 64 * 2**20
MOST_BYTES: Final = 256 * 2**20
"""How large all files of a set may be together: they are held in memory."""
_MOST_DEPTH: Final = 16
_CHUNK_BYTES: Final = 2**17
_LEADS_OUT: Final = "it is a link that leads out of the configured directory, or in a circle"


@dataclass(frozen=True)
class Listing:
    """What a directory has, hidden files left out. Names are in the order of their code points."""

    files: tuple[str, ...] = ()
    """Everything that is no directory."""
    directories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seen:
    """What was looked at in a tree, by path."""

    listings: Mapping[str, Listing]
    contents: Mapping[str, bytes | None]
    existing: Mapping[str, bool]


class TreeTooLarge(Exception):
    """The files of a set have more bytes than whoever opened it wants to read."""


class Tree:
    """The directory of a set. `with` opens it; problems with single files go to `problems`.

    Paths are relative to it. Raises `FolderUnreadable` where it cannot be listed, and
    `TreeTooLarge` above `most_bytes` in all, where that is given.
    """

    def __init__(
        self, set_: str, directory: Path, problems: Problems, most_bytes: int | None = None
    ) -> None:
        self.set = set_
        self.directory = directory
        self.problems = problems
        self._opened: dict[str, Folder] = {}
        self._listed: dict[tuple[int, int], str] = {}
        self._listings: dict[str, Listing] = {}
        self._contents: dict[str, bytes | None] = {}
        self._existing: dict[str, bool] = {}
        self._entries = 0
        self._bytes = 0
        self._most_bytes = most_bytes

    def __enter__(self) -> Self:
        self.listing()
        return self

    def __exit__(self, *_: object) -> None:
        for folder in self._opened.values():
            folder.close()
        self._opened = {}

    def listing(self, below: str = "") -> Listing:
        """What the directory has, or one below it."""
        if below not in self._listings:
            self._listings[below] = self._list(below)
        return self._listings[below]

    def walk(self) -> Iterator[list[str]]:
        """The paths of the files of each directory, then of those below it."""
        pending = [""]
        while pending:
            below = pending.pop()
            listing = self.listing(below)
            prefix = f"{below}/" if below else ""
            yield [prefix + name for name in listing.files]
            pending += (prefix + name for name in reversed(listing.directories))

    def files_below(self) -> list[str]:
        """The paths of the files in the directories below, for a layout that has none.

        What cannot be listed is passed over, and is no problem: it may be anything.
        """
        found: list[str] = []
        problems, self.problems = self.problems, Problems(self.set)
        try:
            for files in islice(self.walk(), 1, None):
                found += files
        except FolderUnreadable:
            pass  # there is more below than is looked at
        finally:
            self.problems = problems
        return found

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None: it cannot be read, which is among the problems."""
        if path not in self._contents:
            self._contents[path] = self._read(path)
        return self._contents[path]

    def exists(self, path: str) -> bool:
        """Whether there is something of that name; False also where it cannot be known."""
        if path not in self._existing:
            self._existing[path] = self._exists(path)
        return self._existing[path]

    @property
    def size_bytes(self) -> int:
        """How large the files are together that were read."""
        return self._bytes

    @property
    def seen(self) -> Seen:
        """All that was looked at."""
        return Seen(dict(self._listings), dict(self._contents), dict(self._existing))

    def is_like(self, seen: Seen) -> bool:
        """Whether all that was looked at then is the same now. Each of those files is read."""
        return (
            all(self.listing(below) == found for below, found in seen.listings.items())
            and all(self.read(path) == found for path, found in seen.contents.items())
            and all(self.exists(path) == found for path, found in seen.existing.items())
        )

    def _exists(self, path: str) -> bool:
        below, _, name = path.rpartition("/")
        try:
            return self._folder(below).stat(name) is not None
        except (OSError, PathOutsideRoots):
            return False

    def _folder(self, below: str) -> Folder:
        if below not in self._opened:
            folder = self._open_folder(below)
            # The root stays, and one below it: a folder of Prisma has one for each migration.
            for other in [other for other in self._opened if other]:
                self._opened.pop(other).close()
            self._opened[below] = folder
        return self._opened[below]

    def _open_folder(self, below: str) -> Folder:
        root = self._opened.get("")
        if root:
            try:
                return root.open_folder(below)
            except OSError as error:
                if error.errno not in LED_OUT:
                    raise
        # There is a link on the way, which may stay beneath.
        return open_folder(str(self.directory / below), [self.directory])

    def _list(self, below: str) -> Listing:
        """Raises `FolderUnreadable` for the root; of one below, that is a problem."""
        if below.count("/") >= _MOST_DEPTH:
            raise self._unreadable(f"'{below}' is more than {_MOST_DEPTH} directories deep")
        try:
            return self._names(below)
        except PathOutsideRoots:
            self.problems.add("PATH_OUTSIDE_FOLDER", _LEADS_OUT, below)
        except OSError as error:
            if not below:
                raise self._unreadable(reason_of(error)) from error
            message = f"the directory cannot be read: {reason_of(error)}"
            self.problems.add("FILE_UNREADABLE", message, below)
        return Listing()

    def _names(self, below: str) -> Listing:
        files: list[str] = []
        directories: list[str] = []
        folder = self._folder(below)
        found = folder.status()
        identity = (found.st_dev, found.st_ino)
        if self._listed.setdefault(identity, below) != below:
            return Listing()  # a link led here, perhaps in a circle
        for entry in folder.entries():
            self._count_entry()
            if not entry.name.startswith(".") and self._has_a_name(below, entry.name):
                (directories if _is_directory(entry) else files).append(entry.name)
        return Listing(tuple(sorted(files)), tuple(sorted(directories)))

    def _has_a_name(self, below: str, name: str) -> bool:
        """Whether a name can be shown; one that cannot is a problem."""
        if name.isprintable():
            return True
        message = "its name has characters that cannot be shown: rename it"
        self.problems.add("BAD_NAME", message, f"{below}/{name}" if below else name)
        return False

    def _count_entry(self) -> None:
        self._entries += 1
        if self._entries > MOST_ENTRIES:
            raise self._unreadable(f"it has more than {MOST_ENTRIES:,} files")

    def _read(self, path: str) -> bytes | None:
        below, _, name = path.rpartition("/")
        try:
            descriptor = self._open(below, name)
        except FileNotFoundError:
            message = "it vanished while the folder was read, or is a link to nothing"
            self.problems.add("FILE_UNREADABLE", message, path)
        except PathOutsideRoots:
            self.problems.add("PATH_OUTSIDE_FOLDER", _LEADS_OUT, path)
        except NotARegularFile as error:
            self.problems.add("FILE_UNREADABLE", f"it is a {error.kind}, not a file", path)
        except OSError as error:
            self.problems.add("FILE_UNREADABLE", f"it cannot be read: {reason_of(error)}", path)
        else:
            return self._content(path, descriptor)
        return None

    def _open(self, below: str, name: str) -> int:
        try:
            return self._folder(below).open_file(name)
        except NotARegularFile as error:
            if error.kind != "symbolic link":
                raise
        # As Kubernetes mounts a ConfigMap: each file is a link to one in a hidden directory.
        folder, name = open_parent(str(self.directory / below / name), [self.directory])
        with folder:
            return folder.open_file(name)

    def _content(self, path: str, descriptor: int) -> bytes | None:
        try:
            content = _all_of(descriptor, MOST_FILE_BYTES + 1)
        except OSError as error:
            self.problems.add("FILE_UNREADABLE", f"it cannot be read: {reason_of(error)}", path)
            return None
        finally:
            os.close(descriptor)
        if len(content) > MOST_FILE_BYTES:
            message = f"it is larger than {MOST_FILE_BYTES // 2**20} MiB"
            self.problems.add("FILE_TOO_LARGE", message, path)
            return None
        self._bytes += len(content)
        if self._most_bytes is not None and self._bytes > self._most_bytes:
            raise TreeTooLarge
        if self._bytes > MOST_BYTES:
            raise self._unreadable(f"its files have more than {MOST_BYTES // 2**20} MiB in all")
        return content

    def _unreadable(self, problem: str) -> FolderUnreadable:
        return FolderUnreadable(self.set, printable(str(self.directory)), printable(problem))


def _is_directory(entry: os.DirEntry[str]) -> bool:
    """Whether it is one, or a link to one. A link in a circle is a file that cannot be read."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _all_of(descriptor: int, most: int) -> bytes:
    """The bytes of a file, at most that many: it may grow while it is read."""
    chunks: list[bytes] = []
    while most > 0:
        chunk = os.read(descriptor, min(most, _CHUNK_BYTES))
        chunks.append(chunk)
        most -= len(chunk)
        if len(chunk) < _CHUNK_BYTES:
            break
    return b"".join(chunks)


def reason_of(error: OSError) -> str:
    """What the system says, without the path, which may be anything."""
    return (error.strerror or type(error).__name__).lower()
