"""When a polling thread looks."""

import itertools
import threading
import time
from collections.abc import Iterator

import pytest

from dbopsd.operations.poll_event import PollEvent

LONG_S = 60.0


class Poller:
    """A thread that polls, and what it did."""

    def __init__(self, event: PollEvent, asks_s: float) -> None:
        self.looks: list[float] = []
        self.looked = threading.Semaphore(0)
        self._event = event
        self._asks_s = asks_s
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()

    def _poll(self) -> None:
        while not self._event.wait(self._asks_s):
            self.looks.append(time.monotonic())
            self.looked.release()

    def look(self, times: int = 1) -> None:
        """Return once it has looked that many times more."""
        for _ in range(times):
            assert self.looked.acquire(timeout=10)

    def end(self) -> None:
        self._event.set()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def event() -> PollEvent:
    return PollEvent(LONG_S)


@pytest.fixture
def poller(event: PollEvent) -> Iterator[Poller]:
    made = Poller(event, 0.01)
    yield made
    made.end()


def test_it_looks_when_woken_and_ever_less_often_after_it(event: PollEvent, poller: Poller) -> None:
    event.wake()

    # At once, then after 10, 20, 40, … 640 ms: seven times more, and then no more for a minute.
    poller.look(8)
    pauses = [later - earlier for earlier, later in itertools.pairwise(poller.looks)]
    assert all(pause >= 0.01 * 2**n for n, pause in enumerate(pauses)), pauses
    assert not poller.looked.acquire(timeout=1.5)

    event.wake()
    poller.look()


def test_a_wake_while_it_looks_is_not_lost(event: PollEvent) -> None:
    event.wake()
    assert not event.wait(LONG_S)
    event.wake()

    began = time.monotonic()
    assert not event.wait(LONG_S)
    assert time.monotonic() - began < LONG_S / 2


def test_it_looks_now_and_then_though_nobody_wakes_it() -> None:
    poller = Poller(PollEvent(0.02), 0.001)
    poller.look(3)
    poller.end()


def test_a_thread_that_wants_to_wait_longer_waits_longer() -> None:
    event = PollEvent(0.001)
    event.wake()
    event.wait(0.2)

    for _ in range(2):
        began = time.monotonic()
        event.wait(0.2)
        assert time.monotonic() - began >= 0.2


def test_setting_it_ends_a_long_wait(event: PollEvent) -> None:
    poller = Poller(event, LONG_S)
    began = time.monotonic()
    poller.end()
    assert time.monotonic() - began < LONG_S / 2
    assert poller.looks == []
