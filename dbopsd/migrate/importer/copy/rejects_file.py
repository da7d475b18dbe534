"""The file of the rejected values: JSON Lines, one object for each value.

The file is complete or missing: it gets its name after it was read back from the disk.
"""

import base64
import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from dbopsd.migrate.importer.model.errors import RejectsUnwritable
from dbopsd.migrate.importer.processes.context import Context
from dbopsd.migrate.importer.processes.tasks import RejectsWritten, WriteRejects
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.snapshot.file_copy import sync

_DIRECTORY: Final = "rejects"
_MAKING: Final = ".making"
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_CHUNK_BYTES: Final = 2**20


def rejects_path(state_dir: Path, import_id: str) -> Path:
    """The path of an import's file, on the machine of the worker that ran it."""
    return state_dir / _DIRECTORY / f"{import_id}.jsonl"


def remove_rejects_file(path: Path) -> None:
    """Delete the file, also an unfinished one. Raises `OSError`."""
    for each in (path, _in_the_making(path)):
        # On a read-only disk even what is not there cannot be removed.
        if each.exists():
            each.unlink()


@contextmanager
def new_rejects_file(path: Path) -> Iterator["RejectsFile"]:
    """A new file for `path`. It replaces an older one, and appears there with `finish`.

    Only its owner can read it: it holds values of the source. Raises `RejectsUnwritable`. Blocks.
    """
    making = _in_the_making(path)
    try:
        with _disk(path):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            sync(path.parent.parent)
            making.unlink(missing_ok=True)
            file = os.fdopen(os.open(making, _NEW, 0o600), "wb")
        try:
            yield RejectsFile(path, file)
        finally:
            # Errors of values that it did not write are already reported, or not wanted.
            with contextlib.suppress(OSError):
                file.close()
    finally:
        with contextlib.suppress(OSError):
            making.unlink(missing_ok=True)


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Raise `RejectsUnwritable` for an error of the disk."""
    try:
        yield
    except OSError as error:
        raise RejectsUnwritable(str(path), (error.strerror or str(error)).lower()) from error


class RejectsFile:
    """The unfinished file."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._digest = hashlib.sha256()

    def add(
        self, table: str, key: str, column: str, reason: str, value: str, raw: bytes | None
    ) -> None:
        """Write a value; `raw` has its bytes, None: it has none."""
        told = {
            "table": table,
            "key": key,
            "column": column,
            "reason": reason,
            "value": value,
            "raw_base64": None if raw is None else base64.b64encode(raw).decode(),
        }
        line = json.dumps(told, ensure_ascii=False).encode() + b"\n"
        with _disk(self._path):
            self._file.write(line)
        self._digest.update(line)

    def finish(self, values: int) -> int:
        """Finish the file if all `values` values are on the disk. Returns its size in bytes.

        Raises `RejectsUnwritable`.
        """
        making = _in_the_making(self._path)
        with _disk(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
            # Or what is read back would be what memory still has of it.
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            lines, digest = _read_back(making)
        if lines != values:
            raise RejectsUnwritable(str(self._path), f"it has {lines} values instead of {values}")
        if digest != self._digest.digest():
            raise RejectsUnwritable(str(self._path), "it was read back otherwise than written")
        with _disk(self._path):
            size = making.stat().st_size
            making.rename(self._path)
            sync(self._path.parent)
        return size


def _in_the_making(path: Path) -> Path:
    return path.with_name(path.name + _MAKING)


def _read_back(path: Path) -> tuple[int, bytes]:
    lines = 0
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            lines += chunk.count(b"\n")
            digest.update(chunk)
    return lines, digest.digest()


# What is held in memory at once: so many values, or fewer where they are large.
_MOST_VALUES: Final = 1000
_MOST_BYTES: Final = 32 * 2**20
_TOLD_AT_ONCE: Final = 1000


async def write_rejects(task: WriteRejects, context: Context) -> RejectsWritten:
    """Write the rejected values from their table to the file.

    Raises `RejectsUnwritable`.
    """
    told = 0
    session = await context.session()
    # Counted and read as of one moment.
    async with session.transaction(isolation="REPEATABLE READ", read_only=True):
        values, largest = await import_records.measure_rejects(session, task.import_id)
        at_once = min(max(_MOST_BYTES // max(largest, 1), 1), _MOST_VALUES)
        with new_rejects_file(Path(task.path)) as file:
            async with aclosing(
                import_records.stream_rejects(session, task.import_id, at_once)
            ) as found:
                async for each in found:
                    file.add(*each)
                    told += 1
                    if told % _TOLD_AT_ONCE == 0:
                        context.progress(_TOLD_AT_ONCE)
            context.progress(told % _TOLD_AT_ONCE)
            size = file.finish(values)
    return RejectsWritten(values, size)
