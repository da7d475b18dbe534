"""Work on texts of up to many megabytes beside an event loop that has other things to do."""

import asyncio
import re
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

_LARGE_CHARS: Final = 2**20
# A search of so much takes about a millisecond. No other thread runs meanwhile.
_WINDOW_CHARS: Final = 2**16


async def off_the_loop(text: str, work: Callable[[], T]) -> T:
    """Do `work`, which takes time with the length of `text`: in a thread if that is long."""
    if len(text) < _LARGE_CHARS:
        return work()
    return await asyncio.to_thread(work)


def find_end(pattern: re.Pattern[str], text: str, start: int = 0, *, longest: int) -> int | None:
    """Where what `pattern` finds first ends; None: it finds nothing.

    `longest`: what it finds has at most so many characters. At the edge of a window it may find a
    part of a word for a whole one.
    """
    for begin in range(start, len(text), _WINDOW_CHARS):
        found = pattern.search(text, begin, begin + _WINDOW_CHARS + longest)
        if found is not None:
            return found.end()
    return None
