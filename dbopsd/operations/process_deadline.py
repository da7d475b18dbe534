"""Has the kernel kill this process at a time, however it hangs, and even if it is stopped.

A timer of the process's own whose signal is SIGKILL: SIGSTOP, a blocked event loop or a system
call that does not return keep it from nothing.
"""

import ctypes
import os
import signal
import time
from typing import Final

_ABSOLUTE: Final = 1
_NANOSECONDS: Final = 1_000_000_000


class _SignalEvent(ctypes.Structure):
    """`struct sigevent`, padded to 64 bytes."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("padding", ctypes.c_char * 48),
    )


class _Time(ctypes.Structure):
    """`struct timespec`."""

    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSetting(ctypes.Structure):
    """`struct itimerspec`."""

    _fields_ = (("interval", _Time), ("value", _Time))


class ProcessDeadline:
    """By a clock that nobody sets. `suspended`: the time that the machine is suspended counts.

    It has to where other machines go on meanwhile. Raises OSError where there are no timers.
    """

    def __init__(self, *, suspended: bool) -> None:
        self._clock_id = clock_id = time.CLOCK_BOOTTIME if suspended else time.CLOCK_MONOTONIC
        self._library = ctypes.CDLL(None, use_errno=True)
        self._timer = ctypes.c_void_p()
        event = _SignalEvent(signo=int(signal.SIGKILL), notify=0)
        self._check(
            self._library.timer_create(clock_id, ctypes.byref(event), ctypes.byref(self._timer))
        )

    def now(self) -> float:
        """The time of the clock, in seconds."""
        return time.clock_gettime(self._clock_id)

    def set(self, at_s: float | None) -> None:
        """Be killed at that time of the clock; None: not at all."""
        setting = _TimerSetting()
        if at_s is not None:
            whole_ns = max(int(at_s * _NANOSECONDS), 1)
            setting.value = _Time(*divmod(whole_ns, _NANOSECONDS))
        self._check(
            self._library.timer_settime(self._timer, _ABSOLUTE, ctypes.byref(setting), None)
        )

    def close(self) -> None:
        """Give the timer back."""
        self._check(self._library.timer_delete(self._timer))

    @staticmethod
    def _check(status: int) -> None:
        if status != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
