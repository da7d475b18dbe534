"""The audit log as the daemon's calls see it: a record is on disk when `append` returns.

One thread writes. What is handed in while it waits for the disk goes into one batch, with one
fsync for all of it; the event loop never waits for a disk.
"""

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from dbopsd.security.audit.errors import AuditLogInUse, AuditUnavailable
from dbopsd.security.audit.record import Gap, Record, Refused, Result, now
from dbopsd.security.audit.recovery import MAX_BATCH
from dbopsd.security.audit.writer import Writer, Written

_log = logging.getLogger(__name__)

# A disk that hangs must not have the calls that wait for it fill the memory.
_MAX_WAITING: Final = 10_000

Sink = Callable[[Written], None]
"""Takes each record once it is on disk, in the journal's thread; must not wait for anything."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    record: Record
    done: "asyncio.Future[None]"


class AuditJournal:
    """The audit log of a running daemon, for one event loop.

    `patience_s`: how long a call waits for the disk, in seconds, before it is refused.
    """

    def __init__(
        self, writer: Writer, *, sink: Sink | None = None, patience_s: float = 10.0
    ) -> None:
        self._writer = writer
        self._sink = sink
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._waiting: deque[_Waiting] = deque()
        self._stopping = False
        self._lost_results = 0
        self._lost_refused = 0
        self._lost_since = ""
        self._problem = ""
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()

    @property
    def problem(self) -> str:
        """Why the log cannot be written at present; empty while it can."""
        return self._problem

    async def start(self) -> None:
        """Take the log over and begin to write.

        Raises `AuditLogInUse`. A log that cannot be written for another reason is no error here:
        calls are refused until it can.
        """
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = self._loop.create_future()
        # Ends with the process where a disk hangs, unlike a thread that is waited for.
        self._thread = threading.Thread(
            target=self._run, args=(opened,), name="dbopsd-audit", daemon=True
        )
        self._thread.start()
        opened.add_done_callback(lambda future: future.cancelled() or future.exception())
        finished, _ = await asyncio.wait([opened], timeout=self._patience_s)
        if finished:
            opened.result()
        else:
            _log.error("the disk of the audit log has not answered for %g s", self._patience_s)

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Write what is waiting and let go of the log, in at most `timeout_s` seconds."""
        if self._thread is None:
            return
        with self._changed:
            self._stopping = True
            self._changed.notify()
        try:
            async with asyncio.timeout(timeout_s):
                await self._ended.wait()
        except TimeoutError:
            _log.warning("gave up on the audit log after %g s: its disk does not answer", timeout_s)

    async def append(self, record: Record) -> None:
        """Return once `record` is on disk; raises `AuditUnavailable` where it is not.

        Cancelling it leaves the record to be written all the same.
        """
        done = self.submit(record)
        finished, _ = await asyncio.wait([done], timeout=self._patience_s)
        if not finished:
            raise AuditUnavailable(f"its disk has not answered for {self._patience_s:g} s")
        done.result()

    def submit(self, record: Record) -> "asyncio.Future[None]":
        """Hand `record` in, after those handed in before. The result tells when it is on disk.

        Results and refusals that cannot be written are counted, and the log says how many once
        it can be written again. The result fails with `AuditUnavailable` then.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Nobody need look at the failure, which is logged once for all.
        done.add_done_callback(lambda future: future.cancelled() or future.exception())
        with self._changed:
            problem = ""
            if self._stopping or self._thread is None:
                problem = "the daemon is stopping"
            elif len(self._waiting) >= _MAX_WAITING:
                problem = f"{_MAX_WAITING} records wait for its disk"
            if problem:
                self._count_lost([record])
                done.set_exception(AuditUnavailable(problem))
            else:
                self._waiting.append(_Waiting(record, done))
                self._changed.notify()
        return done

    def leave_out(self, record: Record) -> None:
        """Write `record` as no more than a number in the next gap."""
        with self._changed:
            self._count_lost([record])

    def _run(self, opened: "asyncio.Future[None]") -> None:
        try:
            self._writer.open()
        except AuditLogInUse as exc:
            self._tell([opened], exc)
            self._in_loop(self._ended.set)
            return
        except Exception as exc:  # noqa: BLE001 - said in the log, and tried again at each batch
            self._fail(exc)
        else:
            # So that the log is there, and says what was found of it, before the first call.
            self._write([])
        self._tell([opened], None)
        while batch := self._next_batch():
            self._write(batch)
        if self._lost_since:
            self._write([])
        self._writer.close()
        self._in_loop(self._ended.set)

    def _next_batch(self) -> list[_Waiting]:
        """What is waiting, up to a batch of it; empty once the journal stops."""
        with self._changed:
            while not self._waiting and not self._stopping:
                self._changed.wait()
            count = min(len(self._waiting), MAX_BATCH)
            return [self._waiting.popleft() for _ in range(count)]

    def _write(self, batch: Sequence[_Waiting]) -> None:
        records = [waiting.record for waiting in batch]
        gap = self._gap()
        try:
            written = self._writer.append([*gap, *records])
        except Exception as exc:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            with self._changed:
                self._restore(gap)
                self._count_lost(records)
            unavailable = self._fail(exc)
            self._tell([waiting.done for waiting in batch], unavailable)
            return
        if self._problem:
            self._problem = ""
            _log.warning("the audit log can be written again")
        self._tell([waiting.done for waiting in batch], None)
        if self._sink is not None:
            self._export(written, self._sink)

    def _export(self, written: Sequence[Written], sink: Sink) -> None:
        try:
            for each in written:
                sink(each)
        except Exception:  # noqa: BLE001 - the copy never gets in the way of the log
            _log.exception("handing audit records on failed")

    def _fail(self, exc: Exception) -> AuditUnavailable:
        if isinstance(exc, OSError):
            problem = exc.strerror or "the system says no more"
        elif isinstance(exc, AuditLogInUse):
            problem = "another process writes it"
        else:
            problem = "an internal error, which the daemon's log has"
        error = AuditUnavailable(problem)
        if problem != self._problem:
            unforeseen = not isinstance(exc, OSError | AuditLogInUse)
            _log.error("%s", error, exc_info=exc if unforeseen else None)
            self._problem = problem
        return error

    def _gap(self) -> list[Gap]:
        """The record of what was lost, if anything was; it counts as told then."""
        with self._changed:
            if not self._lost_since:
                return []
            gap = Gap(
                time=now(),
                results=self._lost_results,
                refused=self._lost_refused,
                since=self._lost_since,
            )
            self._lost_results = self._lost_refused = 0
            self._lost_since = ""
            return [gap]

    def _restore(self, gap: Sequence[Gap]) -> None:
        for each in gap:
            self._lost_results += each.results
            self._lost_refused += each.refused
            self._lost_since = each.since

    def _count_lost(self, records: Sequence[Record]) -> None:
        refused = sum(isinstance(record, Refused) for record in records)
        # A call that is rejected because its first record cannot be written counts as refused.
        results = sum(isinstance(record, Result) for record in records) - refused
        self._lost_results += results
        self._lost_refused += refused
        if (results or refused) and not self._lost_since:
            self._lost_since = now()

    def _tell(self, futures: Sequence["asyncio.Future[None]"], error: Exception | None) -> None:
        def settle() -> None:
            for future in futures:
                if future.done():
                    continue  # its call is gone
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)

        self._in_loop(settle)

    def _in_loop(self, work: Callable[[], None]) -> None:
        assert self._loop is not None  # noqa: S101 - the thread was started by `start`
        # Closed: nobody waited this long.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(work)
