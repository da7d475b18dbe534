"""An event for a polling thread: wake it on a notification, otherwise poll rarely."""

import threading
import time
from typing import Final

# What is looked for may be a moment behind its notification: another worker has its lock, or has
# yet to record that it has room again.
_LAST_PAUSE_S: Final = 1.0


class PollEvent(threading.Event):
    """The event that a polling thread waits on between two looks; set, it stops the thread.

    Woken, a wait ends at once. Those after it take what the thread asks for, then twice as long
    each time, and from a second on `idle_s` seconds.
    """

    def __init__(self, idle_s: float) -> None:
        super().__init__()
        self._idle_s = idle_s
        self._changed = threading.Condition()
        self._woken = False
        self._pause_s = 0.0

    def wake(self) -> None:
        """Have the thread look now; or again, where it is looking."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def set(self) -> None:
        """Stop the thread."""
        super().set()
        with self._changed:
            self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Return when it is time to look, or True when it is time to stop."""
        with self._changed:
            until = time.monotonic() + self._pause(timeout or 0.0)
            while not (self._woken or self.is_set()):
                left_s = until - time.monotonic()
                if left_s <= 0:
                    break
                self._changed.wait(left_s)
            if self._woken:
                self._woken = False
                self._pause_s = timeout or 0.0
        return self.is_set()

    def _pause(self, asked_s: float) -> float:
        pause_s = self._pause_s
        if not 0 < pause_s <= _LAST_PAUSE_S:
            self._pause_s = 0.0
            # Not more often than the thread itself wants: it backs off where others contend.
            return max(self._idle_s, asked_s)
        self._pause_s = pause_s * 2
        return max(pause_s, asked_s)
