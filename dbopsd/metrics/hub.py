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
from typing import Any

from dbopsd.errors import DatabaseNotFound
from dbopsd.metrics.errors import MetricsOff
from dbopsd.metrics.model import Collection, Sample, Snapshot
from dbopsd.metrics.selection import Selection


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
            stream = self._streams[wanted] = _Stream(self, wanted, self._clock)
        stream.watchers += 1
        try:
            last = 0
            while (update := await stream.after(last)) is not None:
                missed = update.number - last - 1 if last else 0
                last = update.number
                yield Seen(update, missed)
        finally:
            stream.watchers -= 1
            if not stream.watchers:
                stream.close()
                del self._streams[wanted]

    def _notify(self, database: str) -> None:
        changed, self._changed[database] = self._changed[database], asyncio.Event()
        changed.set()


class _Stream:
    """The updates of all watchers who want the same: one task makes them."""

    def __init__(self, hub: MetricsHub, wanted: Wanted, clock: Callable[[], float]) -> None:
        self.watchers = 0
        self._hub = hub
        self._wanted = wanted
        self._clock = clock
        snapshot = wanted.selection.narrowed(hub.snapshot(wanted.database))
        self._newest: Update | None = Update(1, snapshot, None)
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._pump(), name=f"{wanted.database}-metrics-stream")

    async def after(self, number: int) -> Update | None:
        """The newest update once there is one after `number`; None once the daemon drains."""
        while self._newest is not None and self._newest.number <= number:
            await self._changed.wait()
        return self._newest

    def close(self) -> None:
        self._task.cancel()

    async def _pump(self) -> None:
        made_at = self._clock()
        async for changed in self._hub.changes(self._wanted.database):
            snapshot = changed
            newest = self._newest
            if newest is None:
                break
            wait_s = made_at + self._wanted.interval_s - self._clock()
            if wait_s > 0:
                if await self._hub.drained(wait_s):
                    break
                # There may be a newer one by now.
                snapshot = self._hub.snapshot(self._wanted.database)
            narrowed = self._wanted.selection.narrowed(snapshot)
            if not is_news(narrowed, newest.snapshot):
                continue
            made_at = self._clock()
            self._publish(Update(newest.number + 1, narrowed, newest.snapshot))
        self._publish(None)

    def _publish(self, update: Update | None) -> None:
        self._newest = update
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


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
