"""Handle SIGTERM and SIGINT in the API process and in workers."""

import asyncio
import signal


class StopSignals:
    """`stop` is set at the first of them, `hurry` at the second.

    While a start is under way, in the task that made this, the first cancels it: a start may take
    minutes, in crash recovery, and what has begun is undone instead.
    """

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        self._starting = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ask)

    def started(self) -> None:
        """The start is over: signals cancel nothing any more."""
        self._starting = None

    def ask(self) -> None:
        """Do what a signal does."""
        (self.hurry if self.stop.is_set() else self.stop).set()
        if self._starting is not None:
            self._starting.cancel()
