"""The budget of a watch over locks, by a clock that the tests set."""

from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from dbopsd.migrate.versions.apply.lock_watch import LockWatch
from tests.support.patience import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dbopsd.migrate.versions.apply.statement_progress import StatementProgress
    from dbopsd.migrate.versions.apply.watcher import Watcher

BUDGET_S = 1.0
MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Scene:
    """Stands in for the watcher's session, and for the clock."""

    now_s: float = 100.0
    waits_since_s: float | None = None
    """When the wait began that the watched backend is in; None: it waits for none."""
    stalls_writers: bool = True
    looks: int = 0
    cancelled: list[datetime] = field(default_factory=list)
    """When the waits had begun that were cancelled."""
    told: list[tuple[float, str]] = field(default_factory=list)
    """How long it was said to be at work, and at what."""

    def clock(self) -> float:
        return self.now_s

    @property
    def started(self) -> datetime:
        assert self.waits_since_s is not None
        return MIDNIGHT + timedelta(seconds=self.waits_since_s)

    async def fetch_one(self, *_: object) -> tuple[bool]:
        self.looks += 1
        return (self.waits_since_s is not None,)

    async def fetch_all_as(self, kind: Any, *_: object) -> list[Any]:
        if kind.__name__ == "StatementProgress":
            return [kind("VACUUM", "scanning heap", 41, 100)]
        assert self.waits_since_s is not None
        waited_s = self.now_s - self.waits_since_s
        blocker = (4711, "billing", "shop", "idle", 60.0, "", "public.a", "RowExclusiveLock")
        return [kind(self.started, waited_s, self.stalls_writers, *blocker)]

    async def fetch_all(self, _statement: object, parameters: Mapping[str, Any]) -> list[Any]:
        self.cancelled.append(parameters["started"])
        return [(True,)]

    async def is_seen(self) -> None:
        """Until the watch has looked at what is so now, and has done what comes of it."""
        looks = self.looks
        await eventually(lambda: self.looks >= looks + 2, what="the watch looks")

    @asynccontextmanager
    async def watched(self, wait_s: float | None = None) -> "AsyncIterator[LockWatch]":
        def on_work(seconds: float, progress: "StatementProgress | None") -> None:
            self.told.append((seconds, str(progress)))

        watcher = cast("Watcher", SimpleNamespace(session=self))
        watch = LockWatch(watcher, 7, BUDGET_S, wait_s=wait_s, on_work=on_work, clock=self.clock)
        async with watch:
            yield watch


async def test_the_budget_is_for_all_waits_together() -> None:
    scene = Scene()
    async with scene.watched() as watch:
        scene.waits_since_s = 100.0
        await scene.is_seen()
        scene.now_s = 100.8
        await scene.is_seen()
        scene.waits_since_s = 100.8
        await scene.is_seen()
        scene.now_s = 100.9
        await scene.is_seen()
        assert not scene.cancelled
        scene.now_s = 101.1
        await scene.is_seen()
        assert set(scene.cancelled) == {scene.started}
        assert watch.over_budget
        scene.waits_since_s = None
        await scene.is_seen()
    assert watch.waited_s == pytest.approx(1.1)
    assert [each.pid for each in watch.blockers] == [4711]


async def test_waits_that_stop_no_writers_are_not_of_the_budget() -> None:
    scene = Scene(stalls_writers=False, waits_since_s=100.0)
    async with scene.watched() as watch:
        await scene.is_seen()
        scene.now_s = 160.0
        await scene.is_seen()
        scene.stalls_writers, scene.waits_since_s = True, 160.0
        await scene.is_seen()
        assert not scene.cancelled
    assert not watch.over_budget
    assert watch.waited_s == pytest.approx(60.0)


async def test_what_stops_nobody_is_limited_as_a_whole_and_by_the_budget_once_it_does() -> None:
    scene = Scene(stalls_writers=False, waits_since_s=100.0)
    async with scene.watched(wait_s=60.0):
        await scene.is_seen()
        scene.now_s = 159.0
        await scene.is_seen()
        assert not scene.cancelled
        scene.now_s = 160.0
        await scene.is_seen()
        assert scene.cancelled
    scene = Scene(stalls_writers=True, waits_since_s=100.0, now_s=101.0)
    async with scene.watched(wait_s=60.0):
        await scene.is_seen()
        assert scene.cancelled


async def test_what_takes_long_is_told_once_a_second_while_it_waits_for_nobody() -> None:
    scene = Scene()
    async with scene.watched():
        for now_s in (100.9, 101.2, 101.9, 102.1, 102.2):
            scene.now_s = now_s
            await scene.is_seen()
        scene.waits_since_s = scene.now_s = 103.0
        await scene.is_seen()
        scene.now_s = 104.0
        await scene.is_seen()
    seconds, said = zip(*scene.told, strict=True)
    assert seconds == pytest.approx((1.2, 2.2))
    assert set(said) == {"VACUUM: scanning heap, 41 %"}
