"""The end of a watch over locks, whatever the watch is doing then."""

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from dbopsd.db.errors import ConnectionLost
from dbopsd.migrate.versions.apply.lock_watch import LockWatch

if TYPE_CHECKING:
    from dbopsd.migrate.versions.apply.watcher import Watcher


class SlowSession:
    """Stands in for the watcher's session: its server does not answer."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.given_up = asyncio.Event()

    async def fetch_one(self, *_: object) -> None:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up.set()


def watcher_with(session: object) -> "Watcher":
    return cast("Watcher", SimpleNamespace(session=session))


async def test_a_cancel_is_not_lost_in_a_look() -> None:
    session = SlowSession()
    reached: list[str] = []

    async def migrate() -> None:
        async with LockWatch(watcher_with(session), 4711, 0.01):
            await session.asked.wait()
            reached.append("end of the file")
        reached.append("COMMIT")

    task = asyncio.create_task(migrate())
    await session.asked.wait()
    while not reached:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert reached == ["end of the file"]
    # Nor does the watch outlive it.
    assert session.given_up.is_set()


async def test_a_look_that_hangs_is_cut_off() -> None:
    class HangingSession(SlowSession):
        def __init__(self) -> None:
            super().__init__()
            self.severed = asyncio.Event()

        def sever(self) -> None:
            self.severed.set()

        async def fetch_one(self, *_: object) -> None:
            self.asked.set()
            await self.severed.wait()
            raise ConnectionLost("main", "look", "", "severed")

    session = HangingSession()
    async with LockWatch(watcher_with(session), 4711, 0.01):
        await session.asked.wait()
    assert session.severed.is_set()


async def test_an_error_of_the_watch_is_not_lost() -> None:
    class BrokenSession:
        async def fetch_one(self, *_: object) -> None:
            asked.set()
            raise ZeroDivisionError

    asked = asyncio.Event()
    with pytest.raises(ZeroDivisionError):
        async with LockWatch(watcher_with(BrokenSession()), 4711, 0.01):
            await asked.wait()
