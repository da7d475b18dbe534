"""Work done again only where that is safe; look-ups shared and kept."""

import asyncio

import pytest

from dbopsd.db.cache import LookupCache
from dbopsd.db.errors import ConnectionLost, ConnectionRefused, UniqueViolation
from dbopsd.db.retry import ATTEMPTS, retried

LOST = ConnectionLost("main", "SELECT", "", "gone")
REFUSED = ConnectionRefused("main", "nobody listens")
UNIQUE = UniqueViolation("main", "INSERT", "23505", "there already")


class Work:
    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@pytest.mark.parametrize(
    ("error", "idempotent", "calls"),
    [(LOST, True, 2), (LOST, False, 1), (REFUSED, False, 2), (UNIQUE, True, 1)],
)
async def test_only_what_is_safe_is_repeated(
    error: Exception, idempotent: bool, calls: int
) -> None:
    work = Work(error)
    if calls == 2:
        assert await retried(work, idempotent=idempotent) == "done"
    else:
        with pytest.raises(type(error)):
            await retried(work, idempotent=idempotent)
    assert work.calls == calls


async def test_it_gives_up_with_the_last_error() -> None:
    work = Work(*[REFUSED] * 20)
    with pytest.raises(ConnectionRefused):
        await retried(work, idempotent=True)
    assert work.calls == ATTEMPTS


async def test_a_look_up_outlives_the_caller_that_began_it() -> None:
    cache, go = LookupCache(), asyncio.Event()
    calls = []

    async def look_up() -> str:
        calls.append(1)
        await go.wait()
        return "found"

    first = asyncio.create_task(cache.get("key", look_up, 60))
    second = asyncio.create_task(cache.get("key", look_up, 60))
    await asyncio.sleep(0)
    first.cancel()
    go.set()
    assert await second == "found"
    assert await cache.get("key", look_up, 60) == "found"
    assert calls == [1]


async def test_a_failed_look_up_is_made_anew_and_forget_drops_all() -> None:
    cache, work = LookupCache(), Work(UNIQUE)
    with pytest.raises(UniqueViolation):
        await cache.get("key", work, 60)
    assert await cache.get("key", work, 60) == "done"
    await cache.get("key", work, 60)
    assert work.calls == 2
    cache.forget()
    await cache.get("key", work, 60)
    assert work.calls == 3


async def test_a_look_up_is_as_old_as_its_time_to_live_at_most() -> None:
    cache, work = LookupCache(), Work()
    await cache.get("key", work, 3600)
    # What another caller would still have taken is too old for this one.
    await cache.get("key", work, 0)
    await cache.get("key", work, 0)
    assert work.calls == 3
