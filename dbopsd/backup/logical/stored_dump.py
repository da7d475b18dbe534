"""A stored dump as a directory that `pg_restore` reads, without its content ever on a disk.

Of the directory only the table of contents is a file. All else are named pipes, which are fed from
the store as they are opened. Rows are counted on the way. The `pg_restore` of PostgreSQL 15 wants
files: for it they are written before, and so take the dump's size of disk for that time, which
has to be free.
"""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Collection, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dbopsd.backup.catalog.commit import CommitRecord, Stream, TableRows
from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.logical.dump_stream import cause_of
from dbopsd.backup.logical.errors import DumpIncomplete
from dbopsd.backup.logical.toc import TOC, Toc, parse_toc
from dbopsd.backup.parts import read_parts
from dbopsd.backup.repository import Repository
from dbopsd.backup.scratch_room import require_room
from dbopsd.backup.store.base import Content
from dbopsd.db.client_tools import at_least
from dbopsd.db.server.installation import Installation
from dbopsd.operations.kind import Completed, RunsPrograms

_PAUSE_S: Final = 0.01
_READS_PIPES: Final = 16
_OLDEST: Final = 15
_PROGRAM: Final = "pg_restore"
# What COPY's text ends with in a dump: the mark of the end, which no row looks like.
_END: Final = b"\\.\n\n\n"


@dataclass
class StoredDump:
    """A dump whose directory is being served. `rows`: of each file that was read to its end."""

    directory: Path
    toc: Toc
    rows: dict[str, int] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    """The files that were read to their end."""
    feeding: asyncio.Task[None] | None = None
    unfinished: list[int] = field(default_factory=list)
    """Pipes whose content ended too early. They stay open for as long as somebody reads: to him
    their end would look like that of the content."""

    async def read_by(self, reader: Coroutine[Any, Any, Completed]) -> Completed:
        """Wait for the program that reads; it is ended where the content turns out damaged.

        Raises `BackupDamaged` and what the store does.
        """
        reading = asyncio.create_task(reader)
        feeding = self.feeding
        try:
            await asyncio.wait(
                {reading} if feeding is None else {reading, feeding},
                return_when=asyncio.FIRST_COMPLETED,
            )
            if feeding is not None:
                _raise_damage(feeding)
            return await reading
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    def require_read(self, files: Iterable[str]) -> None:
        """Raise `BackupDamaged` unless these files were read to their end."""
        for name in files:
            if name not in self.read:
                raise BackupDamaged(name, Damage.TRUNCATED, "pg_restore did not read all of it")

    def require_tables(self, dbname: str, tables: Iterable[tuple[str, str]]) -> None:
        """Raise `DumpIncomplete` unless it has these tables, by schema and name."""
        known = self.toc.tables
        for schema, name in tables:
            if (schema, name) not in known:
                raise DumpIncomplete(dbname, f"table {schema}.{name} is not in it")

    def require_content(self, record: CommitRecord) -> None:
        """Raise `DumpIncomplete` unless what was read is what its record says.

        The tables have the rows that were counted; of a schema alone there are none.
        """
        if record.row_counts is not None:
            self._require_rows(record.dbname, record.row_counts.tables)
        if record.schema_only and self.toc.data_files:
            schema, name = min(self.toc.data_files.values())
            problem = f"it is to be of the schema alone, and has rows of table {schema}.{name}"
            raise DumpIncomplete(record.dbname, problem)

    def _require_rows(self, dbname: str, tables: Iterable[TableRows]) -> None:
        found = {
            self.toc.data_files[name]: rows
            for name, rows in self.rows.items()
            if name in self.toc.data_files
        }
        for table in tables:
            rows = found.get((table.schema, table.table))
            if rows != table.rows:
                has = "no rows at all" if rows is None else f"{rows} rows"
                problem = f"table {table.schema}.{table.table} has {has} in it, not {table.rows}"
                raise DumpIncomplete(dbname, problem)


def newest_reader(database: str, found: Sequence[Installation]) -> Installation:
    """The newest installation that has `pg_restore`, to read a dump and restore nothing.

    It reads every older format, and from pipes. Raises `ToolsTooOld`.
    """
    at_least(database, found, _OLDEST, (_PROGRAM,))
    return max(
        (each for each in found if each.tool(_PROGRAM).exists()), key=lambda each: each.major
    )


def scratch_bytes(
    record: CommitRecord, reader: Installation, files: Collection[str] | None = None
) -> int:
    """The disk that `served_dump` takes for the files of a dump; 0 where `reader` reads pipes."""
    if reader.major >= _READS_PIPES:
        return 0
    return sum(
        part.plain_bytes
        for stream in record.streams
        if files is None or stream.name in files
        for part in stream.parts
    )


async def read_toc(repository: Repository, streams: Sequence[Stream]) -> Toc:
    """The table of contents of a stored dump. Raises `BackupDamaged` and what the store does."""
    content, path = await _toc_content(repository, streams)
    return await asyncio.to_thread(_parsed, path, content)


@asynccontextmanager
async def served_dump(
    repository: Repository,
    record: CommitRecord,
    scratch: Path,
    *,
    reader: Installation,
    files: Collection[str] | None = None,
) -> AsyncIterator[StoredDump]:
    """The directory of a dump, for the time of the context, in which `reader` may read it once.

    `files`: those that it will read; None: all. Raises `ScratchTooSmall`, `BackupDamaged`,
    `KeyMissing`, `KeyWrong` and what the store does, at once or at the end of the context.
    """
    await require_room(scratch, record.id, scratch_bytes(record, reader, files))
    toc, path = await _toc_content(repository, record.streams)
    directory = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="stored-", dir=scratch))
    try:
        dump = StoredDump(directory, await asyncio.to_thread(_parsed, path, toc))
        (directory / TOC).write_bytes(toc)
        waiting = {
            stream.name: stream
            for stream in record.streams
            if stream.name != TOC and (files is None or stream.name in files)
        }
        if reader.major < _READS_PIPES:
            for name in list(waiting):
                await _write_file(repository, dump, waiting.pop(name))
        for name in waiting:
            os.mkfifo(directory / name, mode=0o600)
        feeding = dump.feeding = asyncio.create_task(_feed_all(repository, dump, waiting))
        try:
            yield dump
        finally:
            feeding.cancel()
            await asyncio.wait([feeding])
            for descriptor in dump.unfinished:
                os.close(descriptor)
        _raise_damage(feeding)
    finally:
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


async def read_to_end(
    run: RunsPrograms,
    repository: Repository,
    record: CommitRecord,
    reader: Installation,
    scratch: Path,
) -> StoredDump:
    """Have `pg_restore` read a stored dump to its end, into nothing; the rows of each file.

    Raises `BackupDamaged` where it cannot, and `ScratchTooSmall`.
    """
    async with served_dump(repository, record, scratch, reader=reader) as dump:
        done = await dump.read_by(
            run.child(
                str(reader.tool(_PROGRAM)),
                "--file=/dev/null",
                str(dump.directory),
                summary=f"{_PROGRAM} to nowhere",
            )
        )
        if done.exit_status != 0:
            raise BackupDamaged(TOC, Damage.HASH, cause_of(done.stderr, _PROGRAM))
        dump.require_read(stream.name for stream in record.streams if stream.name != TOC)
    return dump


async def _toc_content(repository: Repository, streams: Sequence[Stream]) -> tuple[bytes, str]:
    parts = next((stream.parts for stream in streams if stream.name == TOC), None)
    if parts is None:
        raise BackupDamaged(TOC, Damage.MISSING, "the dump has no table of contents")
    content = [bytes(each) async for each in read_parts(repository.store, repository.keys, parts)]
    return b"".join(content), parts[0].path


async def _write_file(repository: Repository, dump: StoredDump, stream: Stream) -> None:
    path = dump.directory / stream.name
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    await _feed(repository, dump, stream, descriptor)


def _parsed(path: str, content: bytes) -> Toc:
    try:
        return parse_toc(content)
    except ValueError as error:
        raise BackupDamaged(path, Damage.FOREIGN, str(error)) from None


def _raise_damage(feeding: "asyncio.Task[None]") -> None:
    """Raise what feeding did: it is why the reader failed, or has read too little."""
    if feeding.done() and not feeding.cancelled():
        feeding.result()


async def _feed_all(repository: Repository, dump: StoredDump, waiting: dict[str, Stream]) -> None:
    """Feed every pipe that is opened, until all were. Ends with the first that is damaged."""
    async with contextlib.AsyncExitStack() as stack:
        feeding: set[asyncio.Task[None]] = set()
        stack.push_async_callback(_end, feeding)
        while waiting or feeding:
            for name in list(waiting):
                descriptor = _opened_by_reader(dump.directory / name)
                if descriptor is not None:
                    stream = waiting.pop(name)
                    feeding.add(asyncio.create_task(_feed(repository, dump, stream, descriptor)))
            for task in [each for each in feeding if each.done()]:
                feeding.remove(task)
                task.result()
            await asyncio.sleep(_PAUSE_S)


async def _end(feeding: "set[asyncio.Task[None]]") -> None:
    for task in feeding:
        task.cancel()
    await asyncio.gather(*feeding, return_exceptions=True)


def _opened_by_reader(path: Path) -> int | None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None  # nobody reads it yet
    os.set_blocking(descriptor, True)
    return descriptor


async def _feed(repository: Repository, dump: StoredDump, stream: Stream, descriptor: int) -> None:
    dump.unfinished.append(descriptor)
    rows = _Rows() if stream.name in dump.toc.data_files else None
    async for content in read_parts(repository.store, repository.keys, stream.parts):
        if rows is not None:
            rows.count(content)
        # The reader may have died, or have ended early: it says so itself.
        if not await asyncio.to_thread(_written, descriptor, content):
            return
    if rows is not None:
        dump.rows[stream.name] = rows.total(stream.parts[-1].path)
    dump.read.add(stream.name)
    dump.unfinished.remove(descriptor)
    os.close(descriptor)


def _written(descriptor: int, content: Content) -> bool:
    left = memoryview(content)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BrokenPipeError:
            return False
    return True


class _Rows:
    """Counts the rows of COPY's text."""

    def __init__(self) -> None:
        self._lines = 0
        self._tail = b""

    def count(self, content: Content) -> None:
        data = bytes(content)
        self._lines += data.count(b"\n")
        self._tail = (self._tail + data)[-len(_END) :]

    def total(self, path: str) -> int:
        """The rows. Raises `BackupDamaged` where the end is missing."""
        if self._tail != _END:
            raise BackupDamaged(path, Damage.TRUNCATED, "the end of its rows is missing")
        return self._lines - _END.count(b"\n")
