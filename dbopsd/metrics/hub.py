"""The newest snapshot of every database: written by samplers, read by everybody.

Reading never touches a database. Watchers who ask for the same share one stream of updates, so
that each update is filtered and encoded once, and one who reads slowly gets the newest update and
how many it missed.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dbopsd.errors import DatabaseNotFound
from dbopsd.metrics.errors import MetricsOff
from dbopsd.metrics.model import Collection, Sample, Snapshot
from dbopsd.metrics.selection import Selection

# All watchers have an update within that time, and other callers are answered in between.
_SPREAD_S: Final = 0.3
_AT_ONCE: Final = 8
_LEAST_RATE: Final = 3_000.0
# Of an interval. A message goes out when there is something new from then on, and with what there
# is at the latest: at fixed times, what is sampled as often would wait for a whole interval.
_EARLIEST: Final = 0.9
_LATEST: Final = 1.2


@dataclass(frozen=True)
class Update:
    """A snapshot for the watchers of one stream. `number` counts them, from 1 on.

    `previous` is the snapshot of the update before it. `made` is for what is made of the update
    once for all watchers, such as its encoding.
    """

    number: int
    snapshot: Snapshot
    previous: Snapshot | None
    made: dict[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Seen:
    """What a watcher gets: the newest update, and how many it missed since its last one."""

    update: Update
    missed: int


@dataclass(frozen=True)
class Wanted:
    """What a watcher asks for; equal ones share a stream."""

    database: str
    selection: Selection
    interval_s: float


class MetricsHub:
    """The newest snapshot of each configured database.

    `sampled`: whether there are samplers at all. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        databases: Iterable[str],
        *,
        sampled: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._snapshots = {name: Snapshot(name) for name in databases}
        self._sampled = sampled
        self._clock = clock
        self._streams: dict[Wanted, _Stream] = {}
        self._turns = _Turns()
        self._changed = {name: asyncio.Event() for name in self._snapshots}
        self._drained = asyncio.Event()

    @property
    def databases(self) -> tuple[str, ...]:
        """The names of the databases."""
        return tuple(self._snapshots)

    def snapshot(self, database: str) -> Snapshot:
        """The newest samples of `database`. Raises `DatabaseNotFound` and `MetricsOff`."""
        if database not in self._snapshots:
            raise DatabaseNotFound(database)
        if not self._sampled:
            raise MetricsOff
        return self._snapshots[database]

    def publish(self, database: str, collections: Mapping[str, Collection]) -> None:
        """Replace the collections of these names."""
        self._snapshots[database] = self._snapshots[database].replaced(collections)
        self._notify(database)

    async def drained(self, within_s: float) -> bool:
        """Wait for the daemon to drain, and no longer than that. Whether it does."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._drained.wait()
        return self._drained.is_set()

    async def changed(self, database: str, within_s: float) -> None:
        """Wait for another snapshot, and no longer than that."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._changed[database].wait()

    def drain(self) -> None:
        """The daemon stops: every watch ends."""
        self._drained.set()
        for database in self._snapshots:
            self._notify(database)

    async def changes(self, database: str) -> AsyncGenerator[Snapshot, None]:
        """Yield the present snapshot, and the newest one whenever there is another.

        Ends when the daemon drains. Raises `DatabaseNotFound` and `MetricsOff`.
        """
        self.snapshot(database)
        while not self._drained.is_set():
            changed = self._changed[database]
            yield self._snapshots[database]
            if not self._drained.is_set():
                await changed.wait()

    async def watch(self, wanted: Wanted) -> AsyncGenerator[Seen, None]:
        """Yield the present snapshot at once, and then each update of the stream, or the newest.

        Ends when the daemon drains. Raises `DatabaseNotFound` and `MetricsOff`.
        """
        self.snapshot(wanted.database)
        stream = self._streams.get(wanted)
        if stream is None:
            stream = self._streams[wanted] = _Stream(self, wanted, self._turns, self._clock)
        stream.watchers += 1
        self._turns.takers += 1
        try:
            last = 0
            while (update := await stream.after(last)) is not None:
                missed = update.number - last - 1 if last else 0
                last = update.number
                yield Seen(update, missed)
        finally:
            stream.watchers -= 1
            self._turns.takers -= 1
            if not stream.watchers:
                stream.close()
                del self._streams[wanted]

    def _notify(self, database: str) -> None:
        changed, self._changed[database] = self._changed[database], asyncio.Event()
        changed.set()


class _Turns:
    """Spreads what `takers` do at the same moment, so that others are not kept waiting."""

    def __init__(self) -> None:
        self.takers = 0
        self._next_at = 0.0

    async def take(self, count: int) -> None:
        """Return when it is the turn of so many: at once, unless others have just had theirs."""
        now = asyncio.get_running_loop().time()
        at = max(self._next_at, now)
        self._next_at = at + count / max(_LEAST_RATE, self.takers / _SPREAD_S)
        if at > now:
            await asyncio.sleep(at - now)


class _Stream:
    """The updates of all watchers who want the same: one task makes them."""

    def __init__(
        self, hub: MetricsHub, wanted: Wanted, turns: _Turns, clock: Callable[[], float]
    ) -> None:
        self.watchers = 0
        self._turns = turns
        self._hub = hub
        self._wanted = wanted
        self._clock = clock
        snapshot = wanted.selection.narrowed(hub.snapshot(wanted.database))
        self._newest: Update | None = Update(1, snapshot, None)
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._task = asyncio.create_task(self._pump(), name=f"{wanted.database}-metrics-stream")

    async def after(self, number: int) -> Update | None:
        """The newest update once there is one after `number`; None once the daemon drains."""
        while self._newest is not None and self._newest.number <= number:
            turn = asyncio.get_running_loop().create_future()
            self._waiting[turn] = None
            try:
                await turn
            finally:
                self._waiting.pop(turn, None)
        return self._newest

    def close(self) -> None:
        self._task.cancel()

    async def _pump(self) -> None:
        made_at = self._clock()
        async for _ in self._hub.changes(self._wanted.database):
            newest = self._newest
            if newest is None:
                break
            if await self._not_yet(made_at):
                break
            await self._turns.take(1)
            # There may be a newer one by now.
            snapshot = self._hub.snapshot(self._wanted.database)
            narrowed = self._wanted.selection.narrowed(snapshot)
            if not is_news(narrowed, newest.snapshot):
                continue
            made_at = self._clock()
            await self._publish(Update(newest.number + 1, narrowed, newest.snapshot))
        await self._publish(None)

    async def _not_yet(self, made_at: float) -> bool:
        """Wait for the time of the next update. Whether the daemon drains instead."""
        interval_s = self._wanted.interval_s
        wait_s = made_at + _EARLIEST * interval_s - self._clock()
        if wait_s <= 0:
            return False
        if await self._hub.drained(wait_s):
            return True
        await self._hub.changed(
            self._wanted.database, made_at + _LATEST * interval_s - self._clock()
        )
        return False

    async def _publish(self, update: Update | None) -> None:
        self._newest = update
        waiting, self._waiting = list(self._waiting), {}
        for first in range(0, len(waiting), _AT_ONCE):
            some = waiting[first : first + _AT_ONCE]
            await self._turns.take(len(some))
            for turn in some:
                # One whose watcher has gone is cancelled.
                if not turn.done():
                    turn.set_result(None)


def is_news(now: Snapshot, before: Snapshot) -> bool:
    """Whether a sample was taken again, has come or is gone, or a collector does otherwise."""
    if now.collections.keys() != before.collections.keys():
        return True
    return any(
        collection is not (old := before.collections[name])
        and (
            bool(collection.samples or old.samples)
            or (collection.status.state, collection.status.reason)
            != (old.status.state, old.status.reason)
        )
        for name, collection in now.collections.items()
    )


def changed_samples(now: Snapshot, before: Snapshot) -> tuple[list[Sample], list[Sample]]:
    """The samples of `now` whose value is new or another, and those of `before` that are gone."""
    changed: list[Sample] = []
    gone: list[Sample] = []
    for name, collection in now.collections.items():
        old = before.collections.get(name)
        if old is collection:
            continue
        values = {} if old is None else {each.series: each.value for each in old.samples}
        changed.extend(each for each in collection.samples if values.get(each.series) != each.value)
        series = {each.series for each in collection.samples}
        gone.extend(each for each in (old.samples if old else ()) if each.series not in series)
    return changed, gone
