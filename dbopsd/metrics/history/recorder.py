"""Writes what the samplers find into the history, from one thread of its own."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np

from dbopsd.metrics.history.store import HistoryStore, Segment
from dbopsd.metrics.hub import MetricsHub
from dbopsd.metrics.model import Collection, CollectorState, Series, Snapshot

_log = logging.getLogger(__name__)

_TICK_S: Final = 10.0
# Work beside the ticks begins so often, and its steps leave the processor to others in between.
_WORK_EVERY_S: Final = 60.0
_BETWEEN_STEPS_S: Final = 0.02
_FRESH: Final = (CollectorState.OK, CollectorState.PARTIAL)


class Recorder:
    """Records the databases of a hub in the file at `path`. `clock` is in seconds since 1970."""

    def __init__(
        self,
        hub: MetricsHub,
        path: Path,
        *,
        max_bytes: int,
        tick_s: float = _TICK_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._hub = hub
        self._path = path
        self._max_bytes = max_bytes
        self._tick_s = tick_s
        self._clock = clock
        self._recorded: dict[tuple[str, str], Collection] = {}
        self._series: dict[tuple[str, str], tuple[Series, ...]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dbopsd-history")
        self._failing = False

    async def run(self) -> None:
        """Record for ever; ends by cancellation only, with the last tick written."""
        loop = asyncio.get_running_loop()
        store: HistoryStore | None = None
        worked_at = 0.0
        try:
            while True:
                await asyncio.sleep(self._tick_s - self._clock() % self._tick_s)
                try:
                    if store is None:
                        store = await loop.run_in_executor(self._thread, self._open)
                    await loop.run_in_executor(self._thread, store.append, *self._tick())
                    if time.monotonic() - worked_at >= _WORK_EVERY_S:
                        worked_at = time.monotonic()
                        await self._work(store)
                    self._succeeded()
                except (sqlite3.Error, OSError) as error:
                    self._failed(error)
        finally:
            if store is not None:
                # In its thread, after what that one is at.
                self._thread.submit(store.close)
            self._thread.shutdown(wait=True)

    def _open(self) -> HistoryStore:
        return HistoryStore(self._path, max_bytes=self._max_bytes)

    async def _work(self, store: HistoryStore) -> None:
        loop = asyncio.get_running_loop()
        until = time.monotonic() + self._tick_s / 2
        while time.monotonic() < until:
            now_ms = int(self._clock() * 1000)
            if not await loop.run_in_executor(self._thread, store.work, now_ms):
                return
            await asyncio.sleep(_BETWEEN_STEPS_S)

    def _tick(self) -> tuple[Mapping[str, list[Segment]], int]:
        """What has been sampled since the tick before."""
        snapshots = [self._hub.snapshot(name) for name in self._hub.databases]
        ticks = {each.database: self._segments(each) for each in snapshots}
        return {name: each for name, each in ticks.items() if each}, int(self._clock() * 1000)

    def _segments(self, snapshot: Snapshot) -> list[Segment]:
        segments = []
        for name, collection in snapshot.collections.items():
            key = (snapshot.database, name)
            if (
                collection is self._recorded.get(key)
                or collection.status.state not in _FRESH
                or not collection.samples
            ):
                continue
            self._recorded[key] = collection
            series = tuple(each.series for each in collection.samples)
            if series == self._series.get(key):
                # The same object, so that the next comparison is quick.
                series = self._series[key]
            self._series[key] = series
            values = np.array([each.value for each in collection.samples])
            at_ms = int((collection.status.sampled_at or self._clock()) * 1000)
            segments.append(Segment(name, series, at_ms, values))
        return segments

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            _log.error(
                "the history of metrics in '%s' cannot be written (%s): samples are lost until "
                "it can; see whether the disk is full",
                self._path,
                error,
            )
        self._failing = True

    def _succeeded(self) -> None:
        if self._failing:
            _log.warning("the history of metrics in '%s' is written again", self._path)
        self._failing = False
