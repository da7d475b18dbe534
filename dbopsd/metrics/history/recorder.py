"""Writes what the samplers find into the history, from one thread of its own."""

import asyncio
import logging
import math
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np

from dbopsd.metrics.errors import HistoryDamaged
from dbopsd.metrics.history.numbers import Segment
from dbopsd.metrics.history.store import HistoryStore, is_damage, move_aside
from dbopsd.metrics.hub import MetricsHub
from dbopsd.metrics.model import Collection, CollectorState, Snapshot

_log = logging.getLogger(__name__)

_TICK_S: Final = 10.0
# Work beside the ticks begins so often, and its steps leave the processor to others in between.
_WORK_EVERY_S: Final = 60.0
_BETWEEN_STEPS_S: Final = 0.02
# How far a clock may be from where it should be by now, and for how long it must not have been.
_STEADY_WITHIN_S: Final = 60.0
_STEADY_FOR_S: Final = 3600.0
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
        self._store: HistoryStore | None = None
        self._damage: Exception | None = None
        self._work_at = 0.0
        self._offset = self._steady_since = math.inf
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dbopsd-history")
        self._failing = False

    async def run(self) -> None:
        """Record for ever; ends by cancellation only, with the last tick written."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await asyncio.sleep(self._tick_s - self._clock() % self._tick_s)
                snapshots = [self._hub.snapshot(name) for name in self._hub.databases]
                try:
                    await loop.run_in_executor(self._thread, self._record, snapshots)
                    if time.monotonic() >= self._work_at:
                        await self._work()
                    self._succeeded()
                except (sqlite3.Error, HistoryDamaged, OSError) as error:
                    await loop.run_in_executor(self._thread, self._failed, error)
        finally:
            # In its thread, after what that one is at.
            self._thread.submit(self._close)
            self._thread.shutdown(wait=True)

    def _record(self, snapshots: Sequence[Snapshot]) -> None:
        if self._damage is not None:
            move_aside(self._path, self._damage)
            self._damage = None
        if self._store is None:
            self._store = HistoryStore(self._path, max_bytes=self._max_bytes)
        ticks = {each.database: self._segments(each) for each in snapshots}
        self._store.append({name: each for name, each in ticks.items() if each})

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        until = time.monotonic() + self._tick_s / 2
        steady = self._clock_is_steady()
        while time.monotonic() < until:
            if not await loop.run_in_executor(self._thread, self._step, steady):
                self._work_at = time.monotonic() + _WORK_EVERY_S
                return
            await asyncio.sleep(_BETWEEN_STEPS_S)

    def _step(self, clock_is_steady: bool) -> bool:
        now_ms = int(self._clock() * 1000)
        return self._store is not None and self._store.work(now_ms, clock_is_steady=clock_is_steady)

    def _clock_is_steady(self) -> bool:
        """Whether the clock has run as time does for an hour: one that was set may be set back."""
        now = time.monotonic()
        offset = self._clock() - now
        if abs(offset - self._offset) > _STEADY_WITHIN_S:
            self._offset, self._steady_since = offset, now
        return now - self._steady_since >= _STEADY_FOR_S

    def _segments(self, snapshot: Snapshot) -> list[Segment]:
        """What has been sampled since the tick before."""
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
        if is_damage(error):
            self._damage = error
            self._close()

    def _succeeded(self) -> None:
        if self._failing:
            _log.warning("the history of metrics in '%s' is written again", self._path)
        self._failing = False

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None
