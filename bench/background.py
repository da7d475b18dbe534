"""Work that goes on in a thread beside a measurement."""

import threading
from collections.abc import Callable
from typing import Self


class Background:
    """Repeats `work` for the time of a context, at least `times`; the last one is waited for.

    An error of `work` ends it, and is raised at the end of the context.
    """

    def __init__(self, work: Callable[[], None], *, times: int = 0) -> None:
        self._work = work
        self._times = times
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name="background")
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _repeat(self) -> None:
        done = 0
        try:
            while done < self._times or not self._ended.is_set():
                self._work()
                done += 1
        except Exception as exc:
            self._failure = exc
