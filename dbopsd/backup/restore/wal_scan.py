"""What is in WAL, found by `pg_waldump` in segments that are fetched for it.

Only ends of transactions, restore points and positions of records are looked for. The segments are
in a folder of the attempt's own, as few at a time as there is need of.
"""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.repository import Repository
from dbopsd.backup.restore.errors import RestoreFailed
from dbopsd.backup.wal.stored_wal import read_segment
from dbopsd.db.server.installation import Installation
from dbopsd.operations.gather_or_cancel import gather_or_cancel
from dbopsd.operations.kind import Run

SegmentFile = tuple[Segment, int | None]
"""A segment, and how much of it is stored; None: all."""

_BATCH_BYTES: Final = 64 * 2**20
_FETCHED_AT_ONCE: Final = 3
_READ_BYTES: Final = 2**20
_RECORD: Final = re.compile(
    rb"^rmgr: (?P<rmgr>\S+)\s+len \(rec/tot\):\s*\d+/\s*(?P<length>\d+), tx:\s*(?P<xid>\d+), "
    rb"lsn: (?P<lsn>[0-9A-F]+/[0-9A-F]+), prev \S+, desc: (?P<desc>.*)$"
)
_END: Final = re.compile(
    rb"(?P<kind>COMMIT|ABORT)(?:_PREPARED (?P<xid>\d+):)? "
    rb"(?P<time>\d{4,}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC"
)
_POINT: Final = re.compile(rb"RESTORE_POINT (?P<name>.*)")
# What pg_waldump is to show: ends of transactions, or restore points and the like.
_ENDS: Final = "Transaction"
_POINTS: Final = "XLOG"
_PAGE_BYTES: Final = 8192
_PAGE_HEADER_BYTES: Final = 40


@dataclass(frozen=True, slots=True)
class WalRecord:
    """A record of the WAL: the end of a transaction, a restore point, or any other one."""

    lsn: Lsn
    length: int
    """Without the headers of the pages that it crosses."""
    xid: int = 0
    committed: bool = False
    time: datetime | None = None
    """When the transaction ended."""
    point: str | None = None
    """The restore point's name."""

    @property
    def latest_end(self) -> Lsn:
        """A position that the record's end is not behind."""
        pages = self.length // _PAGE_BYTES + 2
        return Lsn(self.lsn + self.length + 8 + pages * _PAGE_HEADER_BYTES)


class WalScan:
    """Looks through the WAL of one cluster."""

    def __init__(
        self,
        run: Run,
        repository: Repository,
        layout: Layout,
        tools: Installation,
        scratch: Path,
        segment_bytes: int,
    ) -> None:
        self._segment_bytes = segment_bytes
        self._run = run
        self._repository = repository
        self._layout = layout
        self._waldump = str(tools.tool("pg_waldump"))
        self._folder = scratch / "wal-scan"

    async def forward(
        self, files: Sequence[SegmentFile], timeline: int, wanted: Callable[[WalRecord], bool]
    ) -> WalRecord | None:
        """The first end of a transaction that is wanted, on the way to `timeline`."""
        return await self._search(_batches(files), timeline, wanted, last=False, rmgr=_ENDS)

    async def backward(
        self,
        files: Sequence[SegmentFile],
        timeline: int,
        wanted: Callable[[WalRecord], bool],
        *,
        points: bool = False,
    ) -> WalRecord | None:
        """The last end of a transaction that is wanted; with `points`, the last restore point."""
        rmgr = _POINTS if points else _ENDS
        batches = list(reversed(_batches(files)))
        return await self._search(batches, timeline, wanted, last=True, rmgr=rmgr)

    async def first_record(
        self, files: Sequence[SegmentFile], timeline: int, lsn: Lsn
    ) -> WalRecord | None:
        """The first record at or after a position; None where nothing follows it."""
        for batch, following in _batches(files, batch_bytes=1):
            async with self._fetched([*batch, *following], timeline) as folder:
                found = await self._record_from(folder, timeline, max(lsn, batch[0][0].start))
                if found is not None:
                    return found
        return None

    async def last_record(self, folder: Path, files: Sequence[SegmentFile]) -> WalRecord:
        """The last record of WAL that is in a folder. Raises `RestoreFailed` if there is none."""
        for segment, _ in reversed(files):
            timeline, tail = segment.timeline, b""
            arguments = self._where(folder, timeline, segment.start)
            async with self._run.program(*arguments, summary="pg_waldump") as program:
                while program.stdout and (chunk := await program.stdout.read(_READ_BYTES)):
                    tail = (tail + chunk)[-2 * _READ_BYTES :]
                await program.wait()
            lines = [self._parse(line) for line in tail.splitlines()]
            claimed = sorted({each.lsn for each in lines if each is not None})
            # The record's own line is among them. Behind it no record begins, whatever text says.
            last, below, above = None, 0, len(claimed)
            middle = above - 1
            while below < above:
                found = await self._record_from(folder, timeline, claimed[middle])
                if found is None:
                    above = middle
                else:
                    last, below = found, middle + 1
                middle = (below + above) // 2
            if last is not None:
                return last
        raise RestoreFailed("pg_waldump", f"there is no record of WAL in {folder}")

    async def _search(
        self,
        batches: Sequence[tuple[list[SegmentFile], list[SegmentFile]]],
        timeline: int,
        wanted: Callable[[WalRecord], bool],
        *,
        last: bool,
        rmgr: str,
    ) -> WalRecord | None:
        """Look through batches in this order, and say how far that is: it may be all WAL."""
        done, total = 0, sum(_size(batch) for batch, _ in batches)
        for batch, following in batches:
            self._run.progress("search", done, total, "By")
            record = await self._find(batch, following, timeline, wanted, last=last, rmgr=rmgr)
            if record is not None:
                return record
            done += _size(batch)
        return None

    async def _find(
        self,
        batch: Sequence[SegmentFile],
        following: Sequence[SegmentFile],
        timeline: int,
        wanted: Callable[[WalRecord], bool],
        *,
        last: bool,
        rmgr: str,
    ) -> WalRecord | None:
        """The first record of a batch that is wanted, or the last one."""
        start, before = batch[0][0].start, batch[-1][0].end
        end = following[-1][0].end if following else before
        async with self._fetched([*batch, *following], timeline) as folder:
            found = await self._dump(folder, timeline, start, f"--rmgr={rmgr}", f"--end={end}")
            ends = [each for each in found if each.time is not None or each.point is not None]
            ends.sort(key=lambda each: each.lsn, reverse=last)
            for each in ends:
                # Names of prepared transactions are anybody's text, and may have lines that look
                # like records: only what is asked for by its position is one.
                if each.lsn >= before or not wanted(each):
                    continue
                if each == await self._record_from(folder, timeline, each.lsn):
                    return each
        return None

    async def _record_from(self, folder: Path, timeline: int, lsn: Lsn) -> WalRecord | None:
        """The first record at or after a position, which no text in a record can pretend to be."""
        found = await self._dump(folder, timeline, lsn, "--limit=1")
        return found[0] if found and found[0].lsn >= lsn else None

    async def _dump(
        self, folder: Path, timeline: int, start: Lsn, *options: str
    ) -> list[WalRecord]:
        """The records as far as there are any: the end of WAL makes `pg_waldump` fail."""
        arguments = [*self._where(folder, timeline, start), *options]
        done = await self._run.child(*arguments, summary="pg_waldump")
        records = await asyncio.to_thread(
            lambda: [self._parse(line) for line in done.stdout.splitlines()]
        )
        return [each for each in records if each is not None]

    def _parse(self, line: bytes) -> WalRecord | None:
        """The record that a line tells of; None if it tells of none, or is nonsense."""
        found = _RECORD.match(line)
        try:
            return None if found is None else self._told(found)
        except ValueError:
            return None

    def _told(self, found: "re.Match[bytes]") -> WalRecord:
        lsn, length, xid = Lsn.parse(found["lsn"].decode()), int(found["length"]), int(found["xid"])
        if found["rmgr"] == b"Transaction" and (end := _END.match(found["desc"])):
            time = datetime.fromisoformat(end["time"].decode()).replace(tzinfo=UTC)
            return WalRecord(lsn, length, int(end["xid"] or xid), end["kind"] == b"COMMIT", time)
        if found["rmgr"] == b"XLOG" and (point := _POINT.match(found["desc"])):
            return WalRecord(lsn, length, point=point["name"].decode("utf-8", "replace"))
        if found["rmgr"] == b"XLOG" and found["desc"].startswith(b"SWITCH"):
            # Whoever has read it is at the end of its segment.
            return WalRecord(lsn, self._segment_bytes - lsn % self._segment_bytes)
        return WalRecord(lsn, length)

    def _where(self, folder: Path, timeline: int, start: Lsn) -> list[str]:
        return [self._waldump, f"--path={folder}", f"--timeline={timeline}", f"--start={start}"]

    @asynccontextmanager
    async def _fetched(self, files: Sequence[SegmentFile], timeline: int) -> AsyncIterator[Path]:
        """A folder with the segments, all under names of one timeline: WAL of several is one way.

        The segment in which a timeline begins has the WAL before that as well.
        """
        limit = asyncio.Semaphore(_FETCHED_AT_ONCE)

        async def fetch(segment: Segment, length: int | None) -> None:
            async with limit:
                content = await read_segment(self._repository, self._layout, segment, length)
                name = str(Segment(timeline, segment.number, segment.size_bytes))
                await asyncio.to_thread((self._folder / name).write_bytes, content)

        await asyncio.to_thread(_renew, self._folder)
        try:
            await gather_or_cancel(fetch(segment, length) for segment, length in files)
            yield self._folder
        finally:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)


def _renew(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)


def _size(batch: Sequence[SegmentFile]) -> int:
    return sum(segment.size_bytes for segment, _ in batch)


def _batches(
    files: Sequence[SegmentFile], batch_bytes: int = _BATCH_BYTES
) -> list[tuple[list[SegmentFile], list[SegmentFile]]]:
    """Segments to look through at once, and the one after them, in which a record may end."""
    count = max(1, batch_bytes // files[0][0].size_bytes) if files else 1
    return [
        (list(files[start : start + count]), list(files[start + count : start + count + 1]))
        for start in range(0, len(files), count)
    ]
