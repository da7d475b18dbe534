"""A cache for lookups that may be slightly stale: settings, versions, catalog names."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from cachetools import LRUCache

MAX_ENTRIES = 1024

T = TypeVar("T")


class LookupCache:
    """Results of read-only look-ups, each as old as the caller allows.

    Callers that ask for the same key at the same time share one look-up. A failed look-up is not
    kept: the next caller tries again.
    """

    def __init__(self) -> None:
        # When the look-up began, by time.monotonic(), and the look-up.
        self._entries: LRUCache[Hashable, tuple[float, asyncio.Task[Any]]] = LRUCache(MAX_ENTRIES)

    async def get(self, key: Hashable, look_up: Callable[[], Awaitable[T]], ttl_s: float) -> T:
        """What `look_up` returned at most `ttl_s` seconds ago."""
        now = time.monotonic()
        began, task = self._entries.get(key, (-math.inf, None))
        if task is None or now - began >= ttl_s or (task.done() and not _succeeded(task)):
            task = asyncio.ensure_future(look_up())
            task.add_done_callback(_succeeded)  # a failure that nobody waited for is no news
            self._entries[key] = (now, task)
        # A caller that gives up must not take the look-up from the others.
        result: T = await asyncio.shield(task)
        return result

    def forget(self) -> None:
        """Drop everything: the server behind it may be another one now."""
        self._entries.clear()


def _succeeded(task: asyncio.Task[Any]) -> bool:
    return not task.cancelled() and task.exception() is None
