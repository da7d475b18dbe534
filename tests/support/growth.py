"""How the work for a text grows with its length."""

import time
from collections.abc import Callable
from typing import Final

_TIMES: Final = 8
_RUNS: Final = 5


def grows_linearly(work: Callable[[str], object], text: str) -> bool:
    """Whether eight times the text costs less than thirty-two times as much.

    Quadratic work would cost sixty-four times as much. The least of several measurements counts,
    in the thread's own processor time, so that a busy machine changes nothing.
    """
    return _least_s(work, text * _TIMES) < _TIMES * 4 * _least_s(work, text)


def _least_s(work: Callable[[str], object], text: str) -> float:
    return min(_measured_s(work, text) for _ in range(_RUNS))


def _measured_s(work: Callable[[str], object], text: str) -> float:
    began_s = time.thread_time()
    work(text)
    return time.thread_time() - began_s
