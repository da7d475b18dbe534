"""Paths that requests name: opened only beneath the directories that the configuration allows.

Whoever may write in such a directory can swap a part of a path for a symbolic link between a check
and the opening. So a path is resolved first, and what is opened is the resolved path, from a
descriptor of its root on, with no link followed any more. Everything after that goes through the
descriptor of the directory it led to.
"""

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Final, Self

from dbopsd.security.errors import NotARegularFile, PathOutsideRoots

_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
# The name alone: opening it has no effect, whatever it stands for.
_NAME: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_OPENAT2: Final = 437
_RESOLVE_NO_SYMLINKS: Final = 0x04
_RESOLVE_BENEATH: Final = 0x08
# Kernels before 5.6 do not have it, and container runtimes of that time deny what they do not know.
_NO_OPENAT2: Final = (errno.ENOSYS, errno.EPERM)
# Of a link that was not there when the path was resolved.
LED_OUT: Final = (errno.ELOOP, errno.EXDEV)
"""The errors of opening a path that has a link, or leads out."""

Open = Callable[[int, PurePath], int]
"""Opens a directory by a relative path without links, from a descriptor on, and beneath it."""


class Folder:
    """A directory beneath a root, held by its descriptor: no path leads elsewhere from here.

    A context manager, which closes the descriptor.
    """

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self.path = path
        """Where it was when it was opened: for people to read, not to be opened."""

    def open_file(self, name: str) -> int:
        """A descriptor for reading the regular file of that name, to be closed by the caller.

        A link is not followed, and of a pipe or a device nothing is opened. Raises
        `NotARegularFile`, or OSError: FileNotFoundError, PermissionError and the like.
        """
        found = os.open(_single(name), _NAME, dir_fd=self._descriptor)
        try:
            kind = _kind(os.fstat(found).st_mode)
            if kind:
                raise NotARegularFile(str(self.path / name), kind)
            return os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(found)

    def open_folder(self, way: str) -> "Folder":
        """A directory below, to be closed by the caller. Follows no link: OSError of `LED_OUT`."""
        return Folder(open_beneath(self._descriptor, PurePath(way)), self.path / way)

    def entries(self) -> Iterator[os.DirEntry[str]]:
        """What is in it, in no order; a link is not followed. Blocks. Raises OSError."""
        descriptor = os.open(
            ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._descriptor
        )
        try:
            with os.scandir(descriptor) as entries:
                yield from entries
        finally:
            os.close(descriptor)

    def status(self) -> os.stat_result:
        """What it is itself."""
        return os.fstat(self._descriptor)

    def stat(self, name: str) -> os.stat_result | None:
        """What is there under that name, a link itself; None: nothing is."""
        try:
            return os.stat(_single(name), dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def close(self) -> None:
        """Close the descriptor, where no `with` does."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def locate(path: str, roots: Sequence[Path]) -> tuple[Path, PurePath]:
    """The root that `path` lies beneath, and the way from there, without links or `..`.

    A relative path is looked up from the first root on. It need not exist. To be opened with
    `open_folder` alone: the path could lead elsewhere a moment later. Blocks. Raises
    `PathOutsideRoots`.
    """
    refused = _outside(path, roots)
    if not path.strip() or "\0" in path or not roots:
        raise refused
    resolved_roots = [root.resolve() for root in roots]
    try:
        # A path from / on stays what it is.
        resolved = (resolved_roots[0] / path).resolve()
    except (OSError, RuntimeError):  # links in a circle
        raise refused from None
    for root in resolved_roots:
        if resolved.is_relative_to(root):
            return root, resolved.relative_to(root)
    raise refused


def open_folder(path: str, roots: Sequence[Path], *, opened: Open | None = None) -> Folder:
    """The directory of that path. `opened` is how; by default the best that the kernel has.

    Links that stay beneath the roots are followed. Blocks. Raises `PathOutsideRoots`, or OSError
    where there is no such directory, or none that may be entered.
    """
    root, way = locate(path, roots)
    return _open(path, roots, root, way, opened)


def open_parent(
    path: str, roots: Sequence[Path], *, opened: Open | None = None
) -> tuple[Folder, str]:
    """The directory of the file of that path, and the file's name in it, which need not exist.

    A link in the file's place is followed, as long as it stays beneath the roots. Blocks. Raises
    as `open_folder` does.
    """
    root, way = locate(path, roots)
    if not way.name:
        raise _outside(path, roots)
    return _open(path, roots, root, way.parent, opened), way.name


def _open(
    path: str, roots: Sequence[Path], root: Path, way: PurePath, opened: Open | None
) -> Folder:
    descriptor = os.open(root, _DIRECTORY)
    try:
        return Folder((opened or open_beneath)(descriptor, way), root / way)
    except OSError as exc:
        if exc.errno in LED_OUT:
            raise _outside(path, roots) from None
        raise
    finally:
        os.close(descriptor)


def _outside(path: str, roots: Sequence[Path]) -> PathOutsideRoots:
    return PathOutsideRoots(path, tuple(str(root) for root in roots))


def open_beneath(root: int, way: PurePath) -> int:
    """By openat2, or by `walk` where it is missing."""
    how = _OpenHow(_DIRECTORY, 0, _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS)
    descriptor = _syscall(
        ctypes.c_long(_OPENAT2),
        ctypes.c_int(root),
        ctypes.c_char_p(os.fsencode(way)),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if descriptor >= 0:
        return int(descriptor)
    number = ctypes.get_errno()
    if number in _NO_OPENAT2:
        return walk(root, way)
    raise OSError(number, os.strerror(number), str(way))


def walk(root: int, way: PurePath) -> int:
    """Name by name, each from the descriptor of the one before it."""
    with contextlib.ExitStack() as passed:
        descriptor = os.open(".", _DIRECTORY, dir_fd=root)
        for name in way.parts:
            passed.callback(os.close, descriptor)
            descriptor = os.open(name, _NAME, dir_fd=descriptor)
            if stat.S_ISLNK(os.fstat(descriptor).st_mode):
                passed.callback(os.close, descriptor)
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(way))
            if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
                passed.callback(os.close, descriptor)
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(way))
        return descriptor


class _OpenHow(ctypes.Structure):
    """The kernel's `struct open_how`."""

    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


# The C library has no function for it before glibc 2.42.
_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long


def _single(name: str) -> str:
    """The name, which is one and no path. Raises ValueError."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} is not a file's name")
    return name


def _kind(mode: int) -> str:
    """What it is if it is no regular file."""
    if stat.S_ISREG(mode):
        return ""
    for matches, kind in (
        (stat.S_ISDIR, "directory"),
        (stat.S_ISLNK, "symbolic link"),
        (stat.S_ISFIFO, "pipe"),
        (stat.S_ISSOCK, "socket"),
    ):
        if matches(mode):
            return kind
    return "device"
