"""Judges every database again and again, and keeps what it finds over a restart."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from dbopsd.metrics.alerts.board import AlertBoard
from dbopsd.metrics.alerts.judge import Judge
from dbopsd.metrics.alerts.state_file import StateFile
from dbopsd.metrics.errors import HistoryDamaged
from dbopsd.metrics.history.chunk import Samples
from dbopsd.metrics.history.reader import HistoryReader
from dbopsd.metrics.hub import MetricsHub

_log = logging.getLogger(__name__)

_FIRST_AFTER_S: Final = 1.0


class AlertEngine:
    """Judges the databases of a hub and publishes on a board.

    `look_at_silences` reads the silences where they count: when something fires. `history` is the
    file that what rules look back on is read from at the start; None: there is none.
    """

    def __init__(
        self,
        hub: MetricsHub,
        judges: Mapping[str, Judge],
        board: AlertBoard,
        state: StateFile,
        *,
        interval_s: float,
        history: Path | None = None,
        look_at_silences: Callable[[], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._hub = hub
        self._judges = judges
        self._board = board
        self._state = state
        self._interval_s = interval_s
        self._history = history
        self._look_at_silences = look_at_silences
        self._clock = clock

    async def run(self) -> None:
        """Judge for ever; ends by cancellation only."""
        await self._begin()
        await asyncio.sleep(min(_FIRST_AFTER_S, self._interval_s))
        while True:
            changed = False
            for name in self._judges:
                changed |= self._judge(name)
                # Spread, so that a hundred databases hold up nobody for long.
                await asyncio.sleep(self._interval_s / len(self._judges))
            if changed:
                await asyncio.to_thread(self._state.write, self._board.alerts())
            if self._look_at_silences is not None and any(
                alert.firing for alert in self._board.alerts()
            ):
                await self._look_at_silences()

    async def _begin(self) -> None:
        now = self._clock()
        for alert in await asyncio.to_thread(self._state.read):
            judge = self._judges.get(alert.database)
            if judge is not None:
                judge.restore(alert, now)
        for name, judge in self._judges.items():
            self._board.publish(name, judge.alerts, now)
        if self._history is not None and self._history.exists():
            reader = HistoryReader(self._history)
            try:
                await asyncio.to_thread(self._look_back, reader, now)
            except (sqlite3.Error, HistoryDamaged) as error:
                _log.warning("alerts begin without the history of metrics: %s", error)

    def _look_back(self, reader: HistoryReader, now: float) -> None:
        for name, judge in self._judges.items():
            for metric, span_s in judge.windows.spans_s.items():
                known = reader.find(name, metric)
                if not known:
                    continue
                start_ms, end_ms = round((now - span_s) * 1000), round(now * 1000)
                for found in reader.read(known, start_ms, end_ms):
                    samples = Samples(found.samples.times, found.samples.mean)
                    judge.windows.fill(found.series, samples)

    def _judge(self, name: str) -> bool:
        now = self._clock()
        judge = self._judges[name]
        try:
            judge.judge(self._hub.snapshot(name), now)
        except Exception:  # noqa: BLE001 - logged; the other databases are judged all the same
            _log.exception("the alerts of database '%s' could not be judged", name)
            return False
        return self._board.publish(name, judge.alerts, now)
