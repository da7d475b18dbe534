"""Who shows credentials that are refused is seen, and slowed down, and nobody else is."""

import asyncio
import tracemalloc

import pytest

from dbopsd.security.errors import CredentialMissing, TokenExpired, TokenUnknown, TooManyCalls
from dbopsd.security.failed_credentials import FailedCredentials

FIRST, SECOND = "192.0.2.1", "198.51.100.7"


class Time:
    """Stands still but for sleeping, which takes none."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def failed(time) -> FailedCredentials:
    return FailedCredentials(3, clock=time, sleep=time.sleep)


async def test_each_failure_is_answered_later_than_the_one_before_it(failed, time):
    for _ in range(2000):
        await failed.refused(FIRST, TokenUnknown())
    assert time.slept[:6] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0]
    assert max(time.slept) == 2.0
    assert len(time.slept) == 1999


async def test_another_address_is_not_slowed_down(failed, time):
    for _ in range(10):
        await failed.refused(FIRST, TokenUnknown())
    time.slept.clear()
    await failed.refused(SECOND, TokenUnknown())
    assert time.slept == []


async def test_addresses_of_one_ipv6_network_are_one(failed, time):
    for number in range(10):
        await failed.refused(f"2001:db8::{number}", TokenUnknown())
    assert len(time.slept) == 9


async def test_a_minute_without_a_failure_is_a_new_beginning(failed, time):
    for _ in range(10):
        await failed.refused(FIRST, TokenUnknown())
    time.slept.clear()
    time.now += 61
    await failed.refused(FIRST, TokenUnknown())
    assert time.slept == []


async def test_who_shows_nothing_has_failed_nothing(failed, time, caplog):
    for _ in range(10):
        await failed.refused(FIRST, CredentialMissing())
    assert (time.slept, caplog.records) == ([], [])


async def test_only_so_many_wait():
    failed = FailedCredentials(3)
    await failed.refused(FIRST, TokenUnknown())
    waiting = [asyncio.create_task(failed.refused(FIRST, TokenUnknown())) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyCalls):
        await failed.refused(FIRST, TokenUnknown())
    for call in waiting:
        call.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    again = asyncio.create_task(failed.refused(FIRST, TokenUnknown()))
    await asyncio.sleep(0)
    assert not again.done()
    again.cancel()


async def test_a_line_says_who_and_why_and_few_lines_say_all(failed, time, caplog):
    for _ in range(500):
        await failed.refused(FIRST, TokenUnknown())
    assert [record.getMessage() for record in caplog.records] == [
        "a credential from 192.0.2.1 was refused: TOKEN_UNKNOWN"
    ]
    time.now += 10
    await failed.refused(FIRST, TokenExpired())
    assert caplog.records[-1].getMessage() == (
        "a credential from 192.0.2.1 was refused: TOKEN_EXPIRED; "
        "499 more were refused since the last such line"
    )


async def test_many_addresses_do_not_fill_the_log_or_the_memory(failed, caplog, time):
    async def fail(first: int, count: int) -> None:
        for number in range(first, first + count):
            await failed.refused(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", error)

    error = TokenUnknown()
    await fail(0, 5000)
    assert len(caplog.records) == 20
    tracemalloc.start()
    await fail(5000, 20_000)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 2_000_000
    # Those beyond a thousand are slowed down together.
    assert time.slept[-1] == 2.0
    # And each has a count of its own again once the thousand are quiet.
    time.now += 61
    time.slept.clear()
    await fail(30_000, 100)
    assert time.slept == []
