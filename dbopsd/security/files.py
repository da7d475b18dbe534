"""Detect changed files by polling, without a kernel resource that can run out."""

from collections.abc import Iterable
from pathlib import Path

Signature = tuple[tuple[int, int, int, int] | None, ...]


def signature(paths: Iterable[Path]) -> Signature:
    """What differs once one of the files has changed, by writing or by renaming another over it.

    A symbolic link is followed: Kubernetes changes a mounted secret by pointing one elsewhere.
    """
    return tuple(_one(path) for path in paths)


def _one(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
