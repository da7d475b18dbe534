"""Waiting for something to become true, with a deadline and a reason when it does not."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_INTERVAL_S = 0.02


async def eventually(
    probe: Callable[[], T | Awaitable[T]], timeout: float = 20.0, what: str = ""
) -> T:
    """The probe's first true answer; it may be a coroutine function.

    An exception of the probe counts as "not yet". Past `timeout` seconds: AssertionError that
    tells the last answer or exception.
    """
    deadline = time.monotonic() + timeout
    while True:
        last: object
        try:
            answer = probe()
            value = await answer if inspect.isawaitable(answer) else answer
            if value:
                return value
            last = value
        except Exception as error:
            last = error
        if time.monotonic() >= deadline:
            raise AssertionError(_complaint(probe, timeout, what, last))
        await asyncio.sleep(_INTERVAL_S)


def eventually_blocking(probe: Callable[[], T], timeout: float = 20.0, what: str = "") -> T:
    """As `eventually`, for tests without an event loop."""
    deadline = time.monotonic() + timeout
    while True:
        last: object
        try:
            value = probe()
            if value:
                return value
            last = value
        except Exception as error:
            last = error
        if time.monotonic() >= deadline:
            raise AssertionError(_complaint(probe, timeout, what, last))
        time.sleep(_INTERVAL_S)


def _complaint(probe: Callable[[], object], timeout: float, what: str, last: object) -> str:
    name = what or getattr(probe, "__qualname__", repr(probe))
    return f"not within {timeout} s: {name}; last: {last!r}"
