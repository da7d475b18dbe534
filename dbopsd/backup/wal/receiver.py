"""Runs `pg_receivewal`, which writes the server's WAL to the spool, and runs it anew when it ends.

It runs with `--synchronous`: what it says to have received is on the worker's disk. Where it begins
is decided here each time, by a file in the spool, so that nothing is left out.
"""

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from dbopsd.backup.catalog.lsn import Segment
from dbopsd.backup.store.errors import StoreError, StoreFull, StoreUnavailable
from dbopsd.backup.wal.archive import WalArchive
from dbopsd.backup.wal.resume import leads_on, legs_of, next_position, segment_on
from dbopsd.backup.wal.shipper import Progress, Shipper
from dbopsd.backup.wal.slot import Look
from dbopsd.backup.wal.spool import Gap, Spool, SpoolFiles
from dbopsd.backup.wal.timelines import History
from dbopsd.db.client_tools import ToolLogin, at_least, installations, write_login
from dbopsd.db.database import Database
from dbopsd.db.errors import DatabaseError, one_line
from dbopsd.errors import DbopsError, StatusCode
from dbopsd.operations.errors import ChildNotStarted
from dbopsd.operations.kind import Program, RunsPrograms

_log = logging.getLogger(__name__)

_PROGRAMS: Final = ("pg_receivewal", "psql")
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 10.0
_LOOK_EVERY_S: Final = 1.0
_STATUS_EVERY_S: Final = 5
# A receiver that the server does not know of talks to another server, or to none.
_DEAF_AFTER_S: Final = 10.0
# So often in a row it must have got nothing before its beginning is taken to be gone.
_GONE_AFTER: Final = 3
# So long the spool may take to be emptied before receiving goes on.
_EMPTY_S: Final = 20.0
_FULL: Final = "the spool is full, as the store takes nothing: the slot keeps the WAL"


@dataclass(eq=False)
class HistoryUnreadable(DbopsError):
    """The server does not tell how it came to its timeline."""

    reason: ClassVar[str] = "TIMELINE_HISTORY_UNREADABLE"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE

    database: str
    timeline: int
    problem: str

    @property
    def message(self) -> str:
        return (
            f"the history of timeline {self.timeline} of database '{self.database}' cannot be "
            f"read: {self.problem}; the role needs REPLICATION and a `replication` line in "
            "pg_hba.conf"
        )


@dataclass(eq=False)
class SlotNotThere(DbopsError):
    """Nothing is stored yet, and no slot tells with which WAL the archive begins."""

    reason: ClassVar[str] = "WAL_SLOT_MISSING"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE

    slot: str

    @property
    def message(self) -> str:
        return (
            f"the replication slot '{self.slot}', with whose WAL the archive begins, is not there "
            "yet: this is tried again by itself"
        )


_MENDED_BY_TIME: Final = (
    DatabaseError,
    StoreError,
    HistoryUnreadable,
    SlotNotThere,
    ChildNotStarted,
)


class Receiver:
    """Receives the WAL of one cluster for as long as the server is this cluster.

    `look` asks the server, and raises `DatabaseError`. `name`: what the server shows it as.
    """

    def __init__(
        self,
        run: RunsPrograms,
        database: Database,
        archive: Callable[[], Awaitable[WalArchive]],
        record_holes: Callable[[WalArchive], Awaitable[int]],
        is_stored: Callable[[Segment], Awaitable[bool]],
        spool: Spool,
        progress: Progress,
        shipper: Shipper,
        *,
        name: str,
        major: int,
        look: Callable[[], Awaitable[Look]],
        most_spool_bytes: int,
    ) -> None:
        self._run = run
        self._database = database
        self._archive = archive
        self._record_holes = record_holes
        self._is_stored = is_stored
        self._spool = spool
        self._progress = progress
        self._shipper = shipper
        self._name = name
        self._major = major
        self._look = look
        self._most_spool_bytes = most_spool_bytes
        self._bin_dir: Path | None = None
        # How often in a row it got nothing where it began.
        self._fruitless = 0

    async def run(self) -> None:
        """Receive for ever; ends by cancellation, or by what no other attempt would mend."""
        pause_s, said = _FIRST_PAUSE_S, ""
        while True:
            try:
                fruitful, problem = await self._receive()
            except _MENDED_BY_TIME as error:
                fruitful, problem = False, error.message
            if fruitful:
                pause_s, said = _FIRST_PAUSE_S, ""
            if problem != said:
                said = problem
                _log.warning("WAL of %s is not received: %s", self._database.name, problem)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _receive(self) -> tuple[bool, str]:
        """Receive until the program ends: whether it got anything, and why it ended."""
        room = self._most_spool_bytes - max(
            self._most_spool_bytes // 10, 2 * self._spool.segment_bytes
        )
        if await asyncio.to_thread(self._spool.size_bytes) > room:
            return False, _FULL
        await self._begin(await self._look())
        program = str(await self._program("pg_receivewal"))
        before = await asyncio.to_thread(self._fingerprint)
        with self._login() as login:
            async with self._run.program(
                program,
                *("--directory", str(self._spool.directory), "--dbname", login.dbname),
                *("--synchronous", "--no-loop", "--no-password"),
                *("--status-interval", str(_STATUS_EVERY_S)),
                environment=login.environment,
                summary="pg_receivewal",
            ) as receiving:
                problem = await self._watch(receiving)
        fruitful = await asyncio.to_thread(self._fingerprint) != before
        self._fruitless = 0 if fruitful else self._fruitless + 1
        return fruitful, problem

    async def _watch(self, receiving: Program) -> str:
        """Wait for the end of the program, or for a reason to end it; what it was."""
        ending = asyncio.create_task(receiving.wait())
        looked_at = time.monotonic()
        try:
            while True:
                await asyncio.wait({ending}, timeout=_LOOK_EVERY_S)
                if ending.done():
                    problem = _last_line(receiving.stderr)
                    return problem or f"pg_receivewal ended with {ending.result()}"
                if await asyncio.to_thread(self._spool.size_bytes) >= self._most_spool_bytes:
                    return _FULL
                if time.monotonic() - looked_at > _DEAF_AFTER_S:
                    looked_at = time.monotonic()
                    with contextlib.suppress(DatabaseError):
                        if (await self._look()).receivers == 0:
                            return "the server that takes writes sends it nothing"
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)

    async def _begin(self, found: Look) -> None:
        """Put the file into the spool that has the program begin where it has to."""
        progress, size_bytes = self._progress, self._spool.segment_bytes
        if not progress.legs or progress.legs[-1].timeline != found.timeline:
            await self._find_place(found)
        # What comes is compared with what is stored: the server may be an older copy of itself.
        with contextlib.suppress(StoreUnavailable, StoreFull, TimeoutError):
            async with asyncio.timeout(_EMPTY_S):
                await self._shipper.ship(everything=True)
        files = await asyncio.to_thread(self._drop_empty)
        highest = files.highest
        if highest is not None and not leads_on(progress.legs, highest):
            # Of a timeline that the server has left before this place.
            await self._find_place(found)
            files, highest = SpoolFiles(), None
        if highest is None:
            begin = segment_on(progress.legs, progress.stored, size_bytes)
            if begin.start == progress.stored and not self._fruitless:
                begin = await self._before(begin)
        elif highest in files.complete:
            begin = segment_on(progress.legs, highest.end, size_bytes)
        else:
            begin = highest
        if highest is None:
            await asyncio.to_thread(self._spool.forget_gap)
        reserved = found.reserved
        if (
            reserved is not None
            and begin.start < reserved.start
            and self._fruitless >= _GONE_AFTER
            # In turns: what seems to be gone may be there once the server is well again.
            and self._fruitless % 2
        ):
            await self._shipper.ship(everything=True)
            begin = segment_on(progress.legs, reserved.start, size_bytes)
            cause = "the server has removed it: its replication slot was dropped or lost"
            gap = Gap(begin.timeline, progress.stored, begin.start, cause)
            await asyncio.to_thread(self._spool.expect_gap, gap)
        await asyncio.to_thread(self._spool.begin_at, begin)

    async def _before(self, begin: Segment) -> Segment:
        """The segment before, if it is stored: it is compared. Else nothing tells this history.

        The server may have removed it: then the next try begins where this one would have.
        """
        before = begin.after(-1)
        if begin.number == 0 or not leads_on(self._progress.legs, before):
            return begin
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(_EMPTY_S / 4):
                return before if await self._is_stored(before) else begin
        return begin

    async def _find_place(self, found: Look) -> None:
        """Find out how the server came to its timeline, and up to where that is stored."""
        await self._shipper.ship(everything=True)
        progress = self._progress
        legs = legs_of(await self._history(found.timeline))
        archive = await self._archive()
        progress.take(archive)
        stored = next_position(archive, legs, found.reserved)
        if stored is None:
            # The archive begins with what the slot keeps, but not on a timeline that was left.
            if found.reserved is None:
                # Another receiver's begins with it as well: begun later, this one leaves a hole.
                raise SlotNotThere(self._name)
            stored = max(found.reserved.start, legs[-1].start)
        # Set both without an await between them: the next attempt relies on them.
        progress.legs, progress.stored = legs, stored
        begun = Segment.at(found.timeline, stored, self._spool.segment_bytes)
        progress.first = max(begun.start, progress.first)
        try:
            progress.gaps += await self._record_holes(archive)
        except BaseException:
            progress.legs = ()  # looked for anew
            raise

    async def _history(self, timeline: int) -> History:
        if timeline == 1:
            return History(1)
        name = f"{timeline:08X}.history"
        program = str(await self._program("psql"))
        with self._login() as login:
            done = await self._run.child(
                program,
                *("-X", "-A", "-t", "-w", "-d", f"{login.dbname} replication=true"),
                *("-c", f"TIMELINE_HISTORY {timeline}"),
                environment=login.environment,
                summary="psql TIMELINE_HISTORY",
            )
        prefix = f"{name}|".encode()
        if done.exit_status != 0 or not done.stdout.startswith(prefix):
            problem = _last_line(done.stderr) or f"{name} is not what it answers"
            raise HistoryUnreadable(self._database.name, timeline, problem)
        content = done.stdout.removeprefix(prefix).removesuffix(b"\n")
        return await self._shipper.take_history(timeline, content)

    def _drop_empty(self) -> SpoolFiles:
        """What is in the spool, without files in which the program was to begin, and did not."""
        files = self._spool.files()
        empty = [each for each in files.partial if not self._spool.changed_ns(each)]
        for segment in empty:
            self._spool.remove_partial(segment)
        return self._spool.files() if empty else files

    def _fingerprint(self) -> tuple[Segment | None, int]:
        """Changes with what is received."""
        highest = self._spool.files().highest
        return highest, 0 if highest is None else self._spool.changed_ns(highest)

    async def _program(self, name: str) -> Path:
        if self._bin_dir is None:
            found = await installations(self._database.config.pg_bin)
            fitting = at_least(self._database.name, found, self._major, _PROGRAMS)
            self._bin_dir = fitting.bin_dir
        return self._bin_dir / name

    @contextlib.contextmanager
    def _login(self) -> Iterator[ToolLogin]:
        """The login of a program, in a file that is there for as long as the context."""
        conninfo = self._database.login(application_name=self._name)
        directory = self._spool.directory.with_suffix(".login")
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
        try:
            yield write_login(directory, conninfo)
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def _last_line(stderr: bytes) -> str:
    """The last line that tells something, with what is before it."""
    lines = [line for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    return one_line("; ".join(lines[-2:]))
